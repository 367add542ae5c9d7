"""Windows cover the scene once, with their halo; blending keeps what is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsinpaint.tiles import blend, plan

SIDES = st.integers(1, 300)


@given(
    height=SIDES,
    width=SIDES,
    window=st.integers(16, 128),
    halo=st.integers(0, 40),
    multiple=st.sampled_from([1, 8, 16]),
)
def test_each_pixel_is_written_once_with_its_halo(height, width, window, halo, multiple):
    written = np.zeros((height, width), int)
    for tile in plan(height, width, window=window, halo=halo, multiple=multiple):
        written[tile.write] += 1
        for read, write, side in zip(tile.read, tile.write, (height, width), strict=True):
            assert read.start <= max(write.start - halo, 0) and read.start % multiple == 0
            assert read.stop >= min(write.stop + halo, side) and read.stop <= side
        part = np.zeros((height, width))[tile.read]
        part[tile.inside] = 1
        assert part.sum() == np.zeros((height, width))[tile.write].size
    assert (written == 1).all()


def test_a_window_smaller_than_the_network_s_grid_is_refused():
    with pytest.raises(ValueError, match="at least 16"):
        list(plan(10, 10, window=8, halo=0, multiple=16))


dtypes = st.sampled_from(
    ["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64", "float32", "float64"]
)


@given(dtype=dtypes, seed=st.integers(0, 99), at=st.sampled_from(["least", "middle", "greatest", "none"]))
def test_known_pixels_stay_and_no_fill_reads_as_empty(dtype, seed, at):
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    limits = np.iinfo(kind) if kind.kind in "iu" else np.finfo(np.float32)
    least, greatest = float(limits.min), float(limits.max)
    nodata = {"least": least, "middle": 7.0, "greatest": greatest, "none": None}[at]
    if at == "greatest" and kind.itemsize == 8:
        nodata = None  # not exactly representable as the float that rasterio gives
    values = rng.integers(0, 100, (2, 9, 11)).astype(kind)
    holes = rng.random(values.shape) < 0.4
    fill = rng.choice([least * 4, nodata or 0.0, 7.2, 6.6, greatest * 4, np.nan], values.shape)
    if kind.kind == "f":
        fill = np.where(np.abs(fill) > greatest, 1.5, fill)
    out, filled = blend(values, fill, holes, [() if nodata is None else (nodata,)] * 2)
    np.testing.assert_array_equal(out[~filled], values[~filled])
    np.testing.assert_array_equal(filled, holes & np.isfinite(fill))
    assert out.dtype == kind
    if nodata is not None:
        assert (out[filled] != kind.type(nodata)).all()


def test_fills_are_rounded_and_stepped_off_nodata_towards_the_fill():
    values = np.zeros((1, 1, 4), np.int16)
    fill = np.array([[[2.6, -998.7, -999.4, 1e9]]])
    out, _ = blend(values, fill, np.ones_like(values, bool), ((-999,),))
    assert out.tolist() == [[[3, -998, -1000, 32767]]]


def test_a_fill_steps_over_several_empty_values():
    values = np.zeros((1, 1, 3), np.uint8)
    out, _ = blend(values, np.array([[[0.2, 1.0, 254.9]]]), np.ones_like(values, bool), ((0, 1, 255),))
    assert out.tolist() == [[[2, 2, 254]]]
