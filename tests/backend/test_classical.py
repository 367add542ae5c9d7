"""The closed-form fills: exact on what they reproduce exactly, local, and true to their contract."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsinpaint.classical import GUESSES
from rsinpaint.classical.contract import REACH, zero
from rsinpaint.classical.far import FarSurface
from rsinpaint.classical.variational import fill
from rsinpaint.masks.simulate import fractal, irregular, slcoff

every_guess = pytest.mark.parametrize("name", GUESSES)


def case(seed: int = 0, shape: tuple[int, int, int] = (2, 60, 70)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.stack([fractal(shape[1:], rng, slope=1.4) for _ in range(shape[0])])
    truth /= truth.std((1, 2), keepdims=True)
    holes = np.stack([irregular(shape[1:], np.random.default_rng([seed, band]), share=0.3) for band in range(shape[0])])
    return truth.astype(np.float32), holes


@every_guess
@settings(max_examples=8, deadline=None, derandomize=True)
@given(seed=st.integers(0, 50), bands=st.integers(1, 3))
def test_holes_are_filled_and_nothing_else_is_touched(name, seed, bands):
    truth, holes = case(seed, (bands, 40, 33))
    start = np.where(holes, np.float32(1e6), truth)
    out = GUESSES[name](start, ~holes, holes, zero)
    np.testing.assert_array_equal(out[~holes], truth[~holes])
    assert np.isfinite(out).all() and np.abs(out[holes]).max() < 50
    assert out.dtype == truth.dtype


@every_guess
def test_what_lies_under_the_holes_and_in_the_collar_does_not_matter(name):
    truth, holes = case(3)
    collar = np.zeros_like(holes)
    collar[:, :12] = True
    holes &= ~collar
    valid = ~(holes | collar)
    first = GUESSES[name](np.where(valid, truth, np.float32(0)), valid, holes, zero)
    second = GUESSES[name](np.where(valid, truth, np.float32(777)), valid, holes, zero)
    np.testing.assert_array_equal(first[holes], second[holes])


@every_guess
def test_a_window_with_the_halo_gives_what_the_whole_gives(name):
    truth, _ = case(5, (1, 330, 120))
    holes = np.stack([slcoff((330, 120), np.random.default_rng(1), offset=0.9)])
    whole = GUESSES[name](truth, ~holes, holes, zero)
    cut = np.s_[:, 100 - REACH : 200 + REACH]
    part = GUESSES[name](truth[cut], ~holes[cut], holes[cut], zero)[:, REACH : REACH + 100]
    inside = holes[:, 100:200]
    assert np.abs(part - whole[:, 100:200])[inside].max() < 1e-4 * np.ptp(truth)


@every_guess
def test_a_hole_that_nothing_known_is_near_takes_the_far_surface(name):
    values = np.zeros((1, 300, 300), np.float32)
    holes = np.ones(values.shape, bool)
    holes[:, :20] = False

    def far(band: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return rows / 300 + band

    out = GUESSES[name](values, ~holes, holes, far)
    np.testing.assert_allclose(out[0, 200:, 5], np.arange(200, 300) / 300, atol=1e-6)


def test_the_harmonic_fill_reproduces_a_plane_and_the_spline_too():
    rows, columns = np.mgrid[0:40, 0:50].astype(float)
    plane = (0.3 * rows - 0.2 * columns)[None]
    holes = np.zeros(plane.shape, bool)
    holes[0, 10:18, 5:40] = True
    for tension in (np.inf, 1.0, 0.01):
        out = fill(np.where(holes, 0, plane), ~holes, holes, zero, tension=tension)
        np.testing.assert_allclose(out, plane, atol=1e-5)


def test_one_missing_pixel_of_a_harmonic_fill_is_the_mean_of_its_neighbours():
    values = np.array([[[0, 1, 0], [2, 9, 4], [0, 5, 0]]], float)
    holes = np.zeros(values.shape, bool)
    holes[0, 1, 1] = True
    assert fill(values, ~holes, holes, zero, tension=np.inf)[0, 1, 1] == pytest.approx(3.0)


def test_banded_and_general_solver_agree(monkeypatch):
    truth, holes = case(2)
    banded = fill(truth, ~holes, holes, zero, tension=1.0)
    monkeypatch.setattr("rsinpaint.classical.variational.WIDEST_BAND", 0)
    np.testing.assert_allclose(fill(truth, ~holes, holes, zero, tension=1.0), banded, atol=1e-5)


def test_iteration_and_factorisation_agree(monkeypatch):
    truth, _ = case(2)
    holes = np.random.default_rng(0).random(truth.shape) < 0.9
    monkeypatch.setattr("rsinpaint.classical.variational.WIDEST_BAND", 0)
    factorised = fill(truth, ~holes, holes, zero, tension=1.0)
    monkeypatch.setattr("rsinpaint.classical.variational.LARGEST_FACTOR", 0)
    np.testing.assert_allclose(fill(truth, ~holes, holes, zero, tension=1.0), factorised, atol=1e-4)


def test_the_ridge_restores_a_band_that_another_one_tells():
    truth, _ = case(1)
    truth[1] = 0.7 * truth[0] + 0.1
    holes = np.zeros(truth.shape, bool)
    holes[1, 20:40] = True
    out = GUESSES["local-ridge"](np.where(holes, 0, truth), ~holes, holes, zero)
    assert np.percentile(np.abs(out - truth)[holes], 95) < 0.05
    smooth = GUESSES["tension-spline"](np.where(holes, 0, truth), ~holes, holes, zero)
    assert np.percentile(np.abs(smooth - truth)[holes], 95) > 0.2


def test_the_far_surface_goes_through_the_cells_and_fills_the_empty_ones():
    cells = np.array([[[0.0, 2.0], [9.0, 2.0]]])
    known = np.array([[[True, True], [False, True]]])
    far = FarSurface(cells, known, 10).at(0, 0)
    at = np.array([4.5, 4.5, 4.5]), np.array([4.5, 14.5, 9.5])
    np.testing.assert_allclose(far(0, *at), [0, 2, 1])
    assert 0 < far(0, np.array([14.5]), np.array([4.5]))[0] < 2
    shifted = FarSurface(cells, known, 10).at(0, 5)
    np.testing.assert_allclose(shifted(0, np.array([4.5]), np.array([4.5])), [1])
