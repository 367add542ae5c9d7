"""What is learnt of a scene in one pass: exact statistics of the known pixels, and where the holes are."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .percentiles import Percentiles

CELL = 64
"""Side of a cell of the coarse picture, in pixels."""


class Survey:
    """Counts and sums over known pixels, taken window by window.

    Windows must start on multiples of `CELL`, so that each cell is summed in one window and the result does not
    depend on how the scene was cut. `ranges`: percentiles are wanted, too.
    """

    def __init__(self, bands: int, height: int, width: int, *, ranges: bool = False) -> None:
        cells = (bands, -(-height // CELL), -(-width // CELL))
        self._sum = np.zeros(cells)
        self._square = np.zeros(cells)
        self._count = np.zeros(cells, np.int64)
        self._low = np.full(bands, np.inf)
        self._high = np.full(bands, -np.inf)
        self.holes = np.zeros(bands, np.int64)
        self._ranges = [Percentiles() for _ in range(bands)] if ranges else []

    def add(self, rows: slice, columns: slice, values: NDArray[Any], known: NDArray[Any], holes: NDArray[Any]) -> None:
        """Take in one window: (bands, rows, columns) in the scene's dtype, and what is known and what is a hole."""
        self.holes += holes.sum((1, 2))
        for band in range(len(values)):
            seen = known[band]
            if not seen.any():
                continue
            plane = values[band]
            self._low[band] = min(self._low[band], float(plane[seen].min()))
            self._high[band] = max(self._high[band], float(plane[seen].max()))
            if self._ranges:
                self._ranges[band].add(plane[seen])
            place = (band, slice(rows.start // CELL, None), slice(columns.start // CELL, None))
            plane = np.where(seen, plane, 0).astype(np.float64)
            count, total = _cells(seen), _cells(plane)
            # about the mean of the cell: squares of large numbers would swallow small differences
            means = np.repeat(np.repeat(total / np.maximum(count, 1), CELL, axis=0), CELL, axis=1)
            plane = np.where(seen, plane - means[: plane.shape[0], : plane.shape[1]], 0)
            for sums, cells in ((self._sum, total), (self._square, _cells(plane * plane)), (self._count, count)):
                view = sums[place]
                view[: cells.shape[0], : cells.shape[1]] += cells.astype(sums.dtype)

    @property
    def count(self) -> NDArray[np.int64]:
        """Known pixels of each band."""
        return self._count.sum((1, 2))

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the known pixels of each band; 0 where there is none."""
        return self._sum.sum((1, 2)) / np.maximum(self.count, 1)

    @property
    def std(self) -> NDArray[np.float64]:
        """Deviation of the known pixels of each band; 1 where they are all alike or there is none."""
        means = self._sum / np.maximum(self._count, 1)
        between = self._count * (means - self.mean[:, None, None]) ** 2
        std = np.sqrt((self._square + between).sum((1, 2)) / np.maximum(self.count, 1))
        return np.where(std > 1e-9 * np.maximum(np.abs(self.mean), 1e-30), std, 1.0)

    @property
    def low(self) -> NDArray[np.float64]:
        """Least known value of each band."""
        return self._low

    @property
    def high(self) -> NDArray[np.float64]:
        """Greatest known value of each band."""
        return self._high

    @property
    def range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """The 0.1 and 99.9 percentiles of each band's known pixels; None when they were not asked for."""
        if not self._ranges:
            return None
        ends = np.array([[counts.at(0.1), counts.at(99.9)] for counts in self._ranges])
        return ends[:, 0], ends[:, 1]

    def cells(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Mean of each cell, (bands, rows, columns) of cells, and whether anything is known in it."""
        return self._sum / np.maximum(self._count, 1), self._count > 0


def _cells(plane: NDArray[Any]) -> NDArray[Any]:
    """Sums over cells; the last ones may be cut."""
    rows = np.arange(0, plane.shape[0], CELL)
    columns = np.arange(0, plane.shape[1], CELL)
    kind = np.int64 if plane.dtype == np.bool_ else plane.dtype
    return np.add.reduceat(np.add.reduceat(plane, rows, axis=0, dtype=kind), columns, axis=1)
