"""Vertical runs of empty pixels: what stripes, clouds and collars are made of, column by column."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Runs(NamedTuple):
    """Maximal vertical runs of True; three arrays of one length, ordered by column, then by row."""

    column: Ints
    start: Ints
    """First row of the run."""
    stop: Ints
    """Row after the last one."""


def vertical_runs(empty: Bools) -> Runs:
    """All vertical runs of True in `empty` (rows, columns).

    >>> [list(map(int, part)) for part in vertical_runs(np.array([[1, 0], [1, 1], [0, 1]], bool))]
    [[0, 1], [0, 1], [2, 3]]
    """
    rows, columns = empty.shape
    # One False before and after each column, so that changes alternate between start and stop in the flat array.
    padded = np.zeros((columns, rows + 2), bool)
    padded[:, 1:-1] = empty.T
    flat = padded.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    start, stop = edges[0::2], edges[1::2]
    column = start // (rows + 2)
    first = column * (rows + 2)
    return Runs(column, start - first, stop - first)


def paint(shape: tuple[int, int], runs: Runs) -> Bools:
    """The bool array (rows, columns) that is True on the runs; they may overlap, stops may equal starts."""
    rows, columns = shape
    length = np.maximum(runs.stop - runs.start, 0)
    first = runs.column * rows + runs.start
    offset = np.cumsum(length) - length
    out = np.zeros((columns, rows), bool)
    out.ravel()[np.repeat(first - offset, length) + np.arange(int(length.sum()))] = True
    return np.ascontiguousarray(out.T)
