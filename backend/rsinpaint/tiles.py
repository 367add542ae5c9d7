"""Cut a scene into tiles, and put fills into holes. Slices and arrays only.

+---------------------------+
|  read                     |
|     +---------------+     |      read = write and `halo` pixels around it,
|     |  write        |     |      cut at the edge of the scene
|     |               |     |
|     +---------------+     |
+---------------------------+
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Tile:
    """One step of the plan; half-open (rows, columns) in scene pixels."""

    read: Window
    write: Window

    @property
    def inside(self) -> Window:
        """Where the written part lies in an array of the read part."""
        rows, columns = (
            slice(write.start - read.start, write.stop - read.start)
            for read, write in zip(self.read, self.write, strict=True)
        )
        return rows, columns


def plan(height: int, width: int, *, window: int | tuple[int, int], halo: int, multiple: int = 1) -> Iterator[Tile]:
    """Cut a scene into tiles that can be filled one by one.

    The written parts cover the scene once and do not overlap; they start on multiples of `window`, so that they
    are whole blocks of the output when `window` is a multiple of its block.

    Args:
        height: rows of the scene in pixels, at least 1; `width` likewise its columns.
        window: side of a written square in pixels, or rows and columns; rounded down to multiples of `multiple`.
        halo: pixels that a fill looks beyond what it writes; rounded up to a multiple of `multiple`.
        multiple: read parts start on multiples of this, so that a network with strides sees the same grid in
            every tile (promise 5).

    Yields:
        Tile, row by row from the top left.

    Raises:
        ValueError: `window` is smaller than `multiple`.

    >>> [tile.write for tile in plan(2, 5, window=4, halo=1)]
    [(slice(0, 2, None), slice(0, 4, None)), (slice(0, 2, None), slice(4, 5, None))]
    """
    sides = window if isinstance(window, tuple) else (window, window)
    if min(sides) < multiple:
        raise ValueError(f"window of {min(sides)} pixels, expected at least {multiple}, the network's grid")
    halo += -halo % multiple

    def cut(size: int, side: int) -> Iterator[tuple[slice, slice]]:
        side -= side % multiple
        for start in range(0, size, side):
            stop = min(start + side, size)
            yield slice(max(start - halo, 0), min(stop + halo, size)), slice(start, stop)

    for read_rows, write_rows in cut(height, sides[0]):
        for read_columns, write_columns in cut(width, sides[1]):
            yield Tile((read_rows, read_columns), (write_rows, write_columns))


def blend(
    values: NDArray[Any], fill: NDArray[Any], holes: NDArray[np.bool_], empties: Sequence[Sequence[float]]
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Put a fill into the holes: the only place where known pixels could be lost, and are kept.

    Args:
        values: the scene's pixels in its own dtype, (bands, rows, columns).
        fill: float, shaped like `values`; not finite where there is no answer.
        holes: where `fill` is wanted.
        empties: of each band the values that say `no data`; a fill is moved off them by the smallest step that the
            dtype knows.

    Returns:
        The repaired pixels in the dtype of `values`, and where holes were filled. Unfilled holes keep their value.
    """
    filled = holes & np.isfinite(fill)
    out = values.copy()
    for band in range(len(values)):
        place = filled[band]
        if place.any():
            out[band][place] = _as_dtype(fill[band][place], values.dtype, empties[band])
    return out, filled


def _as_dtype(fill: NDArray[Any], dtype: np.dtype[Any], empties: Sequence[float]) -> NDArray[Any]:
    taken = sorted(value for value in empties if np.isfinite(value))
    if dtype.kind == "f":
        out = fill.astype(dtype)
        for value in taken:
            empty = out == dtype.type(value)
            out[empty] = np.nextafter(dtype.type(value), dtype.type(0 if value else 1))
        return out
    info = np.iinfo(dtype)
    # float64 cannot name every 64-bit integer: clip short of the ends, where rounding would overflow
    highest = float(info.max) if info.max < 2**53 else float(np.nextafter(float(info.max), 0))
    out = np.clip(np.rint(fill.astype(np.float64)), float(info.min), highest).astype(dtype)
    whole = [int(value) for value in taken if value == int(value) and info.min <= value <= info.max]
    for value in whole:
        empty = out == dtype.type(value)
        above, below = value + 1, value - 1
        while above in whole:
            above += 1
        while below in whole:
            below -= 1
        below = above if below < info.min else below
        above = below if above > info.max else above
        up = fill[empty] >= value
        out[empty] = np.where(up, above, below).astype(dtype)
    return out
