"""Published data sets in their published layouts, made small. Numbers of faults as in `test_prepare`."""

import inspect
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from docstring_parser import parse
from scipy.io import netcdf_file

from rsinpaint.errors import JobError
from tests.training.test_prepare import write_raster
from training import prepare
from training.holes import HoleRecipe, HoleSource
from training.pictures import Pictures
from training.prepare.__main__ import main, parser
from training.prepare.packing import LeftOut, Sample, read
from training.prepare.sources import SOURCES, irregular_masks, olci, rice, sen12mscr, spacenet

PAGE = Path("docs/preparing-data.md")
FLAGS = "INVALID WATER LAND CLOUD CLOUD_AMBIGUOUS CLOUD_MARGIN"


def picture(path: Path, planes: np.ndarray, driver: str = "PNG", **more) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_raster(path, planes, **{"crs": None, "transform": None, "driver": driver} | more)


def test_every_source_is_listed_and_all_its_options_have_help():
    files = {path.stem for path in (Path(prepare.__file__).parent / "sources").glob("*.py")} - {"__init__"}
    assert files == {name.replace("-", "_") for name in SOURCES}
    for source in SOURCES.values():
        told = {one.arg_name for one in parse(source.__doc__ or "").params if one.description}
        assert told == set(inspect.signature(source).parameters)


def test_every_command_of_the_page_is_understood():
    """S1 fault 9: the documented options could not be parsed."""
    text = PAGE.read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"^ +python -m training\.prepare (.+)$", text, re.MULTILINE)
    told = {parser().parse_args(shlex.split(command)).source for command in commands}
    assert told == set(SOURCES)


@pytest.fixture
def rice2(tmp_path) -> Path:
    """Three pairs of 24 x 40, pure red where clear, white where cloudy; the mask of picture 7 has cloud and shadow."""
    for number in (0, 7, 12):
        clear = np.zeros((3, 24, 40), np.uint8)
        clear[0] = 200
        picture(tmp_path / "RICE2" / "label" / f"{number}.png", clear)
        picture(tmp_path / "RICE2" / "cloud" / f"{number}.png", np.full((3, 24, 40), 255, np.uint8))
    mask = np.zeros((1, 24, 40), np.uint8)
    mask[0, :4], mask[0, 4:8] = 255, 128
    picture(tmp_path / "RICE2" / "mask" / "7.png", mask)
    return tmp_path


def test_rice_pairs_keep_their_channel_order_and_their_size(rice2):
    """S3 faults 6 and 7: pictures were read as blue, green, red without saying so, and had to be square."""
    found = {sample.name: sample for sample in rice.samples(rice2)}
    assert sorted(found) == ["RICE2_0", "RICE2_12", "RICE2_7"]
    sample = found["RICE2_7"]
    assert sample.bands == ("red", "green", "blue") and sample.values.shape == (3, 24, 40)
    assert sample.values[:, 0, 0].tolist() == [200, 0, 0] and (sample.cloudy == 255).all() and sample.valid.all()
    assert sample.masks[0, :8].all() and not sample.masks[0, 8:].any()
    assert found["RICE2_0"].masks is None


def test_rice_runs_share_a_place(rice2):
    places = {sample.name: sample.place for sample in rice.samples(rice2 / "RICE2", run=10)}
    assert places == {"0": "run0", "7": "run0", "12": "run1"}


def test_rice_without_a_partner_is_refused(rice2):
    (rice2 / "RICE2" / "label" / "7.png").unlink()
    with pytest.raises(JobError, match="1 pictures without a partner: `7`"):
        list(rice.samples(rice2))


def test_training_and_held_out_pictures_are_those_of_the_list(rice2, capsys):
    """S3 fault 4, S4a fault 1: the loader's names equal the list's, and no picture is in both files."""
    (rice2 / "test.txt").write_text("0.png\n12.png\n")
    where = ["-o", str(rice2 / "t.npz"), "--held_out_output", str(rice2 / "h.npz")]
    assert main(["rice", str(rice2 / "RICE2"), *where, "--held_out", str(rice2 / "test.txt")]) == 0
    assert Pictures.open(rice2 / "t.npz").names == ("7",)
    assert Pictures.open(rice2 / "h.npz").names == ("0", "12")
    assert "2 held out in" in capsys.readouterr().out
    loaded = Pictures.open(rice2 / "t.npz").read(0)
    assert loaded.cloudy is not None and loaded.holes is not None and loaded.span == (0, 255)
    assert loaded.holes.sum() == 8 * 40


def test_sen12mscr_pairs_by_name_and_keeps_regions_together(tmp_path):
    clear = np.arange(13 * 64, dtype=np.uint16).reshape(13, 8, 8) + 100
    clear[:, 7, 7] = 0  # not imaged
    clear[4, 0, 0] = 0  # a true zero
    for scene, patch in ((39, 100), (39, 101), (40, 1)):
        for kind, planes in (("s2", clear), ("s2_cloudy", clear + 3000)):
            name = f"ROIs1158_spring_{kind}/{kind}_{scene}/ROIs1158_spring_{kind}_{scene}_p{patch}.tif"
            picture(tmp_path / name, planes, "GTiff")
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[0, 0, 1], mask[0, 0, 2] = 1, 255
    picture(tmp_path / "mask" / "ROIs1158_spring_39_p100.tif", mask, "GTiff", nodata=255)
    found = {sample.name: sample for sample in sen12mscr.samples(tmp_path, bands=["B04", "B05", "B8A"])}
    assert {sample.place for sample in found.values()} == {"ROIs1158_spring_39", "ROIs1158_spring_40"}
    sample = found["ROIs1158_spring_39_p100"]
    np.testing.assert_array_equal(sample.values, clear[[3, 4, 8]])
    np.testing.assert_array_equal(sample.cloudy, clear[[3, 4, 8]] + 3000)
    assert sample.valid[:, 0, 0].all() and not sample.valid[:, 7, 7].any()
    assert sample.masks[0, 0].tolist() == [0, 1, 0, 0, 0, 0, 0, 0] and not sample.valid[:, 0, 2].any()
    with pytest.raises(JobError, match="has no band B99"):
        list(sen12mscr.samples(tmp_path, bands=["B99"]))


def test_spacenet_is_averaged_in_bands_5_3_2(tmp_path):
    """S4b fault 5 once more, on whole numbers: the mean is kept to half of one."""
    noise = np.random.default_rng(0).integers(1, 2000, (8, 65, 65), np.uint16)
    noise[4, 30, 30] = 0  # a true zero in one band
    picture(tmp_path / "MUL" / "MUL-PanSharpen_AOI_4_Shanghai_img1.tif", noise, "GTiff")
    edge = noise.copy()
    edge[:, :, :40] = 0
    picture(tmp_path / "MUL" / "MUL-PanSharpen_AOI_4_Shanghai_img2.tif", edge, "GTiff")
    sample, left_out = spacenet.samples(tmp_path, side=26)
    assert isinstance(left_out, LeftOut) and left_out.name.endswith("img2")
    assert isinstance(sample, Sample) and sample.values.shape == (3, 26, 26) and sample.valid.all()
    assert sample.bands == ("red", "green", "blue") and sample.span == (0, 2047) and sample.values.dtype == np.uint16
    np.testing.assert_allclose(sample.values.mean((1, 2)), noise[[4, 2, 1]].mean((1, 2)), atol=0.05)
    partly = list(spacenet.samples(tmp_path, side=26, least=0.2))[1]
    assert isinstance(partly, Sample) and not partly.valid[:, :, :10].any() and partly.valid[:, :, -8:].all()


def product(folder: Path, flags: dict[str, np.ndarray], order: str, bands=("Oa01", "Oa02", "Oa06")) -> Path:
    """A level 2 folder of 16 x 48: reflectance 0.02 from 3000 * 1e-5 - 0.01, flags in the order given."""
    home = folder / "S3A_OL_2_WFR____20210604T001016_20210604T001316_20210604T021918_0179_x.SEN3"
    home.mkdir(parents=True)
    for band in bands:
        stored = np.full((16, 48), 3000, np.int16)
        if band == "Oa06":
            stored[3, 40] = 900  # negative reflectance
        attributes = {"scale_factor": np.float32(1e-5), "add_offset": np.float32(-0.01), "_FillValue": np.int16(-1)}
        _variable(home / f"{band}_reflectance.nc", f"{band}_reflectance", stored, attributes)
    names = order.split()
    bits = np.array([1 << n for n in range(len(names) - 1)] + [1 << 31]).astype(np.uint32).view(np.int32)
    plane = np.zeros((16, 48), np.int32)
    for name, where in flags.items():
        plane[where] |= bits[names.index(name)]
    _variable(home / "wqsf.nc", "WQSF", plane, {"flag_masks": bits, "flag_meanings": order})
    return home


def _variable(path: Path, name: str, plane: np.ndarray, attributes: dict[str, object]) -> None:
    with netcdf_file(path, "w") as file:
        for axis, size in zip(("rows", "columns"), plane.shape, strict=True):
            file.createDimension(axis, size)
        variable = file.createVariable(name, plane.dtype, ("rows", "columns"))
        variable[:] = plane
        for key, value in attributes.items():
            setattr(variable, key, value)


@pytest.mark.parametrize("order", [FLAGS, "INVALID CLOUD WATER LAND", "INVALID WATER LAND CLOUD"])
def test_olci_flags_count_by_their_names(tmp_path, order):
    """S4b fault 8: any number of bands and any size. And bits move between products; the last one here is the sign."""
    cloud = np.zeros((16, 48), bool)
    cloud[:3, :16] = True  # 48 of 256 pixels: 0.1875
    product(tmp_path, {"CLOUD": cloud, "WATER": np.ones((16, 48), bool)}, order)
    found = list(olci.samples(tmp_path, bands=["Oa02", "Oa06"], tile=16))
    assert [type(one) for one in found] == [Sample, Sample, LeftOut]  # clouds; whole; a negative value
    clouds, whole, _ = found
    assert clouds.masks.shape == (1, 16, 16) and (clouds.masks[0] == cloud[:, :16]).all()
    assert (clouds.valid == (clouds.masks == 0)).all() and not clouds.values[:, :3].any()
    np.testing.assert_allclose(whole.values, 0.02, atol=1e-7)
    assert (
        whole.valid.all() and whole.masks is None and whole.place == "S3A_20210604" and whole.bands == ("Oa02", "Oa06")
    )


def test_olci_land_is_no_hole(tmp_path):
    land = np.zeros((16, 48), bool)
    land[:4] = True
    product(tmp_path, {"LAND": land, "CLOUD": land}, FLAGS)
    assert all(isinstance(one, LeftOut) for one in olci.samples(tmp_path, bands=["Oa01"], tile=16))
    with pytest.raises(JobError, match="does not name its flags"):
        olci.flagged(next(tmp_path.glob("*.SEN3")) / "Oa01_reflectance.nc", ("CLOUD",))


@pytest.mark.parametrize("kind", ["free_form", "boxes"])
def test_drawn_masks_are_sorted_by_their_share(kind):
    """S4a fault 7: an empty or a full mask divided by zero."""
    found = [one for one in irregular_masks.samples(kind=kind, count=6, side=64, seed=5) if isinstance(one, Sample)]
    assert len(found) == 6
    for sample in found:
        low, high = (int(number) / 100 for number in sample.place.split("-"))
        assert low < sample.masks.mean() <= high and 0 < sample.masks.mean() <= 0.6
    again = list(irregular_masks.samples(kind=kind, count=3, side=64, seed=5))
    assert all((a.masks == b.masks).all() for a, b in zip(found[:3], again, strict=True))


def test_shares_fall_into_classes_by_hand():
    shares = (0.0, 0.001, 0.1, 0.11, 0.3, 0.6, 0.601, 1.0)
    assert [irregular_masks.ratio_class(share) for share in shares] == [
        None, "0-10", "0-10", "10-20", "20-30", "50-60", None, None
    ]  # fmt: skip


def test_a_segment_covers_what_is_near_it():
    holes = np.zeros((9, 12), bool)
    irregular_masks.segment(holes, (4, 3), (4, 8), 3)
    assert holes.sum() == 3 * 8 and holes[3:6, 2:10].all()  # corners of the ends are 1.41 px away, 1.5 is near


def test_drawings_are_read_from_a_folder(tmp_path):
    (tmp_path / "cat.ndjson").write_text(json.dumps({"word": "cat", "drawing": [[[10, 240], [128, 128]], [[5], [5]]]}))
    (sample,) = irregular_masks.samples(tmp_path, kind="drawings", count=1, side=64)
    assert sample.masks[0, 32, 5:59].all() and not sample.masks[0, :10].any()  # one level stroke across the middle
    with pytest.raises(JobError, match="holds no drawings"):
        list(irregular_masks.samples(tmp_path.parent, kind="drawings"))


def test_given_masks_are_sorted_and_training_draws_from_a_class(tmp_path):
    for name, rows in (("few", 3), ("some", 7), ("none", 0)):
        plane = np.zeros((1, 32, 32), np.uint8)
        plane[0, :rows] = 255
        picture(tmp_path / "masks" / f"{name}.png", plane)
    np.save(tmp_path / "masks" / "plain.npy", (np.arange(1024) < 500).reshape(32, 32, 1))
    out = tmp_path / "m.npz"
    assert main(["irregular-masks", "--folder", str(tmp_path / "masks"), "--kind", "pictures", "-o", str(out)]) == 0
    assert {sample.name: sample.place for sample in read(out)} == {"few": "0-10", "some": "20-30", "plain": "40-50"}
    draw = HoleSource(HoleRecipe({"files": 1.0}, files=out, classes=("20-30",)))
    assert draw(32, np.random.default_rng(0)).sum() == 7 * 32
    (dark,) = [one for one in irregular_masks.samples(tmp_path / "masks", kind="pictures", hole="dark")
               if isinstance(one, Sample) and one.name == "plain"]  # fmt: skip
    assert dark.masks.sum() == 524


def test_pickled_masks_are_never_opened(tmp_path):
    """S4a fault 8: a pickle can run anything."""
    np.save(tmp_path / "val.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(JobError, match="not pickled objects"):
        list(irregular_masks.samples(tmp_path, kind="pictures"))
