"""The far surface: what a hole is filled with where nothing known is near (see `contract`).

Means over cells of the scene, empty cells filled by the Laplace equation, and between the centres of the cells
bilinear interpolation. It is made once a scene, so every window sees the same one.
"""

import numpy as np
from numpy.typing import NDArray

from .contract import Bands, Far, Masks, Places, zero
from .variational import harmonic


class FarSurface:
    """Args: cells: normalised means (bands, rows, columns) of cells; known: where they mean anything;
    cell: side of a cell in pixels."""

    def __init__(self, cells: Bands, known: Masks, cell: int) -> None:
        start = np.where(known, cells, 0.0)
        self._cells = harmonic(start, known, ~known, zero)
        self._cell = cell

    def at(self, row: int, column: int) -> Far:
        """The surface as a window sees it whose top left pixel is (row, column) of the scene."""

        def far(band: int, rows: Places, columns: Places) -> NDArray[np.float64]:
            return self._value(self._cells[band], rows + row, columns + column)

        return far

    def _value(self, cells: NDArray[np.float64], rows: Places, columns: Places) -> NDArray[np.float64]:
        y, top, bottom = _between(rows, self._cell, cells.shape[0])
        x, left, right = _between(columns, self._cell, cells.shape[1])
        upper = cells[top, left] * (1 - x) + cells[top, right] * x
        lower = cells[bottom, left] * (1 - x) + cells[bottom, right] * x
        value: NDArray[np.float64] = upper * (1 - y) + lower * y
        return value


def _between(places: Places, cell: int, count: int) -> tuple[NDArray[np.float64], Places, Places]:
    """How far each place lies between the centres of two cells, and which these are."""
    at = np.clip((places + 0.5) / cell - 0.5, 0, count - 1)
    first = np.floor(at).astype(np.int64)
    return at - first, first, np.minimum(first + 1, count - 1)
