"""Networks that look at all of their input (promise 5): windows belong to the scene, whatever the windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsinpaint.errors import JobError
from rsinpaint.models import bands
from rsinpaint.models.bands import Group
from rsinpaint.models.fixed_windows import FixedWindows
from rsinpaint.models.normal import Normal, Scaling
from rsinpaint.raster.percentiles import Percentiles
from rsinpaint.tiles import plan

SIDE = 32
BOTH = Group((0, 1), (0, 1))


class WholeWindow:
    """Stands in for a network on its device: each answer hangs on all of the window, and on where it lies in it."""

    def __init__(self) -> None:
        self.count = 0

    def answers(self, pictures):
        self.count += len(pictures)
        ramp = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
        assert all(image.shape[1:] == holes.shape[1:] == (SIDE, SIDE) for image, holes in pictures)
        return [(image + np.float32(image.mean() + holes.mean()) + ramp, None) for image, holes in pictures]


def filled(image, holes, window, memory=1 << 28):
    device = WholeWindow()
    windows = FixedWindows(device, SIDE, image.shape[1:], memory)
    out = np.full(image.shape, np.nan, np.float32)
    for tile in plan(*image.shape[1:], window=window, halo=windows.seen):
        read, origin = (slice(None), *tile.read), (tile.read[0].start, tile.read[1].start)
        if holes[(slice(None), *tile.write)].any():
            part, _ = windows(image[read], holes[read], holes[read], (slice(None), *tile.inside), origin, BOTH)
            out[(slice(None), *tile.write)] = part
    return out, device.count


@settings(max_examples=25, deadline=None, derandomize=True)
@given(height=st.integers(5, 120), width=st.integers(5, 120), window=st.integers(8, 80), seed=st.integers(0, 99))
def test_windows_change_nothing(height, width, window, seed):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(2, height, width)).astype(np.float32)
    holes = np.broadcast_to(rng.random((height, width)) < 0.05, image.shape)
    whole, _ = filled(image, holes, 1000)
    cut, _ = filled(image, holes, window)
    assert np.isfinite(cut[holes]).all()
    np.testing.assert_array_equal(cut[holes], whole[holes])


def test_a_window_is_computed_once_where_memory_allows_and_gives_the_same_where_not():
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 150, 140)).astype(np.float32)
    holes = np.ones(image.shape, bool)
    whole, least = filled(image, holes, 1000)
    kept, once = filled(image, holes, 40)
    poor, more = filled(image, holes, 40, memory=0)
    assert once == least < more
    np.testing.assert_array_equal(kept, whole)
    np.testing.assert_array_equal(poor, whole)


def test_windows_without_holes_are_left_out():
    image, holes = np.zeros((2, 200, 200), np.float32), np.zeros((2, 200, 200), bool)
    holes[:, 3:5, 3:5] = True
    assert filled(image, holes, 1000)[1] == 1


def test_neighbours_fade_into_each_other_without_a_step():
    """The stand-in jumps by some 1000 from window to window; faded over the overlap no step is larger than the ramp."""
    image, holes = np.zeros((2, 32, 100), np.float32), np.ones((2, 32, 100), bool)
    row = filled(image, holes, 1000)[0][0, 16]
    assert np.abs(np.diff(row)).max() < 10 and row.max() - row.min() > 20


@pytest.mark.parametrize(
    ("card_bands", "chosen", "seen", "taken"),
    [
        ("any", (1,), [(0, 1, 2, 3)], [(0, 1, 2, 3)]),
        (3, (1, 2, 3, 4), [(0, 1, 2), (1, 2, 3)], [(0, 1, 2), (3,)]),
        (3, (4, 2, 1), [(3, 1, 0)], [(3, 1, 0)]),
        (("red", "green", "blue"), (2, 4), [(1, 3, 1)], [(1, 3)]),
        (1, (1, 3), [(0,), (2,)], [(0,), (2,)]),
    ],
)
def test_bands_are_shown_in_groups_that_the_network_knows(card_bands, chosen, seen, taken):
    class Card:
        bands = card_bands

    groups = bands.groups(Card, chosen, 4)
    assert [group.seen for group in groups] == seen
    assert [group.taken for group in groups] == taken


def test_networks_for_many_bands_want_exactly_these():
    class Card:
        id, bands = "ocean", 11

    bands.check(Card, "scene.tif", 11)
    with pytest.raises(JobError, match="11 for model `ocean`.*--bands"):
        bands.check(Card, "scene.tif", 5)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_percentiles_do_not_hang_on_the_order_and_are_near_the_truth(dtype):
    rng = np.random.default_rng(0)
    values = (rng.normal(100, 30, 20_000)).clip(0, 255).astype(dtype)
    if np.dtype(dtype).kind != "u":
        values -= np.array(90, dtype)
    whole, parts = Percentiles(), Percentiles()
    whole.add(values)
    for part in np.array_split(values[rng.permutation(values.size)], 7):
        parts.add(part.reshape(-1, 1))
    for percent in (0.0, 0.1, 50, 99.9, 100):
        assert whole.at(percent) == parts.at(percent)
        near = 1e-3 * float(np.ptp(values)) + (0.5 if np.dtype(dtype).kind in "iu" else 0)
        assert whole.at(percent) == pytest.approx(
            np.percentile(values.astype(float), percent, method="lower"), abs=near
        )


@pytest.mark.parametrize("centre", [300.0, -5.0, 1e6])
@pytest.mark.parametrize("count", [1000, 200_000])
def test_a_small_spread_about_a_large_value_is_told_apart(centre, count):
    values = (centre + np.random.default_rng(0).normal(0, abs(centre) * 3e-4, count)).astype(np.float32)
    found = Percentiles()
    for part in np.array_split(values, 5):
        found.add(part)
    for percent in (0.1, 99.9):
        near = 0.01 * float(np.ptp(values))
        assert found.at(percent) == pytest.approx(
            np.percentile(values.astype(float), percent, method="lower"), abs=near
        )
    same = Percentiles()
    same.add(np.full(50, 301.99, np.float32))
    assert same.at(0.1) == same.at(99.9) == pytest.approx(301.99)


def test_no_numbers_have_no_percentiles_but_an_answer():
    assert Percentiles().at(50) == 0.0


def normal(bytes_each: int = 0) -> Normal:
    mean, std = np.array([100.0, 50.0]), np.array([20.0, 5.0])
    ends = {"range_low": np.array([40.0, 50.0]), "range_high": np.array([160.0, 50.0])}
    return Normal(mean, std, mean - 99, mean + 99, **ends, bytes_each=bytes_each)


@pytest.mark.parametrize(
    ("kind", "span", "bytes_each", "expected"),
    [
        ("mean-std", (0, 1), 0, [1.0, 1.0]),
        ("none", (0, 1), 0, [120.0, 55.0]),
        ("range", (0, 1), 0, [80 / 120, 1.0]),  # a band without a range keeps its deviation
        ("range", (-1, 1), 0, [2 * 80 / 120 - 1, 1.0]),
        ("picture", (0, 1), 1, [120 / 255, 55 / 255]),
        ("picture", (-1, 1), 1, [2 * 120 / 255 - 1, 2 * 55 / 255 - 1]),
        ("picture", (0, 1), 2, [80 / 120, 1.0]),
    ],
)
def test_networks_see_the_values_that_they_were_trained_on(kind, span, bytes_each, expected):
    scaling = Scaling.of(kind, normal(bytes_each), span)
    shown = scaling.forth(np.ones((2, 1, 1), np.float32))
    np.testing.assert_allclose(shown.ravel(), expected, rtol=1e-6)
    for band in range(2):
        np.testing.assert_allclose(scaling.back(shown[band], band), 1, rtol=1e-5)
        width = scaling.error(np.array([[0.5]], np.float32), band) * normal().std[band]
        assert width > 0


def test_what_lies_beyond_the_range_is_cut_off_before_a_network_for_pictures():
    scaling = Scaling.of("range", normal(), (0, 1))
    shown = scaling.forth(np.array([-90, 90], np.float32).reshape(2, 1, 1))
    assert shown.ravel().tolist() == [0, 1]
