"""The pieces of a scene that are worked on one by one, read ahead; those without holes without their halo."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .raster.scene import Scene
from .raster.scratch import Scratch
from .tiles import Tile

SQUARE = 128
"""Side of the squares for which it is known whether they have holes, in pixels; windows are whole squares."""


class Squares:
    """Which squares of a scene have holes."""

    def __init__(self) -> None:
        self._with_holes: set[tuple[int, int]] = set()

    def count(self, tile: Tile, holes: NDArray[np.bool_]) -> None:
        """Note the holes, (bands, rows, columns), of a window that starts on whole squares."""
        rows, columns = (range(0, part.stop - part.start, SQUARE) for part in tile.write)
        sums = np.add.reduceat(np.add.reduceat(holes.sum(0), rows, axis=0), columns, axis=1)
        first_row, first_column = (part.start // SQUARE for part in tile.write)
        self._with_holes |= {(first_row + row, first_column + column) for row, column in np.argwhere(sums)}

    def any_in(self, tile: Tile) -> bool:
        """Whether the written part of a tile has holes."""
        rows, columns = (range(part.start // SQUARE, -(-part.stop // SQUARE)) for part in tile.write)
        return any((row, column) in self._with_holes for row in rows for column in columns)


@dataclass(frozen=True)
class Piece:
    """What is read of a tile: with its halo, or the written part alone where that has no holes."""

    tile: Tile
    inside: tuple[slice, slice, slice]
    """The written part of the arrays."""
    values: NDArray[Any]
    holes: NDArray[np.bool_]
    known: NDArray[np.bool_]


def read_ahead(
    scene: Scene, holes: Scratch, squares: Squares, tiles: Iterator[Tile], reading: ThreadPoolExecutor
) -> Iterator[Piece]:
    """The pieces of a plan, each read while the one before is in use."""
    with scene.reopen() as twin:

        def read(tile: Tile) -> Piece:
            whole = not squares.any_in(tile)
            window = tile.write if whole else tile.read
            everything = (slice(None), slice(None), slice(None))
            wanted, known = holes.read(*window)
            return Piece(tile, everything if whole else (slice(None), *tile.inside), twin.read(*window), wanted, known)

        ahead: Future[Piece] | None = None
        for tile in tiles:
            following = reading.submit(read, tile)
            if ahead:
                yield ahead.result()
            ahead = following
        if ahead:
            yield ahead.result()
