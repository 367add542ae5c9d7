"""What adversarial training is given: pictures, splits, holes, batches.

Faults are numbered as in the description of the published systems (see test_adversarial_faults).
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from tests.training.small_runs import write_pictures
from training.holes import KINDS, HoleRecipe, HoleSource, read_mask
from training.pictures import Pictures, split
from training.samples import SampleRecipe, Samples, Values

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
SMALL = SampleRecipe(side=48, batch=4, holes=HoleRecipe({"irregular": 1}))


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("packed") / "pictures.npz", 3, side=56)


def samples(packed: Path, **changes) -> Samples:
    pictures = Pictures.open(packed)
    return Samples(replace(SMALL, **changes), pictures, range(len(pictures)))


def write_picture(path: Path, planes: np.ndarray, nodata: float | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = planes.shape
    driver = "PNG" if path.suffix == ".png" else "GTiff"
    profile = {"driver": driver, "count": count, "height": height, "width": width, "dtype": planes.dtype}
    with rasterio.open(path, "w", **profile, **({} if nodata is None else {"nodata": nodata})) as file:
        file.write(planes)


def test_pairs_are_read_from_folders_by_their_names(tmp_path):
    """S2.6 fault 7: results that cannot be matched to their inputs."""
    rng = np.random.default_rng(0)
    for name in ("b_2", "a_1"):
        clear = rng.integers(0, 200, (3, 20, 24), np.uint8)
        mask = np.zeros((1, 20, 24), np.uint8)
        mask[:, 3:5] = 255
        for kind, planes in (("clear", clear), ("cloudy", clear + 50), ("mask", mask)):
            write_picture(tmp_path / kind / f"{name}.png", planes)
    pictures = Pictures.open(tmp_path)
    assert pictures.names == ("a_1", "b_2") and pictures.places == ("a", "b")
    for number, name in enumerate(pictures.names):
        picture = pictures.read(number)
        assert picture.name == name and picture.valid.all()
        np.testing.assert_array_equal(picture.cloudy, picture.clear + 50)
        assert picture.holes[3:5].all() and picture.holes.sum() == 48
    (tmp_path / "cloudy" / "b_2.png").unlink()
    with pytest.raises(ValueError, match=r"b_2.png is not there"):
        Pictures.open(tmp_path)
    with pytest.raises(ValueError, match="holds no picture"):
        Pictures.open(tmp_path / "nothing")


def test_what_is_learnt_from_is_what_the_list_says_and_the_rest_is_watched(packed, tmp_path):
    """S4a fault 1 and S3.9 fault 4: training on the validation list, validation on the training list."""
    listed = tmp_path / "train.txt"
    listed.write_text("P7_a\nP2_a\nP0_a\n")
    pictures = Pictures.open(packed)
    learnt, watched = split(pictures, listed=listed)
    drawn = Samples(SMALL, pictures, learnt)
    assert drawn.names == ["P7_a", "P2_a", "P0_a"]
    seen = {name for step in range(2 * drawn.steps_per_epoch) for name in drawn.batch(step).names}
    assert seen == set(drawn.names)
    assert not seen & {name for batch in Samples(SMALL, pictures, watched).watched(99) for name in batch.names}
    listed.write_text("P7_a\nP77_a\n")
    with pytest.raises(ValueError, match="1 pictures that are not there, for instance P77_a"):
        split(pictures, listed=listed)


def test_folds_part_places_not_pictures():
    pictures = Pictures(tuple("abcdefghij"), ("x", "x", "y", "z", "z", "u", "v", "v", "w", "w"), lambda number: None)
    held = []
    for fold in range(3):
        learnt, watched = split(pictures, folds=3, fold=fold)
        assert sorted(learnt + watched) == list(range(10))
        assert not {pictures.places[n] for n in learnt} & {pictures.places[n] for n in watched}
        held += watched
    assert sorted(held) == list(range(10))
    with pytest.raises(ValueError, match="fold 3, expected one of 0 to 2"):
        split(pictures, folds=3, fold=3)
    with pytest.raises(ValueError, match="6 places, expected at least one for each of 7 folds"):
        split(pictures, folds=7)


def test_an_epoch_sees_every_picture_once_and_its_last_batch_may_be_smaller(packed):
    """S1.7 fault 10, S2.6 fault 4: a batch size that does not divide the set."""
    drawn = samples(packed)
    assert drawn.steps_per_epoch == 3
    first, second = ([drawn.batch(epoch * 3 + step) for step in range(3)] for epoch in (0, 1))
    for batches in (first, second):
        assert [len(batch.names) for batch in batches] == [4, 4, 2]
        assert all(batch.truth.shape == (len(batch.names), 3, 48, 48) for batch in batches)
        assert sorted(name for batch in batches for name in batch.names) == sorted(drawn.names)
    assert [batch.names for batch in first] != [batch.names for batch in second]
    assert samples(packed, visits=2).steps_per_epoch == 5


def test_a_batch_depends_on_its_step_alone(packed):
    one, two = samples(packed, turns=True), samples(packed, turns=True)
    two.batch(3)
    again, other = two.batch(5), two.batch(6)
    first = one.batch(5)
    assert first.names == again.names
    assert all(torch.equal(getattr(first, name), getattr(again, name)) for name in ("truth", "image", "holes"))
    assert not torch.equal(again.truth[:2], other.truth[:2])


def test_names_belong_to_their_pictures_whatever_their_size(packed, tmp_path):
    """S2.6 fault 7, S3.9 fault 7: sizes that are wired in; pictures here are higher than wide."""
    drawn = samples(packed, holes=HoleRecipe())
    batch = drawn.batch(0)
    for name, truth in zip(batch.names, batch.truth, strict=True):
        whole = drawn.pictures.read(drawn.pictures.names.index(name)).clear
        views = np.lib.stride_tricks.sliding_window_view(whole[0], (48, 48))
        assert (views == (truth[0] * 255).round().numpy()).all((2, 3)).any()
    with pytest.raises(ValueError, match=r"P\d_a has 64 x 56 px, expected at least 60 on each side"):
        samples(packed, side=60).batch(0)


def test_zeros_are_values_and_nodata_is_never_learnt(tmp_path):
    """S1.7 fault 10: zero was taken for nodata."""
    planes = np.random.default_rng(0).integers(1, 200, (2, 60, 60), np.uint8)
    planes[:, 20:40, 20:40] = 0
    write_picture(tmp_path / "Zero_1.tif", planes)
    assert Pictures.open(tmp_path).read(0).valid.all()
    planes[:, :20] = 255
    write_picture(tmp_path / "Zero_1.tif", planes, nodata=255)
    pictures = Pictures.open(tmp_path)
    drawn = Samples(replace(SMALL, side=30, batch=1), pictures, [0])
    assert all(float(drawn.batch(step).truth.max()) < 1 for step in range(5))
    with pytest.raises(ValueError, match="no picture has a piece of 48 px without nodata"):
        Samples(replace(SMALL, batch=1), pictures, [0]).batch(0)


@pytest.mark.parametrize("held", ["zero", "truth", "constant", "tension-spline"])
def test_a_hole_is_one_in_all_bands_and_known_pixels_stay(packed, held):
    """S1.7 fault 7: holes that are holes in some bands alone."""
    batch = samples(packed, held=held).batch(0)
    assert batch.holes.shape == (4, 1, 48, 48) and 0 < float(batch.holes.mean()) < 1
    hole = (batch.holes > 0).expand_as(batch.image)
    assert torch.equal(batch.image[~hole], batch.truth[~hole])
    if held == "zero":
        assert batch.image[hole].eq(0).all()
    elif held == "constant":
        assert all(len(one[where].unique()) == 1 for one, where in zip(batch.image, hole, strict=True))
    elif held == "truth":
        assert torch.equal(batch.image, batch.truth)
    else:
        error, flat = ((batch.image - batch.truth)[hole].abs().mean(), (batch.truth - batch.truth.mean())[hole].abs())
        assert 0 < float(error) < float(flat.mean())


def test_cloudy_partners_are_cut_and_turned_like_the_truth(packed):
    batch = samples(packed, held="cloudy", turns=True, holes=HoleRecipe()).batch(0)
    assert batch.holes.eq(1).all()
    expected = ((batch.truth * 255).round() / 2).floor() + 110
    torch.testing.assert_close(batch.image * 255, expected)


def test_values_become_what_networks_want(packed):
    levels, signed = (samples(packed, values=Values(signed=sign)).batch(0).truth for sign in (False, True))
    torch.testing.assert_close(signed, 2 * levels - 1)
    cut = samples(packed, values=Values(low=100, high=150)).batch(0).truth
    torch.testing.assert_close(cut, ((levels * 255 - 100) / 50).clamp(0, 1), rtol=0, atol=1e-5)
    spread = samples(packed, values=Values("range")).batch(0).truth
    assert spread.min() == 0 and spread.max() == 1
    batch = samples(packed, values=Values("known_span")).batch(0)
    known = batch.truth.masked_fill(batch.holes > 0, 0.5)
    torch.testing.assert_close(known.amin((2, 3)), torch.zeros(4, 3))
    torch.testing.assert_close(known.amax((2, 3)), torch.ones(4, 3))


def test_a_file_s_own_span_is_used(packed, tmp_path):
    with np.load(packed) as file:
        arrays = dict(file)
    scenes = [scene | {"span": [50, 250]} for scene in json.loads(str(arrays.pop("scenes")))]
    np.savez(tmp_path / "spans.npz", scenes=np.array(json.dumps(scenes)), **arrays)
    plain, own = (samples(path).batch(0).truth for path in (packed, tmp_path / "spans.npz"))
    torch.testing.assert_close(own, ((plain * 255 - 50) / 200).clamp(0, 1), rtol=0, atol=1e-5)


def test_a_constant_band_has_a_span(tmp_path):
    """S4b fault 7: the scaling divides by zero."""
    planes = np.full((2, 60, 60), 77, np.uint8)
    planes[1, ::2] = 99
    write_picture(tmp_path / "Flat_1.tif", planes)
    drawn = Samples(replace(SMALL, batch=1, values=Values("known_span")), Pictures.open(tmp_path), [0])
    truth = drawn.batch(0).truth
    assert truth.isfinite().all() and truth[:, 0].eq(0).all() and truth[:, 1].unique().tolist() == [0, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_hole_has_the_shape_that_is_asked_for(kind):
    for side in (64, 100):
        holes = KINDS[kind](side, np.random.default_rng(3), (0.1, 0.2))
        again = KINDS[kind](side, np.random.default_rng(3), (0.1, 0.2))
        assert holes.shape == (side, side) and holes.dtype == bool and np.array_equal(holes, again)
        assert 0 < holes.mean() < 1


def test_published_boxes_keep_to_their_margin_and_strokes_to_their_width():
    rng = np.random.default_rng(0)
    for _ in range(5):
        boxes = KINDS["boxes"](256, rng, (0, 1))
        assert not boxes[:40].any() and not boxes[:, :40].any() and boxes[112:144].any()
    strokes = KINDS["free_form"](256, rng, (0, 1))
    run = max(len(line) for row in strokes for line in "".join("#" if hole else " " for hole in row).split())
    assert 0.03 < strokes.mean() < 0.7 and run >= 10


def test_masks_from_files_keep_to_their_ratio_class(tmp_path):
    for columns in (2, 8, 24):
        mask = np.zeros((1, 40, 40), np.uint8)
        mask[:, :, :columns] = 255
        write_picture(tmp_path / "all" / f"{columns}.png", mask)
    np.save(tmp_path / "all" / "small.npy", np.ones((30, 30, 1)))
    source = HoleSource(HoleRecipe({"files": 1}, (0.15, 0.25), tmp_path, ("all",)))
    found = [source(40, np.random.default_rng(seed)) for seed in range(6)]
    assert all(holes.shape == (40, 40) and holes.mean() == 0.2 for holes in found)
    with pytest.raises(ValueError, match="holds no mask of the classes none"):
        HoleSource(HoleRecipe({"files": 1}, files=tmp_path, classes=("none",)))
    with pytest.raises(ValueError, match="holes of kind `dots`, expected some of boxes"):
        HoleSource(HoleRecipe({"dots": 1}))


def test_masks_come_from_prepared_files_by_class(tmp_path):
    scenes = [{"name": f"m{n}", "place": "m", "class": kind} for n, kind in enumerate(("scatter", "front"))]
    masks = {f"masks_{n}": np.full((1, 9, 9), n, np.uint8) for n in range(2)}
    np.savez(tmp_path / "masks.npz", scenes=np.array(json.dumps(scenes)), **masks)
    for kind, expected in (("scatter", False), ("front", True)):
        source = HoleSource(HoleRecipe({"files": 1}, (0, 1), tmp_path / "masks.npz", (kind,)))
        assert (source(9, np.random.default_rng(0)) == expected).all()


def test_a_pickled_mask_is_refused(tmp_path):
    """S4a fault 8: published masks are unpickled, which may run anything."""
    np.save(tmp_path / "mask.npy", np.array([[{"run": "this"}]], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        read_mask(tmp_path / "mask.npy")
