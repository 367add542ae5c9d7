"""ECEA's own application: its command, its two results, its errors."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from rsinpaint.cli import cli
from rsinpaint.ecea_apply import RESULT, TRUTH, Visible
from rsinpaint.raster.publish import temporary_name
from test_systems_on_scenes import models  # noqa: F401  (a fixture)

MODEL = "random-ecea"


@pytest.fixture(autouse=True)
def installed(models, monkeypatch):  # noqa: F811
    monkeypatch.setenv("RSINPAINT_MODELS", str(models))


def corrupted(path, dtype, *, scale=1.0, offset=0.0, nodata=None):
    """Three bands, 90 x 131 pixels, with a stripe over the border and one pixel that is 0 in one band alone."""
    rng = np.random.default_rng(0)
    top = 255 if dtype == "uint8" else 4000
    values = rng.integers(top // 4, top // 2, (3, 90, 131)).astype(dtype)
    holes = np.zeros(values.shape, bool)
    holes[:, 40:48] = True
    holes[1, 10, 10] = True
    values[holes] = 0 if nodata is None else nodata
    profile = {"driver": "GTiff", "height": 90, "width": 131, "count": 3, "dtype": dtype, "nodata": nodata}
    with rasterio.open(path, "w", crs="EPSG:32650", transform=from_origin(4e5, 3e6, 30, 30), **profile) as file:
        file.write(values)
        file.scales, file.offsets = (scale,) * 3, (offset,) * 3
    return values, holes


def run(*arguments):
    return CliRunner().invoke(
        cli, ["ecea-apply", "--quiet", "--model", MODEL, *map(str, arguments)], obj={"debug": False}
    )


@pytest.mark.parametrize(
    ("dtype", "scale", "offset", "nodata"),
    [("uint8", 1, 0, None), ("uint16", 1e-4, 0, None), ("int16", 2.75e-5, -0.05, -999), ("float32", 1e-4, 0, None)],
)
def test_holes_are_filled_known_pixels_stay_and_both_results_have_their_place(tmp_path, dtype, scale, offset, nodata):
    nodata = np.nan if dtype == "float32" else nodata
    picture, folder = tmp_path / "CorruptedImage.tif", tmp_path / "out"
    folder.mkdir()
    values, holes = corrupted(picture, dtype, scale=scale, offset=offset, nodata=nodata)
    for _ in range(2):  # a second run replaces what the first one left
        answer = run("--input", picture, "--output", folder)
        assert answer.exit_code == 0, answer.output
    assert sorted(path.name for path in folder.iterdir()) == [TRUTH, RESULT] if TRUTH < RESULT else [RESULT, TRUTH]
    with rasterio.open(picture) as file, rasterio.open(folder / RESULT) as made, rasterio.open(folder / TRUTH) as kept:
        for other in (made, kept):
            assert (other.crs, other.transform, other.dtypes, other.nodata) == (
                file.crs,
                file.transform,
                file.dtypes,
                file.nodata,
            ) or np.isnan(nodata)
            assert other.scales == file.scales
        out = made.read()
        np.testing.assert_array_equal(kept.read(), values)
        np.testing.assert_array_equal(out[~holes], values[~holes])
        assert np.isfinite(out).all() and (out[holes] != (0 if nodata is None else nodata)).all()
        assert made.tags()["RSINPAINT_MODEL"] == MODEL


@pytest.mark.parametrize("name", [RESULT, TRUTH])
def test_an_input_is_never_replaced_by_its_own_result(name, tmp_path):
    picture = tmp_path / name
    corrupted(picture, "uint8")
    before = picture.read_bytes()
    answer = run("--input", picture, "--output", tmp_path)
    assert answer.exit_code != 0 and name in str(answer.exception)
    assert picture.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == [name]


def test_what_cannot_be_filled_stays_open_and_what_is_transparent_stays_so(tmp_path):
    picture, folder = tmp_path / "CorruptedImage.tif", tmp_path / "out"
    folder.mkdir()
    values, _ = corrupted(picture, "uint8")
    values[2] = 0  # nothing is known of this band
    alpha = np.full((1, 90, 131), 255, np.uint8)
    alpha[:, 60:] = 0
    values[:, 60:] = 0
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    with rasterio.open(picture, "w", driver="GTiff", height=90, width=131, count=4, dtype="uint8") as file:
        file.colorinterp = colours
        file.write(np.concatenate([values, alpha]))
    assert run("--input", picture, "--output", folder).exit_code == 0
    with rasterio.open(folder / RESULT) as file:
        out = file.read()
        assert file.colorinterp == colours
    np.testing.assert_array_equal(out[3], alpha[0])
    assert (out[:3, 60:] == 0).all() and (out[2] == 0).all()
    assert (out[:2, 40:48] != 0).all()


def test_a_killed_run_s_litter_is_swept(tmp_path):
    picture = tmp_path / "CorruptedImage.tif"
    corrupted(picture, "uint8")
    folder = tmp_path / "out"
    folder.mkdir()
    dead = folder / Path(temporary_name(str(folder / RESULT), "work")).name.replace(f"-{os.getpid()}-", "-999999-")
    dead.mkdir()
    (dead / "filled.tif").write_bytes(b"x")
    assert run("--input", picture, "--output", folder).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted([RESULT, TRUTH])


def test_the_stretch_reaches_the_network(tmp_path):
    picture = tmp_path / "CorruptedImage.tif"
    _, holes = corrupted(picture, "uint16", scale=1e-4)
    fills = []
    for number, high in enumerate((0.25, 1.0)):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert (
            run("--input", picture, "--output", folder, "--vis-min", 0, "--vis-max", high, "--gamma", 1).exit_code == 0
        )
        with rasterio.open(folder / RESULT) as file:
            fills.append(file.read()[holes].astype(int))
    assert np.abs(fills[0] - fills[1]).max() > 20


@given(low=st.floats(-0.2, 0.2), width=st.floats(0.1, 2), gamma=st.floats(0.5, 3), share=st.floats(0, 1))
def test_a_ramp_comes_back_and_gamma_brightens_as_on_a_display(low, width, gamma, share):
    visible = Visible(low, low + width, gamma)
    shown = visible.shown(np.array(low + share * width))
    assert shown == pytest.approx(min(max(share, 0), 1) ** (1 / gamma), abs=1e-6)
    assert visible.meant(shown) == pytest.approx(low + share * width, abs=1e-6)


def test_the_documented_errors_are_sentences_and_leave_nothing(tmp_path):
    picture = tmp_path / "CorruptedImage.tif"
    corrupted(picture, "uint8")
    for arguments, said in (
        (("--input", tmp_path, "--output", tmp_path), "is not a file"),
        (("--input", tmp_path / "none.tif", "--output", tmp_path), "is not a file"),
        (("--input", picture, "--output", picture), "is not a folder"),
        (("--input", picture, "--output", tmp_path / "none"), "is not a folder"),
        (("--input", picture, "--output", tmp_path, "--vis-max", "-1"), "minimum below the maximum"),
        (("--input", picture, "--output", tmp_path, "--model", "nosuch"), "There is no model"),
    ):
        answer = run(*arguments)
        assert answer.exit_code != 0 and said in str(answer.exception), (arguments, answer.exception)
        assert [path.name for path in tmp_path.iterdir()] == ["CorruptedImage.tif"]
