"""The algorithm inside QGIS: as a call, as a task, in the batch dialog; against the fake worker."""

import json
import os
from pathlib import Path

import pytest
from fakes import children
from listening import ID, Listener, files
from qgis.core import (
    QgsApplication,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProject,
    QgsRasterLayer,
)
from scenes import striped_scene

from qgis_rsinpaint.algorithms.fill_slcoff_gaps import is_quality_band
from qgis_rsinpaint.algorithms.remaining import RemainingTime, in_words
from qgis_rsinpaint.worker.environment import FOREIGN, clean_environment


@pytest.fixture
def run(plugin, fake_python):
    import processing

    def run(source, **parameters):
        feedback = parameters.pop("feedback", None) or Listener()
        parameters.setdefault("OUTPUT", str(Path(source).with_name("filled.tif")))
        return processing.run(ID, {"INPUT": source, **parameters}, feedback=feedback), feedback

    return run


def test_a_scene_goes_through(run, scene):
    result, feedback = run(scene)
    assert (result["FILLED_PIXELS"], result["UNFILLED_PIXELS"]) == (10, 0)
    assert os.path.exists(result["OUTPUT"]) and "OUTPUT_MASK" not in result
    job = json.loads(result["REPORT"])["echo"]
    assert job == {
        "task": "slcoff",
        "scene": [scene],
        "output": result["OUTPUT"],
        "model": "auto",
        "device": "auto",
        "bands": None,
        "overwrite": True,
        "copy_when_whole": True,
    }
    summary = "10 pixels filled, 0 left open (model fake, cpu"
    assert any(info.startswith(summary) for info in feedback.infos)
    assert feedback.texts[0] == "Starting the backend…" and "window 1 of 5" in feedback.texts
    assert feedback.progress() > 0


def test_all_parameters_reach_the_job(run, scene, tmp_path):
    mask, _ = striped_scene(tmp_path / "holes.tif")
    result, _ = run(
        scene,
        MASK=mask,
        BANDS=[2],
        MODEL="harmonic",
        DEVICE="cpu",
        OUTPUT_MASK=str(tmp_path / "mask.tif"),
        OUTPUT_UNCERTAINTY=str(tmp_path / "error.tif"),
    )
    job = json.loads(result["REPORT"])["echo"]
    assert (job["mask"], job["bands"], job["model"], job["device"]) == (mask, [2], "harmonic", "cpu")
    assert os.path.exists(result["OUTPUT_MASK"]) and os.path.exists(result["OUTPUT_UNCERTAINTY"])


def test_a_quality_band_is_told_from_a_mask_by_its_name(run, scene, tmp_path):
    quality, _ = striped_scene(tmp_path / "LE07_QA_PIXEL.tif")
    result, _ = run(scene, MASK=quality)
    job = json.loads(result["REPORT"])["echo"]
    assert job["qa"] == quality and "mask" not in job
    for name in ("a_pixel_qa.tif", "LE7_BQA.TIF", "x_radsat_qa.tif", "Caqueta_QA.tif", "QA_RADSAT.TIF"):
        assert is_quality_band(f"/some/folder/{name}")
    for name in ("LE07_GM_B1.TIF", "qatar.tif", "mask.tif", "aquarius.tif"):
        assert not is_quality_band(f"/QA/{name}")


def test_relative_names_are_made_absolute(run, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result, _ = run("scene.tif", OUTPUT="here.tif")
    job = json.loads(result["REPORT"])["echo"]
    assert (job["scene"], job["output"]) == ([scene], str(tmp_path / "here.tif"))


def test_a_clean_scene_is_a_warning_not_a_failure(run, tmp_path):
    source, _ = striped_scene(tmp_path / "clean.tif", stripes=False)
    result, feedback = run(source)
    assert result["FILLED_PIXELS"] == 0 and os.path.exists(result["OUTPUT"])
    assert len(feedback.warnings) == 1 and "output equals the input" in feedback.warnings[0]


@pytest.mark.parametrize(
    ("word", "words"),
    [("fail", "is a palette raster. Pass one with measured values"), ("abort", "crashed"), ("oom", "memory ran out")],
)
def test_a_failure_is_a_processing_error_in_one_or_two_sentences(run, tmp_path, word, words):
    source, _ = striped_scene(tmp_path / f"{word}.tif")
    with pytest.raises(QgsProcessingException, match=words) as caught:
        run(source)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert files(tmp_path) == [f"{word}.tif"]
    assert run(striped_scene(tmp_path / "next.tif")[0])[0]["FILLED_PIXELS"] == 10
    assert len(children()) == 1 and children()[0][1] != "Z"


@pytest.mark.parametrize("name", ["OUTPUT", "OUTPUT_MASK", "OUTPUT_UNCERTAINTY"])
def test_no_output_replaces_an_input(run, scene, tmp_path, name):
    (tmp_path / "link.tif").symlink_to(scene)
    before = Path(scene).read_bytes()
    with pytest.raises(QgsProcessingException, match="which is an input of the same run"):
        run(scene, **{name: str(tmp_path / "link.tif")})
    assert Path(scene).read_bytes() == before


def test_two_outputs_cannot_be_one_file(run, scene, tmp_path):
    with pytest.raises(QgsProcessingException, match="which is another output"):
        run(scene, OUTPUT=str(tmp_path / "a.tif"), OUTPUT_MASK=str(tmp_path / "a.tif"))


def test_other_formats_than_geotiff_are_refused(run, scene, tmp_path):
    with pytest.raises(QgsProcessingException, match="img"):
        run(scene, OUTPUT=str(tmp_path / "a.img"))


def test_a_missing_scene_is_named(run, tmp_path):
    with pytest.raises(QgsProcessingException, match="nowhere.tif"):
        run(str(tmp_path / "nowhere.tif"))


def test_a_web_map_is_refused_before_anything_starts(plugin):
    layer = QgsRasterLayer("type=xyz&url=file:///nowhere/%7Bz%7D.png&zmax=1&zmin=0", "a map", "wms")
    kept = QgsApplication.processingRegistry().createAlgorithmById(ID)
    QgsProject.instance().addMapLayer(layer)
    parameters = {"INPUT": layer.id(), "OUTPUT": "TEMPORARY_OUTPUT"}
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    ok, text = kept.checkParameterValues(parameters, context)
    QgsProject.instance().removeMapLayer(layer.id())
    assert not ok and "a map is not a raster file" in text


def test_a_missing_backend_is_said(run, scene, monkeypatch):
    monkeypatch.setenv("RSINPAINT_PYTHON", "/nowhere/python")
    with pytest.raises(QgsProcessingException, match="Settings > Options > RS Inpaint"):
        run(scene)


def test_a_poisoned_environment_does_no_harm(run, scene, monkeypatch):
    for name in (*FOREIGN, "CONDA_PREFIX", "O4W_QT_PREFIX"):
        if name not in ("LD_LIBRARY_PATH", "LD_PRELOAD", "GDAL_DATA", "PROJ_LIB"):  # these would harm QGIS itself
            monkeypatch.setenv(name, "/nonsense")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonsense")
    assert run(scene)[0]["FILLED_PIXELS"] == 10


def test_what_is_kept_of_an_environment(tmp_path):
    certificate = tmp_path / "company.pem"
    certificate.touch()
    poison = dict.fromkeys([*FOREIGN, "CONDA_PREFIX", "O4W_X", "pythonhome", "SSL_CERT_DIR"], "/nonsense")
    kept = clean_environment({**poison, "OMP_NUM_THREADS": "3", "SSL_CERT_FILE": str(certificate), "PATH": "/bin"})
    own = {name for name in kept if name.startswith("PYTHON")}
    assert own == {
        "PYTHONUTF8",
        "PYTHONNOUSERSITE",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONSAFEPATH",
    }
    assert {name: kept[name] for name in kept if name not in own} == {
        "OMP_NUM_THREADS": "3",
        "SSL_CERT_FILE": str(certificate),
        "PATH": "/bin",
    }


def test_remaining_time_follows_the_pace():
    clock = RemainingTime()
    assert clock.update(0.0, -50.0) is None and clock.update(0.0, -20.0) is None, "loading is no part of the pace"
    assert clock.update(0.01, 0.0) is None and clock.update(0.02, 1.0) is None
    assert clock.update(0.11, 10.0) == pytest.approx(89)
    assert clock.update(0.1 + 1e-9, 11.0, "write") is None, "another stage has another pace"
    clock = RemainingTime()
    clock.update(1e-9, 0.0)
    for second in range(12, 60):
        left = clock.update(0.1 + (second - 11) * 0.018, float(second))
    assert left == pytest.approx((1 - 0.1 - 48 * 0.018) / 0.018, rel=0.05), "old, slow times are forgotten"
    stuck = RemainingTime()
    stuck.update(0.5, 0.0)
    stuck.update(0.5, 60.0)
    assert stuck.update(0.5, 61.0) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, ("s", 1)), (7, ("s", 5)), (54, ("s", 55)), (56, ("min", 1)), (600, ("min", 10)), (7200, ("h", 2))],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
