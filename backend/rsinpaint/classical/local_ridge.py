"""Local ridge regression of a band on the other bands that are known in its holes.

Around each pixel a linear model of the band is fitted to known pixels in three window sizes; what the models miss
at known pixels is carried into the holes by a harmonic surface. The three answers are mixed by how well each
foretold known pixels that it had not seen. Holes in which no other band is known take the tension spline.

Source of the leave-one-out residual: Allen 1974, doi:10.1080/00401706.1974.10489157 (the PRESS statistic).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .contract import Band, Bands, Far, Mask, Masks, zero
from .variational import harmonic, tension_spline

WINDOWS = (15, 31, 61)
ERROR_WINDOW = 21
"""Side of the box of known pixels over which a model's errors are averaged."""
SHARPNESS = 4
"""Models are mixed by their error to this power, inverted."""
PULL = 1e-3
"""Pulls weights towards 0, relative to the variance 1 of a band; decides where few pixels are known."""
MOST_PREDICTORS = 4


def local_ridge(values: Bands, valid: Masks, holes: Masks, far: Far) -> Bands:
    """Fill each band from the bands that are known in its holes. See `contract`."""
    out = tension_spline(values, valid, holes, far)
    for band in np.flatnonzero(holes.any((1, 2))):
        for others, target in _patterns(int(band), valid, holes):
            usable: Mask = np.logical_and.reduce(valid[others])
            known = valid[band] & usable
            if known.any():
                fill = _mixed(values[band], _planes(values, others, usable), known, target)
                out[band][target] = fill[target]
    return out


def _patterns(band: int, valid: Masks, holes: Masks) -> Iterator[tuple[list[int], Mask]]:
    """The sets of other bands that are known in holes of `band`, and the holes in which just these are known.

    It is asked pixel by pixel, not of the window, so that the answer does not depend on how windows are cut.
    """
    rows, columns = np.nonzero(holes[band])
    seen, number = np.unique(valid[:, rows, columns], axis=1, return_inverse=True)
    for index, known in enumerate(seen.T):
        others = [int(other) for other in np.flatnonzero(known) if other != band]
        if others:
            target = np.zeros(holes[band].shape, bool)
            mine = number.ravel() == index
            target[rows[mine], columns[mine]] = True
            yield others, target


def _planes(values: Bands, others: list[int], usable: Mask) -> Bands:
    """At most `MOST_PREDICTORS` planes: neighbouring bands are averaged when there are more."""
    planes = np.where(usable, values[others], 0)
    if len(planes) > MOST_PREDICTORS:
        planes = np.stack([part.mean(0) for part in np.array_split(planes, MOST_PREDICTORS)])
    return planes


@dataclass(frozen=True)
class _Model:
    """Local fits of one window size: the prediction, and the residual with the pixel itself left out."""

    prediction: Band
    left_out: Band


def _mixed(band: Band, predictors: Bands, known: Mask, target: Mask) -> Band:
    """The fill of `target`; `band` and `predictors` are normalised."""
    total, weights = np.zeros(band.shape), np.zeros(band.shape)
    for window in WINDOWS:
        model = _fit(band, predictors, known, target, window)
        residual = np.where(known, band - model.prediction, 0)
        carried = harmonic(residual[None], known[None], target[None], zero)[0]
        seen = _box(known.astype(float), ERROR_WINDOW)
        square = _box(np.where(known, model.left_out**2, 0), ERROR_WINDOW)
        error = np.sqrt(np.maximum(square, 0) / np.maximum(seen, 1 / ERROR_WINDOW**2)) + 1e-3
        weight = error**-SHARPNESS
        total += weight * (model.prediction + carried)
        weights += weight
    return total / weights


def _fit(band: Band, predictors: Bands, known: Mask, target: Mask, window: int) -> _Model:
    place = known | target
    design = np.concatenate([np.ones((1, *band.shape)), predictors])
    size = len(design)
    gram = np.empty((int(place.sum()), size, size))
    right = np.empty((int(place.sum()), size))
    for i in range(size):
        right[:, i] = _box(np.where(known, design[i] * band, 0), window)[place]
        for j in range(i + 1):
            gram[:, i, j] = gram[:, j, i] = _box(np.where(known, design[i] * design[j], 0), window)[place]
    gram[:, np.arange(size), np.arange(size)] += PULL + 0.5 / window**2
    at = design[:, place].T
    # one factorisation serves the weights and the leverage
    solved = np.linalg.solve(gram, np.stack([right, at], axis=2))
    prediction, leverage = np.zeros(band.shape), np.zeros(band.shape)
    prediction[place] = (solved[:, :, 0] * at).sum(1)
    leverage[place] = (solved[:, :, 1] * at).sum(1) / window**2
    left_out = np.where(known, band - prediction, 0) / np.maximum(1 - leverage, 0.05)
    return _Model(prediction, left_out)


def _box(plane: Band, window: int) -> Band:
    """Mean over a square, what lies beyond the edge counting as 0."""
    return ndimage.uniform_filter(plane, window, mode="constant")
