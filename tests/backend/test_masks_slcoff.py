"""SLC-off geometry: all stripe pixels inside the scene, no collar, no other holes, however the scene is cut.

All scenes here are made: stripes by the timing of the ETM+ scanner (16.24 px from scan to scan, 14.04 px wide at the
edge of the swath, in pixels of 30 m).
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsinpaint.errors import Cancelled, JobError
from rsinpaint.masks._runs import paint, vertical_runs
from rsinpaint.masks.slcoff import SlcOff


@dataclass
class ArrayScene:
    """What a mask source needs of a scene, on an array (bands, rows, columns)."""

    values: np.ndarray
    nodata_value: float | None = 0
    name: str = "made.tif"

    def __post_init__(self):
        self.count, self.height, self.width = self.values.shape
        self.dtype = self.values.dtype
        self.nodata = (self.nodata_value,) * self.count
        self.fillable = (True,) * self.count

    def read(self, rows, columns, bands=None):
        chosen = range(1, self.count + 1) if bands is None else bands
        return self.values[[band - 1 for band in chosen]][:, rows, columns]

    def empty(self, values, bands=None):
        empty = ~np.isfinite(values)
        return empty if self.nodata_value is None else empty | (values == self.nodata_value)


def stripes(rows, columns, *, at=0.6, tilt=9.5, size=1.0, phase=5.0):
    """Gaps of ETM+ `at` this fraction of the half swath off nadir; `size`: pixels of 30 m in one pixel's side."""
    y, x = np.mgrid[0:rows, 0:columns] * size
    x = x - columns * size / 2
    slope = math.tan(math.radians(tilt))
    swath = (x + y * slope) / 3050 + at
    along = (y - x * slope) * math.cos(math.radians(tilt)) + phase + np.where(swath > 0, 16.24, 0)
    width = 14.04 * np.abs(swath)
    return np.abs(along % 32.48 - 16.24) < np.where(width <= 2, 0, width) / 2


def scene_with(gaps, dtype="uint16", nodata=0, bands=1):
    """A textured scene with nodata at `gaps`."""
    rng = np.random.default_rng(1)
    values = rng.integers(20, 200, (bands, *gaps.shape)).astype(dtype)
    values[:, gaps] = nodata
    return ArrayScene(values, nodata)


def whole(scene, source=None):
    """Holes of the whole scene at once."""
    source = source or prepared(scene)
    return source.holes(slice(0, scene.height), slice(0, scene.width), scene.values, scene.empty(scene.values))


def prepared(scene):
    source = SlcOff()
    source.prepare(scene, lambda fraction: None)
    return source


@settings(max_examples=12, deadline=None)
@given(
    at=st.one_of(st.floats(0.25, 0.95), st.floats(-0.95, -0.25)),
    tilt=st.floats(6, 16),
    size=st.sampled_from([0.5, 25 / 30, 1.0]),
    phase=st.floats(0, 32),
    rows=st.integers(220, 330),
    columns=st.integers(220, 330),
)
def test_all_stripes_are_found_and_nothing_else(at, tilt, size, phase, rows, columns):
    gaps = stripes(rows, columns, at=at, tilt=tilt, size=size, phase=phase)
    holes = whole(scene_with(gaps))[0]
    assert not (holes & ~gaps).any()
    missed = gaps & ~holes  # at the very border of the scene a pixel or two of a stripe show no direction
    assert missed.sum() <= 8 and not missed[2:-2].any()


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 0), ("int16", -999), ("float32", np.nan), ("uint16", 0)])
def test_any_type_and_nodata(dtype, nodata):
    gaps = stripes(240, 260)
    scene = scene_with(gaps, dtype, nodata, bands=2)
    np.testing.assert_array_equal(whole(scene), np.stack([gaps, gaps]))


def test_without_a_nodata_value_zeros_are_looked_at():
    gaps = stripes(240, 260)
    scene = scene_with(gaps, "uint8")
    scene.nodata_value, scene.nodata = None, (None,)
    np.testing.assert_array_equal(whole(scene)[0], gaps)


def test_stripes_coded_zero_under_another_nodata_value_are_found_and_told():
    gaps = stripes(240, 260)
    scene = scene_with(gaps, "int16")
    scene.nodata_value, scene.nodata = -9999, (-9999,)
    source = prepared(scene)
    np.testing.assert_array_equal(whole(scene, source)[0], gaps)
    assert "coded 0" in source.notes[0]


def test_both_halves_of_the_swath():
    gaps = stripes(300, 1400, at=0.0)
    holes = whole(scene_with(gaps))[0]
    assert (gaps & ~holes).sum() <= 8 and not (holes & ~gaps).any()


def test_a_slanted_collar_is_never_a_hole():
    gaps = stripes(400, 400, at=-0.9)
    y, x = np.mgrid[0:400, 0:400]
    collar = x < 150 - 0.2 * y
    holes = whole(scene_with(gaps | collar))[0]
    assert not (holes & ~gaps).any()  # no pixel of the collar but where a stripe, too, runs
    assert not (holes & (x < 110 - 0.2 * y)).any()
    assert not (gaps & ~holes & (x > 150 + 14 / 0.167 - 0.2 * y))[20:-20].any()


def test_a_saw_tooth_collar_is_not_taken_for_stripes():
    y, x = np.mgrid[0:400, 0:400]
    teeth = (x > 300 - 0.3 * y) & ((y - 0.16 * x) % 28 < 13.5) | (x > 390 - 0.3 * y)
    source = prepared(scene_with(teeth))
    assert source.pattern is None and "no periodic stripes" in source.notes[0]


def test_lakes_and_specks_of_zeros_stay():
    gaps = stripes(320, 320, at=0.8)
    rng = np.random.default_rng(2)
    y, x = np.mgrid[0:320, 0:320]
    lake = (y - 150) ** 2 + (x - 160) ** 2 < 60**2
    specks = rng.random(gaps.shape) < 0.01
    holes = whole(scene_with(gaps | lake | specks))[0]
    beside = ~gaps & ~lake
    assert (holes & beside).sum() < 0.02 * gaps.sum()  # specks that touch a stripe
    assert not (holes & lake & ~gaps)[140:160].any()
    assert not (gaps & ~lake & ~holes)[4:-4].any()


def test_bands_that_differ_get_their_own_holes():
    gaps = np.stack([stripes(240, 260), np.roll(stripes(240, 260), 1, axis=0)])
    gaps[1, 0] = False
    scene = ArrayScene(np.where(gaps, 0, 77).astype("uint8"))
    holes = whole(scene)
    assert not (holes & ~gaps).any() and (gaps & ~holes).sum() < 12


def test_thin_gaps():
    gaps = stripes(300, 600, at=0.18)
    assert max(vertical_runs(gaps).stop - vertical_runs(gaps).start) <= 5
    holes = whole(scene_with(gaps))[0]
    assert (gaps & ~holes).sum() <= 8 and not (holes & ~gaps).any()


@settings(max_examples=10, deadline=None)
@given(window=st.integers(17, 150), seed=st.integers(0, 3))
def test_tiles_give_what_the_whole_scene_gives(window, seed):
    rng = np.random.default_rng(seed)
    gaps = stripes(180, 190, at=0.7, phase=seed) | (rng.random((180, 190)) < 0.03)
    gaps[60:90, 40:90] = True
    scene = scene_with(gaps)
    source = prepared(scene)
    pieces = np.zeros(scene.values.shape, bool)
    for top in range(0, 180, window):
        for left in range(0, 190, window):
            rows = slice(max(top - source.reach, 0), min(top + window + source.reach, 180))
            columns = slice(max(left - source.reach, 0), min(left + window + source.reach, 190))
            values = scene.read(rows, columns)
            holes = source.holes(rows, columns, values, scene.empty(values))
            piece = pieces[:, top : top + window, left : left + window]
            inside = holes[:, top - rows.start :, left - columns.start :]
            piece[:] = inside[:, : piece.shape[1], : piece.shape[2]]
    np.testing.assert_array_equal(pieces, whole(scene, source))


@pytest.mark.parametrize("kind", ["nothing", "salt", "clouds", "collar"])
def test_scenes_without_stripes_have_no_holes(kind):
    rng = np.random.default_rng(3)
    empty = np.zeros((300, 300), bool)
    if kind == "salt":
        empty = rng.random(empty.shape) < 0.3
    elif kind == "clouds":
        y, x = np.mgrid[0:300, 0:300]
        for top, left, radius in rng.uniform((0, 0, 3), (300, 300, 25), (60, 3)):
            empty |= (y - top) ** 2 + (x - left) ** 2 < radius**2
    elif kind == "collar":
        empty[:, :120] = True
    source = prepared(scene_with(empty))
    assert not whole(scene_with(empty), source).any()
    assert len(source.notes) == 1


def test_a_scene_without_a_value_is_refused():
    with pytest.raises(JobError) as caught:
        prepared(ArrayScene(np.zeros((2, 50, 60), "uint8")))
    assert caught.value.code == "nothing_valid"


def test_prepare_can_be_cancelled():
    def stop(fraction):
        raise Cancelled

    with pytest.raises(Cancelled):
        SlcOff().prepare(scene_with(stripes(100, 100)), stop)


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**20))
def test_runs_painted_are_the_array_again(rows, columns, seed):
    flags = np.random.default_rng(seed).random((rows, columns)) < 0.5
    np.testing.assert_array_equal(paint(flags.shape, vertical_runs(flags)), flags)
