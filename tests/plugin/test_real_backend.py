"""From QGIS through the real backend in the repository's `.venv` and back. The classical fill: quick everywhere."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from fakes import ROOT, children
from osgeo import gdal
from qgis.core import QgsProcessingException
from scenes import SIZE, pixels, striped_scene

from qgis_rsinpaint.algorithms.models import BUNDLED, BUNDLED_FOR, model_ids
from qgis_rsinpaint.worker.client import Client
from qgis_rsinpaint.worker.environment import FOREIGN
from qgis_rsinpaint.worker.errors import Cancelled, WorkerError
from qgis_rsinpaint.worker.locate import locate

ID = "rsinpaint:fillslcoffgaps"


@pytest.fixture(autouse=True)
def repository_backend(monkeypatch):
    monkeypatch.delenv("RSINPAINT_PYTHON", raising=False)


@pytest.fixture
def hole_mask(scene, tmp_path):
    """1 where the scene is 0 inside its collar; as path, and as the set of flat indexes."""
    values = memoryview(pixels(scene)[: SIZE * SIZE * 2]).cast("h")
    inside = range(6, SIZE - 6)
    holes = {row * SIZE + column for row in inside for column in inside if values[row * SIZE + column] == 0}
    path = str(tmp_path / "holes.tif")
    source = gdal.Open(scene)
    mask = gdal.GetDriverByName("GTiff").Create(path, SIZE, SIZE, 1, gdal.GDT_Byte)
    mask.SetProjection(source.GetProjection())
    mask.SetGeoTransform(source.GetGeoTransform())
    flat = bytes(place in holes for place in range(SIZE * SIZE))
    mask.GetRasterBand(1).WriteRaster(0, 0, SIZE, SIZE, flat)
    return path, holes


def test_holes_are_filled_and_nothing_else_changes(plugin, scene, hole_mask, tmp_path):
    import processing

    mask, holes = hole_mask
    output = str(tmp_path / "filled.tif")
    parameters = {"INPUT": scene, "MASK": mask, "MODEL": "harmonic", "OUTPUT": output}
    result = processing.run(ID, parameters | {"OUTPUT_MASK": str(tmp_path / "marks.tif")})
    assert (result["FILLED_PIXELS"], result["UNFILLED_PIXELS"]) == (2 * len(holes), 0)
    before, after = (memoryview(pixels(path)).cast("h") for path in (scene, output))
    for place, (old, new) in enumerate(zip(before, after)):
        if place % (SIZE * SIZE) in holes:
            assert new != 0
        else:
            assert new == old
    written = gdal.Open(output)
    assert [written.GetRasterBand(band).GetDescription() for band in (1, 2)] == ["red", "near infrared"]
    assert written.GetRasterBand(1).GetNoDataValue() == 0
    assert json.loads(result["REPORT"])["model"] == "harmonic"


def test_stripes_are_found_without_a_mask(plugin, scene, tmp_path):
    import processing

    result = processing.run(ID, {"INPUT": scene, "MODEL": "harmonic", "OUTPUT": str(tmp_path / "filled.tif")})
    assert result["FILLED_PIXELS"] > 0


def test_a_scene_without_gaps_is_copied(plugin, tmp_path):
    import processing

    source, _ = striped_scene(tmp_path / "whole.tif", stripes=False)
    output = str(tmp_path / "filled.tif")
    result = processing.run(ID, {"INPUT": source, "MODEL": "harmonic", "OUTPUT": output})
    assert result["FILLED_PIXELS"] == 0 and pixels(output) == pixels(source)


def test_a_mask_of_another_grid_is_refused_in_words(plugin, scene, tmp_path):
    import processing

    other, _ = striped_scene(tmp_path / "other.tif", size=80)
    with pytest.raises(QgsProcessingException, match="other.tif") as caught:
        processing.run(ID, {"INPUT": scene, "MASK": other, "OUTPUT": str(tmp_path / "filled.tif")})
    assert "\n" not in str(caught.value) and not (tmp_path / "filled.tif").exists()


def test_all_listed_models_are_known_to_the_backend(plugin):
    client = Client(locate().command(60))
    try:
        models = client.call("models", {})
        known = {model["id"] for model in models}
        for wrong in ("nothing", {"scene": ["x"], "colour": "red", "output": "y"}):
            with pytest.raises(WorkerError):
                client.call("fill", wrong if isinstance(wrong, dict) else {"scene": [wrong]})
    finally:
        client.close()
    assert set(BUNDLED).union(*BUNDLED_FOR.values()) <= known
    assert all(model["id"] in model_ids(task) for model in models for task in model["tasks"])


def test_a_killed_backend_leaves_no_litter(scene, tmp_path):
    """The client has to know how the backend names its unfinished files."""
    output, seen = str(tmp_path / "filled.tif"), []

    def is_cancelled():
        seen.extend(path.name for path in tmp_path.glob(".*"))
        return bool(seen)

    client = Client(locate().command(60))
    with pytest.raises(Cancelled):
        client.call(
            "fill",
            {"scene": [scene], "output": output, "model": "anyband-s"},
            is_cancelled=is_cancelled,
            grace=0.0,
            outputs=[output],
        )
    client.close()
    assert seen, "nothing unfinished was seen: there was nothing to remove"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.tif"]


def test_a_poisoned_environment_does_no_harm(monkeypatch):
    for name in (*FOREIGN, "CONDA_PREFIX", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, "/nonsense")
    client = Client(locate().command(60))
    try:
        assert client.call("probe", {})["torch"]
    finally:
        client.close()
    assert children() == []


@pytest.fixture
def qgis_process(tmp_path):
    """`qgis_process` with a profile of its own, in which the plugin is linked and enabled."""
    profile, home, runtime = (tmp_path / name for name in ("profile", "home", "runtime"))
    plugins = profile / "profiles" / "default" / "python" / "plugins"
    for folder in (plugins, home, runtime):
        folder.mkdir(parents=True)
    runtime.chmod(0o700)
    (plugins / "qgis_rsinpaint").symlink_to(ROOT / "qgis_rsinpaint")
    own = {"QGIS_CUSTOM_CONFIG_PATH": profile, "HOME": home, "XDG_RUNTIME_DIR": runtime, "QT_QPA_PLATFORM": "offscreen"}
    environment = {**os.environ, **{name: str(value) for name, value in own.items()}}

    def call(*arguments):
        # Not the wrapper `qgis_process`: Debian's gives an option to it that it does not know.
        command = ["/usr/bin/qgis_process.bin", *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)

    assert call("plugins", "enable", "qgis_rsinpaint").returncode == 0
    return call


def test_qgis_process_fills_and_fails_with_a_status(qgis_process, tmp_path):
    striped_scene(tmp_path / "scene.tif")
    good = qgis_process("run", ID, "--", "INPUT=scene.tif", "OUTPUT=filled.tif", "MODEL=inverse-distance")
    assert good.returncode == 0, good.stderr
    assert "FILLED_PIXELS:" in good.stdout and (tmp_path / "filled.tif").exists()
    bad = qgis_process("run", ID, "--", "INPUT=scene.tif", "OUTPUT=scene.tif")
    assert bad.returncode == 1 and "which is an input of the same run" in bad.stderr
    help_page = qgis_process("help", ID)
    assert "OUTPUT_UNCERTAINTY" in help_page.stdout
    left = [path.name for path in Path(tmp_path).iterdir() if "rsinpaint-" in path.name]
    assert left == []
