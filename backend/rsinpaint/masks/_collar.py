"""The collar: empty pixels around the imaged area, told from holes inside by a rule that needs no whole scene."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import JobError
from ._runs import Bools

Planes = Callable[[slice, slice], Bools]
"""(rows, columns) -> bool array of these."""
WINDOW = 1024


def windows(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Squares of `WINDOW` pixels that cover the scene once, row by row."""
    for top in range(0, height, WINDOW):
        for left in range(0, width, WINDOW):
            yield slice(top, min(top + WINDOW, height)), slice(left, min(left + WINDOW, width))


class _Ends:
    """First and last True of each row and column of the scene, gathered window by window."""

    def __init__(self, height: int, width: int) -> None:
        self.top, self.bottom = np.full(width, height), np.full(width, -1)
        self.left, self.right = np.full(height, width), np.full(height, -1)

    def add(self, rows: slice, columns: slice, flags: Bools) -> None:
        for axis, first, last, along, across in (
            (0, self.top, self.bottom, rows, columns),
            (1, self.left, self.right, columns, rows),
        ):
            some = flags.any(axis)
            begin = along.start + flags.argmax(axis)
            end = along.stop - 1 - np.flip(flags, axis).argmax(axis)
            first[across] = np.where(some, np.minimum(first[across], begin), first[across])
            last[across] = np.where(some, np.maximum(last[across], end), last[across])


class Collar:
    """Which empty pixels lie around the imaged area.

    A pixel is outside when its row or its column holds no valid pixel between it and a border of the scene, and an
    empty pixel there that no mask marks. The second half keeps holes at the border of a scene that has no collar.
    The state is a few numbers for each row and each column.
    """

    def __init__(self, height: int, width: int) -> None:
        self.valid, self.bare = _Ends(height, width), _Ends(height, width)
        self.height, self.width = height, width

    def prepare(self, valid: Planes, tick: Callable[[float], None], marked: Planes | None = None) -> None:
        """Stream the scene once: `valid` in any band, `marked` by a mask."""
        places = list(windows(self.height, self.width))
        for done, (rows, columns) in enumerate(places):
            known = valid(rows, columns)
            self.valid.add(rows, columns, known)
            if not known.all():
                self.bare.add(rows, columns, ~known & ~marked(rows, columns) if marked else ~known)
            tick((done + 1) / len(places))

    @property
    def anything(self) -> bool:
        """Whether any pixel of the scene is valid."""
        return bool((self.valid.bottom >= 0).any())

    def outside(self, rows: slice, columns: slice) -> Bools:
        """True where a pixel of the window, if empty, belongs to the collar: by its row or by its column."""
        by_column, by_row = self._sides(rows, columns)
        return by_column | by_row

    def surely_outside(self, rows: slice, columns: slice) -> Bools:
        """The same, by row and by column; where one of them holds no valid pixel at all, by the other.

        For pixels that somebody has marked: in a notch between two valid pixels the mask is believed.
        """
        by_column, by_row = self._sides(rows, columns)
        bare_row = (self.valid.right < 0)[rows, None]
        bare_column = (self.valid.bottom < 0)[columns]
        return (by_column & (by_row | bare_row)) | (by_row & bare_column)

    def _sides(self, rows: slice, columns: slice) -> tuple[Bools, Bools]:
        y, x = np.arange(rows.start, rows.stop)[:, None], np.arange(columns.start, columns.stop)[None, :]
        valid, bare = self.valid, self.bare
        above = np.where(bare.top < valid.top, valid.top, 0)[columns]
        below = np.where(bare.bottom > valid.bottom, valid.bottom, self.height)[columns]
        before = np.where(bare.left < valid.left, valid.left, 0)[rows, None]
        after = np.where(bare.right > valid.right, valid.right, self.width)[rows, None]
        return (y < above) | (y > below), (x < before) | (x > after)


def any_valid(scene: Any) -> Planes:
    """Valid in any of up to three bands that can be filled: enough to see where the scene ends."""
    bands = [band for band in range(1, scene.count + 1) if scene.fillable[band - 1]] or [1]
    bands = sorted({bands[0], bands[len(bands) // 2], bands[-1]})

    def valid(rows: slice, columns: slice) -> Bools:
        empty: Bools = scene.empty(scene.read(rows, columns, bands), bands)
        everywhere: Bools = np.all(empty, axis=0)
        return ~everywhere

    return valid


def nothing_valid(name: str) -> JobError:
    """The error for a scene without a single value."""
    return JobError(
        f"`{name}` has no valid pixel: all hold the nodata value or none at all",
        "a scene with values to fill from",
        "Check the nodata value, `--nodata` sets another",
        code="nothing_valid",
    )


def empty_in_all(scene: Any, empty: NDArray[np.bool_]) -> Bools:
    """Empty in all bands that can be filled."""
    everywhere: Bools = np.all(empty[list(scene.fillable)] if any(scene.fillable) else empty, axis=0)
    return everywhere
