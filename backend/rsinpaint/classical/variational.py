"""Closed-form fills that minimise an energy over the holes: harmonic surfaces and splines in tension.

The energy of a surface u, known pixels fixed, is

    sum |laplacian u|^2  +  tension * sum |gradient u|^2

Its minimum is one sparse, symmetric, positive definite system a mask; bands that share a mask share the
factorisation. `tension` infinite leaves the gradient alone: the harmonic fill.

Source: splines in tension, Smith and Wessel 1990, doi:10.1190/1.1442837; here on the pixel grid itself.
"""

from collections.abc import Callable, Iterator

import numpy as np
from scipy import ndimage
from scipy.linalg import cho_solve_banded, cholesky_banded
from scipy.sparse import csr_matrix, diags
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import cg, splu

from .contract import Band, Bands, Far, Mask, Masks, Places

NEAR = 14
"""Hole pixels farther than this from every known pixel take the far surface instead (see `fill`)."""

WIDEST_BAND = 160
"""A banded solver beats the general one up to about this half bandwidth (stripes have 15 to 40)."""

LARGEST_FACTOR = 40_000
"""Unknowns up to which the general solver factorises; beyond, its memory runs away (4 kB a pixel were seen where known
pixels are scattered) and the system is solved by iteration."""
TOLERANCE = 1e-7

_PULL = 1e-8  # towards 0, the band's mean: keeps a hole that touches nothing known from being singular


def harmonic(values: Bands, valid: Masks, holes: Masks, far: Far) -> Bands:
    """Fill with the Laplace equation: the surface of a soap film on the rim. See `classical` for the contract."""
    return fill(values, valid, holes, far, tension=np.inf)


def tension_spline(values: Bands, valid: Masks, holes: Masks, far: Far) -> Bands:
    """Fill with a spline in tension 1: carries slopes across narrow gaps, does not overshoot in wide ones."""
    return fill(values, valid, holes, far, tension=1.0)


def fill(values: Bands, valid: Masks, holes: Masks, far: Far, *, tension: float) -> Bands:
    """Fill the holes of all bands; the influence of a pixel ends a few hole widths away.

    A hole pixel with no known pixel within `NEAR` takes the value of the far surface, and is a fixed rim for the
    others. So what is written does not hang on pixels far away (promise 5), and wide holes cost no more.

    Args:
        values, valid, holes, far: see `contract`.
        tension: weight of the gradient against the curvature, above 0.

    Returns:
        `values` with the holes filled.
    """
    out = values.copy()
    for mask, known, members in _shared(valid, holes):
        deep = _deep(mask, known)
        for band in members:
            out[band][deep] = far(band, *np.nonzero(deep))
        near = mask & ~deep
        if near.any():
            solve = _factorised(near, known | deep, tension)
            for band in members:
                out[band][near] = solve(out[band])
    return out


def _deep(mask: Mask, known: Mask) -> Mask:
    """Hole pixels that are farther than `NEAR` from every known pixel."""
    return mask & (ndimage.distance_transform_edt(~known) > NEAR)


def _shared(valid: Masks, holes: Masks) -> Iterator[tuple[Mask, Mask, list[int]]]:
    """(holes, valid, bands) for each set of bands that have the same holes and the same known pixels."""
    groups: dict[bytes, list[int]] = {}
    for band in range(len(holes)):
        if holes[band].any():
            key = np.packbits(holes[band]).tobytes() + np.packbits(valid[band]).tobytes()
            groups.setdefault(key, []).append(band)
    for members in groups.values():
        yield holes[members[0]], valid[members[0]], members


def _factorised(mask: Mask, rim: Mask, tension: float) -> Callable[[Band], Band]:
    """A function that gives the values of `mask`, in the order of its pixels, from a band's values on `rim`."""
    place = np.flatnonzero(mask).astype(np.int32)
    number = np.full(mask.size, -1, np.int32)
    number[place] = mine = np.arange(place.size, dtype=np.int32)
    outer: list[tuple[Places, Places, Band]] = []
    first, second, weight = [mine], [mine], []
    for (dr, dc), coefficient in _stencil(mask, rim, tension):
        flat = coefficient.ravel()[place]
        if (dr, dc) == (0, 0):
            weight.append(flat + _PULL)
            continue
        there = np.flatnonzero(flat)  # nothing beyond the edge, and nothing that is neither hole nor rim
        other = place[there] + np.int32(dr * mask.shape[1] + dc)
        linked = number[other] >= 0
        first.append(mine[there[linked]])
        second.append(number[other[linked]])
        weight.append(flat[there[linked]])
        outer.append((there[~linked], other[~linked], flat[there[~linked]]))
    solve = _solver(np.concatenate(first), np.concatenate(second), np.concatenate(weight), place.size)

    def apply(band: Band) -> Band:
        right, known = np.zeros(place.size), band.ravel()
        for inner, other, coefficient in outer:
            right[inner] -= coefficient * known[other]
        return solve(right)

    return apply


def _stencil(mask: Mask, rim: Mask, tension: float) -> Iterator[tuple[tuple[int, int], Band]]:
    """(offset, coefficient a pixel) of the energy's matrix: what the value at the offset adds to the row of a pixel.

    The gradient acts between neighbours of which one is a hole. The laplacian is wanted in each hole pixel and in
    the ring round the holes; its stencil keeps the neighbours that are there.
    """
    here = mask | rim
    neighbours = sum(_at(here, step).astype(float) for step in _STEPS)
    bend = 0.0 if np.isinf(tension) else 1.0
    pull = 1.0 if np.isinf(tension) else tension
    centre = np.where(here & ndimage.binary_dilation(mask), bend, 0.0)
    scaled = centre * neighbours
    yield (0, 0), pull * neighbours + scaled * neighbours + sum(_at(centre, step) * _at(here, step) for step in _STEPS)
    for step in _STEPS:
        there = _at(here, step)
        yield step, np.where(there, -(pull + scaled + _at(scaled, step)), 0.0)
        if bend:
            two = (2 * step[0], 2 * step[1])
            yield two, _at(centre, step) * _at(here, two)
    if bend:
        for dr, dc in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            yield (dr, dc), (_at(centre, (dr, 0)) + _at(centre, (0, dc))) * _at(here, (dr, dc))


_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def _at(array: np.ndarray, offset: tuple[int, int]) -> np.ndarray:
    """`array` as seen from each pixel at `offset`; 0 beyond the edge."""
    out = np.zeros_like(array)
    dr, dc = offset
    rows, columns = array.shape
    out[max(-dr, 0) : rows - max(dr, 0), max(-dc, 0) : columns - max(dc, 0)] = array[
        max(dr, 0) : rows + min(dr, 0), max(dc, 0) : columns + min(dc, 0)
    ]
    return out


def _solver(first: np.ndarray, second: np.ndarray, weight: np.ndarray, size: int) -> Callable[[np.ndarray], np.ndarray]:
    """Factorise the symmetric matrix of triplets once; the answer solves it for one right side."""
    matrix = csr_matrix((weight, (first, second)), (size, size))
    order = reverse_cuthill_mckee(matrix, symmetric_mode=True)
    rank = np.empty(size, np.int32)
    rank[order] = np.arange(size, dtype=np.int32)
    row, column = rank[first], rank[second]
    below = row - column
    width = int(below.max())
    if width > WIDEST_BAND and size > LARGEST_FACTOR:
        return _iterated(matrix)
    if width > WIDEST_BAND:
        return splu(
            matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        ).solve
    lower = below >= 0
    band = np.zeros((width + 1, size), order="F")  # as LAPACK wants it: no copy
    band[below[lower], column[lower]] = weight[lower]
    factor = cholesky_banded(band, overwrite_ab=True, lower=True, check_finite=False)

    def solve(right: np.ndarray) -> np.ndarray:
        out = np.empty_like(right)
        out[order] = cho_solve_banded((factor, True), right[order], overwrite_b=True, check_finite=False)
        return out

    return solve


def _iterated(matrix: csr_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """Conjugate gradients, scaled by the diagonal."""
    scale = 1 / np.sqrt(matrix.diagonal())
    scaled = diags(scale) @ matrix @ diags(scale)

    def solve(right: np.ndarray) -> np.ndarray:
        out, _ = cg(scaled, right * scale, rtol=TOLERANCE, maxiter=2000)
        return out * scale

    return solve
