"""Holes that somebody else has marked: what raster masks, polygons and quality bands share."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ._collar import Collar, any_valid, empty_in_all, nothing_valid, windows
from ._runs import Bools
from .slcoff import StripeHoles, find


class Marks(Protocol):
    """Pixels that a file marks."""

    def read(self, rows: slice, columns: slice) -> Bools:
        """bool (1 or bands, rows, columns) of the window."""


def _everywhere(planes: Bools) -> Bools:
    everywhere: Bools = np.all(planes, axis=0)
    return everywhere


class Marked:
    """Holes are what the file marks, but for the collar: empty in all bands, outside, next to unmarked collar."""

    zeros: tuple[bool, ...] = ()

    reach = 0

    def __init__(self, name: str, marks: Marks, hint: str) -> None:
        self.name, self.marks, self.hint = name, marks, hint
        self.notes: list[str] = []
        self._scene: Any = None
        self._collar = Collar(0, 0)

    def prepare(self, scene: Any, tick: Callable[[float], None]) -> None:
        """Stream mask and scene once; note a mask that marks nothing.

        Raises:
            JobError: no pixel of the scene is valid.
        """
        self._scene, self._collar = scene, Collar(scene.height, scene.width)
        count = sum(int(self.marks.read(*place).sum()) for place in windows(scene.height, scene.width))
        if not count:
            self.notes.append(f"{self.name} marks no pixel of `{scene.name}`: the output equals the input. {self.hint}")
        self._collar.prepare(any_valid(scene), tick, self._in_all)
        if not self._collar.anything:
            raise nothing_valid(scene.name)

    def _in_all(self, rows: slice, columns: slice) -> Bools:
        return _everywhere(self.marks.read(rows, columns))

    def holes(self, rows: slice, columns: slice, values: np.ndarray, empty: Bools) -> Bools:
        """Marked pixels, bool (bands, rows, columns)."""
        marks = np.broadcast_to(self.marks.read(rows, columns), empty.shape).copy()
        everywhere = empty_in_all(self._scene, empty)
        if everywhere.any():
            marks &= ~(everywhere & self._collar.surely_outside(rows, columns))
        return marks

    def unknown(self, rows: slice, columns: slice, empty: Bools) -> Bools:
        """What is empty, and nothing else."""
        return empty


class Missing:
    """Holes are what the file marks as missing, where that is no collar though the file marks the collar, too.

    With stripes: those alone, by their geometry. Without: what lies between valid pixels.
    """

    zeros: tuple[bool, ...] = ()

    def __init__(self, name: str, marks: Marks, *, stripes: bool) -> None:
        self.name, self.marks, self.stripes = name, marks, stripes
        self.notes: list[str] = []
        self.reach = 0
        self._stripes: StripeHoles | None = None
        self._collar = Collar(0, 0)

    def prepare(self, scene: Any, tick: Callable[[float], None]) -> None:
        """Stream the file: the stripe pattern, or else the ends of the valid area.

        Raises:
            JobError: the file marks all pixels.
        """

        def missing(rows: slice, columns: slice) -> Bools:
            return _everywhere(self.marks.read(rows, columns))

        pattern = find(missing, scene.height, scene.width, tick) if self.stripes else None
        if pattern:
            self._stripes = StripeHoles(pattern, scene.height, scene.width)
            self.reach = self._stripes.reach
            return
        self._collar = Collar(scene.height, scene.width)
        self._collar.prepare(lambda rows, columns: ~missing(rows, columns), tick)
        if not self._collar.anything:
            raise nothing_valid(scene.name)
        if self.stripes:
            self.notes.append(f"{self.name} shows no periodic stripes; what it marks inside the scene is filled")

    def holes(self, rows: slice, columns: slice, values: np.ndarray, empty: Bools) -> Bools:
        """Missing pixels inside the scene, bool (bands, rows, columns)."""
        marks = self.marks.read(rows, columns)
        if self._stripes:
            found = self._stripes.holes(rows, columns, marks)
        else:
            found = marks & ~(_everywhere(marks) & self._collar.outside(rows, columns))
        return np.broadcast_to(found, empty.shape).copy()

    def unknown(self, rows: slice, columns: slice, empty: Bools) -> Bools:
        """What is empty or marked as missing: the collar, too, whether or not the scene has a nodata value."""
        return empty | self.marks.read(rows, columns)
