"""What is wrong is said in one clear sentence, the exit code is not 0, and nothing is left in the folder."""

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

import made_scenes
from rsinpaint.models import registry

RSINPAINT = Path(sys.executable).with_name("rsinpaint")


def refuse(folder: Path, *arguments: object, code: int = 1, limit_bytes: int | None = None, **environment: str) -> str:
    """Run `rsinpaint fill`, which must fail; its sentence."""
    before = sorted(os.listdir(folder))

    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    done = subprocess.run(
        [str(RSINPAINT), "fill", *map(str, arguments), "--quiet"],
        capture_output=True,
        text=True,
        env=os.environ | environment,
        preexec_fn=limit,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert sorted(os.listdir(folder)) == before
    assert "Traceback" not in done.stderr
    # libtiff writes of a full disk to stderr by itself
    lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("_tiff")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_missing_scene(tmp_path):
    assert "nowhere.tif" in refuse(tmp_path, tmp_path / "nowhere.tif", "-o", tmp_path / "out.tif")


def test_a_scene_that_is_no_raster(tmp_path):
    (tmp_path / "text.tif").write_text("not a raster")
    assert "text.tif" in refuse(tmp_path, tmp_path / "text.tif", "-o", tmp_path / "out.tif")


def test_no_holes(tmp_path):
    made = made_scenes.make(tmp_path, kind="none")
    said = refuse(tmp_path, made.path, "-o", tmp_path / "out.tif", "--mask", made.mask)
    assert "no holes" in said and "mask.tif" in said


def test_no_stripes(tmp_path):
    made = made_scenes.make(tmp_path, kind="none", height=300, width=300)
    assert "no holes" in refuse(tmp_path, made.path, "-o", tmp_path / "out.tif")


def test_all_holes(tmp_path):
    made = made_scenes.make(tmp_path, kind="none", collar=False)
    with rasterio.open(made.mask, "r+") as mask:
        mask.write(np.ones((mask.count, *mask.shape), np.uint8))
    assert "no known pixel" in refuse(tmp_path, made.path, "-o", tmp_path / "out.tif", "--mask", made.mask)


def test_nothing_but_nodata(tmp_path):
    made = made_scenes.make(tmp_path)
    with rasterio.open(made.path, "r+") as scene:
        scene.write(np.zeros((scene.count, *scene.shape), scene.dtypes[0]))
    said = refuse(tmp_path, made.path, "-o", tmp_path / "out.tif", "--mask", made.mask)
    assert "scene.tif" in said


@pytest.mark.parametrize("change", [{"height": 90}, {"transform": rasterio.transform.from_origin(0, 0, 30, 30)}])
def test_a_mask_of_another_size_or_grid(change, tmp_path):
    made = made_scenes.make(tmp_path)
    with rasterio.open(made.mask) as mask:
        profile, holes = mask.profile, mask.read()
    with rasterio.open(tmp_path / "other.tif", "w", **(profile | change)) as other:
        other.write(holes[:, : other.height])
    said = refuse(tmp_path, made.path, "-o", tmp_path / "out.tif", "--mask", tmp_path / "other.tif")
    assert "other.tif" in said and "grid" in said


def test_polygons_that_are_not_understood(tmp_path):
    made = made_scenes.make(tmp_path)
    ring = [[500100, "here"], [500200, 5199900], [500300, 5199800], [500100, "here"]]
    polygon = {"type": "Polygon", "coordinates": [ring]}
    (tmp_path / "odd.geojson").write_text(json.dumps({"type": "Feature", "geometry": polygon, "properties": {}}))
    said = refuse(tmp_path, made.path, "-o", tmp_path / "out.tif", "--mask", tmp_path / "odd.geojson")
    assert "odd.geojson" in said


def test_an_output_that_cannot_be_made(tmp_path):
    made = made_scenes.make(tmp_path)
    arguments = (made.path, "--mask", made.mask, "--model", "harmonic", "-o")
    assert "does not exist" in refuse(tmp_path, *arguments, tmp_path / "none" / "out.tif")
    assert "out.tif" in refuse(tmp_path, *arguments, "/proc/out.tif")  # not even root writes there
    assert "scene.tif" in refuse(tmp_path, *arguments, made.path, "--overwrite")
    (tmp_path / "taken.tif").write_bytes(b"")
    assert "exists already" in refuse(tmp_path, *arguments, tmp_path / "taken.tif")


def test_a_full_disk(tmp_path):
    made = made_scenes.make(tmp_path, height=400, width=400, dtype="float32")
    said = refuse(
        tmp_path, made.path, "-o", tmp_path / "out.tif", "--mask", made.mask, "--model", "harmonic", limit_bytes=300_000
    )
    assert "out.tif" in said


def test_an_unknown_model(tmp_path):
    made = made_scenes.make(tmp_path)
    said = refuse(tmp_path, made.path, "-o", tmp_path / "out.tif", "--mask", made.mask, "--model", "harmonik")
    assert "`harmonic`" in said


@pytest.fixture
def own_model(tmp_path_factory):
    """A user's copy of the shipped network under another name, and a function that changes its card."""
    folder = tmp_path_factory.mktemp("models")
    card = json.loads((registry.BUNDLED / "anyband-s.json").read_text())
    shutil.copy(registry.BUNDLED / "anyband-s.safetensors", folder / "own.safetensors")

    def write(**changes: object) -> Path:
        fields = card | {"id": "own", "weights": card["weights"] | {"file": "own.safetensors"}} | changes
        (folder / "own.json").write_text(json.dumps(fields))
        return folder

    return write


@pytest.mark.parametrize("fault", ["flipped", "cut", "web page", "empty", "gone"])
def test_tampered_or_broken_weights(fault, own_model, tmp_path):
    folder = own_model()
    file = folder / "own.safetensors"
    content = file.read_bytes()
    broken = {
        "flipped": content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        "cut": content[: len(content) // 2],
        "web page": b"<!DOCTYPE html><title>Quota exceeded</title>",
        "empty": b"",
    }
    file.write_bytes(broken[fault]) if fault in broken else file.unlink()
    made = made_scenes.make(tmp_path)
    arguments = (made.path, "-o", tmp_path / "out.tif", "--mask", made.mask, "--model", "own")
    assert "own.safetensors" in refuse(tmp_path, *arguments, RSINPAINT_MODELS=str(folder))


def test_weights_that_do_not_fit_their_network(own_model, tmp_path):
    folder = own_model(config={"widths": [16, 32], "blocks": [1, 1]})
    made = made_scenes.make(tmp_path)
    arguments = (made.path, "-o", tmp_path / "out.tif", "--mask", made.mask, "--model", "own")
    assert "do not fit" in refuse(tmp_path, *arguments, RSINPAINT_MODELS=str(folder))


@pytest.mark.parametrize("bands", [4, ["coastal", "blue", "green", "red"]])
def test_a_model_that_does_not_fit_the_bands(bands, own_model, tmp_path):
    folder = own_model(bands=bands)
    made = made_scenes.make(tmp_path, bands=2)
    arguments = (made.path, "-o", tmp_path / "out.tif", "--mask", made.mask, "--model", "own")
    said = refuse(tmp_path, *arguments, RSINPAINT_MODELS=str(folder))
    assert "2 bands" in said and "4 for model `own`" in said


def test_a_band_that_is_not_there(tmp_path):
    made = made_scenes.make(tmp_path, bands=2)
    said = refuse(tmp_path, made.path, "-o", tmp_path / "out.tif", "--mask", made.mask, "--bands", "3")
    assert "Band 3" in said


def test_a_device_that_is_not_there(tmp_path):
    made = made_scenes.make(tmp_path)
    arguments = (made.path, "-o", tmp_path / "out.tif", "--mask", made.mask, "--device", "cuda:77")
    assert "cuda:77" in refuse(tmp_path, *arguments)


def test_an_option_that_is_not_understood(tmp_path):
    made = made_scenes.make(tmp_path)
    before = sorted(os.listdir(tmp_path))
    done = subprocess.run(
        [str(RSINPAINT), "fill", str(made.path), "-o", str(tmp_path / "o.tif"), "--colour"], capture_output=True
    )
    assert done.returncode == 2 and b"--colour" in done.stderr
    assert sorted(os.listdir(tmp_path)) == before
