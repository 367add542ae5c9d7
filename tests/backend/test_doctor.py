"""doctor says what is there, and exits with 1 exactly when it cannot run."""

import json
import sys

import pytest

from rsinpaint import cli, doctor, environment
from rsinpaint.models import registry


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path))
    return tmp_path


def run(capfd, *arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["doctor", *arguments])
    return end.value.code, capfd.readouterr().out


def test_a_good_installation_can_run(models, capfd):
    code, out = run(capfd, "--json")
    found = json.loads(out)
    assert code == 0 and found["ok"] and found["problems"] == []
    assert found["versions"]["torch"] and found["versions"]["gdal"] and found["devices"][-1]["id"] == "cpu"
    assert {"harmonic", "tension-spline"} <= {model["id"] for model in found["models"] if model["ok"]}
    assert {place["use"] for place in found["disk"]} == {"temporary files", "models"}
    code, out = run(capfd)
    assert code == 0 and out.endswith("rsinpaint can run\n") and "tension-spline" in out


@pytest.mark.parametrize("library", ["torch", "rasterio", "safetensors"])
def test_a_missing_library_is_named(models, monkeypatch, capfd, library):
    monkeypatch.setitem(sys.modules, library, None)
    code, out = run(capfd)
    assert code == 1 and f"problem: {library} cannot be loaded" in out and out.endswith("rsinpaint cannot run\n")


def test_an_old_torch_is_told(models, monkeypatch):
    versions = doctor.importlib.metadata.version
    monkeypatch.setattr(
        doctor.importlib.metadata, "version", lambda name: "2.5.1" if name == "torch" else versions(name)
    )
    (problem,) = doctor.examine()["problems"]
    assert "torch 2.5.1" in problem and "at least 2.6" in problem


def test_a_user_s_broken_model_is_a_warning(models):
    (models / "mine.json").write_text("{}")
    found = doctor.examine()
    assert found["ok"] and any("mine.json" in warning for warning in found["warnings"])


def test_no_model_at_all_is_a_problem(models, monkeypatch):
    monkeypatch.setattr(registry, "BUNDLED", models / "none")
    found = doctor.examine()
    assert not found["ok"] and "no model" in found["problems"][0]


def test_a_device_that_does_not_work_is_shown_as_bad(models, monkeypatch):
    broken = {"id": "cuda:0", "name": "Card", "ok": False, "problem": "no kernel image", "total_mb": 8, "free_mb": 4}
    monkeypatch.setattr(doctor, "devices", lambda: [broken, {"id": "cpu", "name": "CPU", "ok": True}])
    found = doctor.examine()
    assert found["ok"] and "no kernel image" in found["warnings"][0]
    assert "BAD  Card, 4 of 8 MiB free" in doctor.sheet(found)


def test_little_disk_is_a_warning(models, monkeypatch):
    monkeypatch.setattr(doctor, "DISK_WARNING_BYTES", 1 << 60)
    assert sum("are free in" in warning for warning in doctor.examine()["warnings"]) == 2


def test_a_device_is_tried_and_not_only_listed():
    class Torch:
        @staticmethod
        def ones(*_, device):
            raise RuntimeError(f"no code for {device}\nsecond line")

    assert environment._tried(Torch, "mps") == {"id": "mps", "name": "mps", "ok": False, "problem": "no code for mps"}
