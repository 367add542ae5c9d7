"""Strokes of a brush on a mask: what drawn holes are made of."""

import math

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]


def segment(holes: Bools, start: tuple[float, float], end: tuple[float, float], width: float) -> None:
    """Draw a line with round ends: every pixel at most half of `width` from it. Points are (row, column)."""
    reach = width / 2
    low = [max(math.floor(min(a, b) - reach), 0) for a, b in zip(start, end, strict=True)]
    high = [min(math.ceil(max(a, b) + reach) + 1, size) for a, b, size in zip(start, end, holes.shape, strict=True)]
    y, x = np.mgrid[low[0] : max(high[0], low[0]), low[1] : max(high[1], low[1])]
    down, right = end[0] - start[0], end[1] - start[1]
    along = ((y - start[0]) * down + (x - start[1]) * right) / max(down * down + right * right, 1e-12)
    along = np.clip(along, 0, 1)
    distance = np.hypot(y - start[0] - along * down, x - start[1] - along * right)
    holes[low[0] : max(high[0], low[0]), low[1] : max(high[1], low[1])] |= distance <= reach
