"""Data preparation: tiles, display, splits and Landsat scenes. Numbers of faults are those of the published codes
(S1 ECEA, S2 EdgeLearning, S3 SpA-GAN, S4a CMUN, S4b the Sentinel-3 model)."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from rsinpaint.errors import JobError
from rsinpaint.masks import simulate
from rsinpaint.raster.scene import open_scene
from training import crops
from training.pictures import Pictures
from training.prepare import geometry
from training.prepare.__main__ import main
from training.prepare.cutting import orbit_tilt
from training.prepare.packing import LeftOut, Sample, read, write
from training.prepare.reflectance import EXPONENT, from_levels, to_levels, top_of_atmosphere
from training.prepare.sources import landsat7

MTL = """GROUP = LANDSAT_METADATA_FILE
  GROUP = IMAGE_ATTRIBUTES
    SUN_ELEVATION = 30.0
  END_GROUP = IMAGE_ATTRIBUTES
  GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
    REFLECTANCE_MULT_BAND_1 = 2.75e-05
    REFLECTANCE_ADD_BAND_1 = -0.2
  END_GROUP = LEVEL2_SURFACE_REFLECTANCE_PARAMETERS
  GROUP = LEVEL1_RADIOMETRIC_RESCALING
    REFLECTANCE_MULT_BAND_1 = 2.0E-03
    REFLECTANCE_MULT_BAND_2 = 1.0E-03
    REFLECTANCE_MULT_BAND_3 = 0.5E-03
    REFLECTANCE_ADD_BAND_1 = -0.1
    REFLECTANCE_ADD_BAND_2 = 0.0
    REFLECTANCE_ADD_BAND_3 = 0.0
  END_GROUP = LEVEL1_RADIOMETRIC_RESCALING
END_GROUP = LANDSAT_METADATA_FILE
"""
PRODUCT = "LE07_L1TP_006066_20050401_20200914_02_T1"


def write_raster(path: Path, planes: np.ndarray, *, nodata: float | None = None, names=(), **more) -> None:
    count, height, width = planes.shape
    size = {"count": count, "height": height, "width": width, "dtype": planes.dtype}
    more = {"driver": "GTiff", "crs": "EPSG:32633", "transform": from_origin(500000, 0, 30, 30)} | more
    with rasterio.open(path, "w", nodata=nodata, **size, **more) as file:
        file.write(planes)
        if names:
            file.descriptions = names


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A bundle of single-band files: 40 x 40, band N is 40 + 20 N; pixel (9, 9) of B1 alone is 0; one is dropped."""
    folder = tmp_path / "scenes" / PRODUCT
    folder.mkdir(parents=True)
    for number in (1, 2, 3, 4):
        plane = np.full((1, 40, 40), 40 + 20 * number, np.uint8)
        if number == 1:
            plane[0, 9, 9] = 0
        write_raster(folder / f"{PRODUCT}_B{number}.TIF", plane)
    quality = np.zeros((1, 40, 40), np.uint16)
    quality[0, 20, 20], quality[0, 21, 21] = 1 << 9, 1  # dropped; merely saturated
    write_raster(folder / f"{PRODUCT}_QA_RADSAT.TIF", quality)
    (folder / f"{PRODUCT}_MTL.txt").write_text(MTL)
    return folder


def landsat(folder: Path, **options) -> list[Sample]:
    return [one for one in landsat7.samples(folder, **{"level": 0.0} | options) if isinstance(one, Sample)]


def test_the_exponent_is_a_power_and_says_which_way():
    """S1 fault 8: a display's gamma of 1.4 is the power 1 / 1.4, and a ramp comes back through both."""
    levels = to_levels(np.array([0.0, 0.1, 0.4, 0.7, -0.2]), low=0, high=0.4, exponent=EXPONENT)
    assert levels.tolist() == [0, 24346, 65535, 65535, 0]  # 0.25 ** (1 / 1.4) = 0.371499
    assert to_levels(np.array([0.1]), low=0, high=0.4, exponent=1.4).tolist() == [9410]  # 0.25 ** 1.4 = 0.143587
    ramp = np.linspace(0.001, 0.4, 1000)
    for exponent in (EXPONENT, 1.4, 1.0):
        back = from_levels(to_levels(ramp, low=0, high=0.4, exponent=exponent), low=0, high=0.4, exponent=exponent)
        np.testing.assert_allclose(back, ramp, atol=2e-5)


def test_levels_are_rounded_and_not_cut_off():
    """S3 fault 7: 0.9 of 65535 is 58981.5, and its neighbour just below 58981.49."""
    assert to_levels(np.array([0.9, 0.89999]), low=0, high=1, exponent=1).tolist() == [58982, 58981]
    assert to_levels(np.array([0.75 / 65535]), low=0, high=1, exponent=1).tolist() == [1]


def test_factors_are_those_of_level_1_with_the_sun_divided_out():
    assert top_of_atmosphere(MTL, "B1") == pytest.approx((0.004, -0.2))
    assert top_of_atmosphere(MTL, "B7") is None


def test_the_frame_is_centred_and_holds_whole_tiles():
    frame = geometry.centred(7001, 8000, tile=256, crop=5120)
    assert (frame.rows, frame.columns, frame.corner) == (20, 20, (940, 1440))
    assert list(geometry.centred(70, 100, tile=32, crop=5120).tiles()) == [
        (0, 0), (0, 32), (0, 64), (32, 0), (32, 32), (32, 64)
    ]  # fmt: skip
    y, x = frame.places(256, 512)
    assert (y[0, 0], x[0, 0], y[-1, -1], x[-1, -1]) == pytest.approx((1196, 1952, 1451, 2207))


def test_a_quarter_turn_is_exact():
    values = np.arange(16).reshape(1, 4, 4)
    turned, valid = geometry.resampled(
        values, np.ones(values.shape, bool), *np.round(geometry.centred(4, 4, tile=4, crop=4, angle=90).places(0, 0), 9)
    )
    np.testing.assert_array_equal(turned[0], np.rot90(values[0]))
    assert valid.all()


def test_falling_lines_become_level():
    """Lines that fall by 10 degrees to the right: `across` counts them, and is what rows are afterwards."""
    turn = math.radians(10)
    y, x = np.mgrid[0:96, 0:96] - 47.5
    across = (y * math.cos(turn) - x * math.sin(turn))[None]
    frame = geometry.centred(96, 96, tile=32, crop=32, angle=10)
    level, valid = geometry.resampled(across, np.ones(across.shape, bool), *frame.places(0, 0))
    np.testing.assert_allclose(level[0], np.repeat(np.arange(32)[:, None] - 15.5, 32, 1), atol=1e-9)
    assert valid.all()


def test_what_is_missing_has_no_say_between_pixels():
    values, valid = np.array([[[10.0, 99.0, 30.0]]]), np.array([[[True, False, True]]])
    found, kept = geometry.resampled(values, valid, np.zeros((1, 3)), np.array([[0.4, 0.6, 1.7]]))
    assert kept.tolist() == [[[True, False, True]]]
    np.testing.assert_allclose(found, [[[10.0, 0.0, 30.0]]], rtol=1e-12)


def test_averaging_keeps_the_mean():
    """S4b fault 5: taking the largest of neighbours brightens, and lets masks grow."""
    noise = np.random.default_rng(0).normal(size=(1, 65, 65))
    small, valid = geometry.averaged(noise, np.ones(noise.shape, bool), 26)
    assert small.shape == (1, 26, 26) and valid.all()
    assert small.mean() == pytest.approx(noise.mean(), abs=1e-12)


def test_a_tile_s_name_leads_back_to_its_pixels(tmp_path):
    """S2 fault 7: names of outputs are matched to their inputs, for any size and any number of bands."""
    height, width = 70, 103
    write_raster(tmp_path / "Numbered_a_1.tif", np.arange(height * width, dtype=np.float32).reshape(1, height, width))
    whole = {"low": 0, "high": height * width, "exponent": 1.0}
    found = landsat(tmp_path, bands=["B1"], tile=32, **whole)
    assert len(found) == 6 and len({sample.name for sample in found}) == 6
    top, left = geometry.centred(height, width, tile=32, crop=5120).corner
    for sample in found:
        scene, row, column = geometry.place_of_tile(sample.name)
        assert scene == "Numbered_a_1" and geometry.tile_name(scene, row, column) == sample.name
        first = from_levels(sample.values[0, 0, 0], **whole)
        assert first == pytest.approx((top + row) * width + left + column, abs=0.1)
    with pytest.raises(ValueError, match="no name of a tile"):
        geometry.place_of_tile("7_3")


def test_a_bundle_gives_its_bands_in_the_wanted_order_as_reflectance(bundle):
    (sample,) = landsat(bundle.parent, tile=32, exponent=1.0)
    assert (sample.bands, sample.place, sample.span) == (("B3", "B2", "B1"), "006066", (0, 65535))
    # (0.0005 * 100) / 0.5 = 0.1; (0.001 * 80) / 0.5 = 0.16; (0.002 * 60 - 0.1) / 0.5 = 0.04; of 0.4
    assert sample.values[:, 0, 0].tolist() == [16384, 26214, 6554]
    assert [one.name for one in landsat(bundle, tile=32)] == [sample.name]  # a bundle by itself is a folder, too


def test_a_hole_in_one_band_is_a_hole_in_that_band(bundle):
    """S1 fault 7: training and application disagreed about pixels that are 0 in one band and not in two."""
    (sample,) = landsat(bundle.parent, tile=40)
    assert sample.masks[:, 9, 9].tolist() == [0, 0, 1]
    assert sample.valid[:, 9, 9].tolist() == [True, True, False]
    assert sample.masks[:, 20, 20].tolist() == [1, 1, 1]  # bit 9 of QA_RADSAT
    assert sample.masks.sum() == 4 and (sample.valid == (sample.masks == 0)).all()


def test_the_quality_band_or_the_values_alone_say_where_holes_are(bundle):
    (by_values,) = landsat(bundle.parent, tile=40, mask="nodata")
    assert by_values.masks.sum() == 1
    # an empty pixel that QA_RADSAT does not mark is neither known nor a hole
    assert landsat(bundle.parent, tile=40, mask="radsat") == []
    for path in bundle.glob("*RADSAT*"):
        path.unlink()
    with pytest.raises(JobError, match="no QA_RADSAT"):
        landsat(bundle.parent, tile=40, mask="radsat")


def test_a_true_zero_is_a_value(tmp_path):
    """S1 fault 10: zero was used as nodata."""
    planes = np.full((3, 32, 32), 0.2, np.float32)
    planes[:, 5, 5], planes[:, 7, 7] = 0.0, -9999
    write_raster(tmp_path / "Zero_x.tif", planes, nodata=-9999, names=("B1", "B2", "B3"))
    (sample,) = landsat(tmp_path, tile=32)
    assert sample.valid[:, 5, 5].all() and not sample.masks[:, 5, 5].any() and not sample.values[:, 5, 5].any()
    assert sample.masks[:, 7, 7].all() and sample.masks.sum() == 3


def test_flat_and_empty_scenes_give_no_nan(tmp_path):
    """S1 fault 5 and S4b fault 7: scaling by minimum and maximum divides by 0 on flat patches."""
    flat, empty = np.full((3, 32, 32), 0.1, np.float32), np.full((3, 32, 64), np.nan, np.float32)
    empty[:, :, 32:] = 0.1
    write_raster(tmp_path / "Flat_x.tif", flat)
    write_raster(tmp_path / "Half_x.tif", empty)
    found = list(landsat7.samples(tmp_path, tile=32, level=0.0))
    assert [type(one) for one in found] == [Sample, LeftOut, Sample]
    for sample in (found[0], found[2]):
        assert (sample.values == 24346).all() and sample.valid.all() and sample.masks is None


def test_scan_lines_are_levelled_by_what_the_stripes_show(tmp_path):
    holes = simulate.slcoff((420, 420), np.random.default_rng(3), offset=0.9, tilt=9.5)
    planes = np.where(holes, -1, np.random.default_rng(4).uniform(0.1, 0.3, (3, 420, 420))).astype(np.float32)
    write_raster(tmp_path / "Striped_x.tif", planes, nodata=-1)
    found = landsat(tmp_path, tile=128, crop=256, level="auto")
    assert len(found) == 4 and found[0].notes["angle"] == pytest.approx(9.5, abs=0.3)
    share = np.concatenate([sample.masks[0].mean(1) for sample in found])
    assert ((share < 0.02) | (share > 0.98)).mean() > 0.8  # rows are stripe or none
    slanted = np.concatenate([sample.masks[0].mean(1) for sample in landsat(tmp_path, tile=128, crop=256)])
    assert ((slanted < 0.02) | (slanted > 0.98)).mean() < 0.4


def test_without_stripes_the_orbit_says_how_lines_fall(tmp_path):
    """On the equator and a central meridian: asin(cos 98.2 degrees) = 8.2 degrees."""
    write_raster(tmp_path / "a.tif", np.ones((1, 10, 10), np.float32))
    with open_scene([str(tmp_path / "a.tif")]) as scene:
        assert orbit_tilt(scene) == pytest.approx(8.2, abs=0.1)


def test_what_cannot_become_reflectance_is_refused_in_words(tmp_path):
    write_raster(tmp_path / "Plain_x.tif", np.ones((3, 32, 32), np.uint8))
    with pytest.raises(JobError, match="Give `--scale` and `--offset`"):
        landsat(tmp_path, tile=32)
    (sample,) = landsat(tmp_path, tile=32, scale=0.2, exponent=1.0)
    assert (sample.values == 32768).all()
    with pytest.raises(JobError, match="has no band B9"):
        landsat(tmp_path, bands=["B9"], scale=1.0)


def picture(name: str, place: str) -> Sample:
    values = np.random.default_rng(len(name)).integers(1, 99, (2, 80, 80), np.uint8)
    return Sample(name, place, ("a", "b"), values, np.ones(values.shape, bool), span=(0, 255), notes={"angle": 1.5})


def test_places_are_split_by_name_and_packs_read_back(tmp_path):
    """S3 fault 4 and S4a fault 1: validation pictures came from the training list, and training ones from the other."""
    samples = [picture("one", "A"), picture("three", "B"), LeftOut("x", "dark"), picture("seven", "B")]
    written = write(samples, tmp_path / "t.npz", held_out=["B"], held_out_output=tmp_path / "h.npz")
    assert (written.train, written.held_out, dict(written.left_out)) == (1, 2, {"dark": 1})
    assert [sample.name for sample in read(tmp_path / "t.npz")] == ["one"]
    assert Pictures.open(tmp_path / "h.npz").names == ("three", "seven")
    (back,) = read(tmp_path / "t.npz")
    np.testing.assert_array_equal(back.values, samples[0].values)
    assert (back.bands, back.span, back.notes) == (("a", "b"), (0, 255), {"angle": 1.5})
    packed = crops.Packed.read(tmp_path / "h.npz")
    assert [len(scenes) for scenes in packed.places] == [2]


def test_a_split_that_would_leak_is_refused_and_nothing_is_written(tmp_path):
    samples = [picture("one", "A"), picture("three", "B"), picture("seven", "B")]
    for held_out, words in ((["three"], "both trained on and held out"), (["thre", "A"], "of no sample or place")):
        with pytest.raises(JobError, match=words):
            write(samples, tmp_path / "t.npz", held_out=held_out, held_out_output=tmp_path / "h.npz")
    with pytest.raises(JobError, match="Two samples are called `one`"):
        write([samples[0], samples[0]], tmp_path / "t.npz")
    with pytest.raises(JobError, match=r"No sample is left to train on. Left out: 1 dark"):
        write([LeftOut("x", "dark")], tmp_path / "t.npz")
    assert list(tmp_path.iterdir()) == []


def test_the_same_samples_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write([picture("one", "A")], tmp_path / f"{name}.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_command_packs_and_shows_tiles(bundle, tmp_path, capsys):
    out, tiles = tmp_path / "t.npz", tmp_path / "tiles"
    options = ["--tile", "32", "--level", "0", "--bands", "[B1,B4]", "--scale", "0.001", "--tiles", str(tiles)]
    assert main(["landsat7", str(bundle.parent), "-o", str(out), *options]) == 0
    assert "1 samples in" in capsys.readouterr().out
    with np.load(out, allow_pickle=False) as file:
        (scene,) = json.loads(str(file["scenes"]))
    assert scene["bands"] == ["B1", "B4"] and scene["arrays"] == ["values", "valid", "masks"]
    assert sorted(path.name.rsplit("_", 1)[1] for path in tiles.iterdir()) == ["masks.tif", "values.tif"]
    assert main(["landsat7", str(tmp_path / "nothing"), "-o", str(out)]) == 1
    assert "holds no scene" in capsys.readouterr().err
