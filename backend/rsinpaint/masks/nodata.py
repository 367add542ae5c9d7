"""Every empty pixel inside the imaged area: what is missing when nobody says more."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._collar import Collar, any_valid, empty_in_all, nothing_valid
from ._runs import Bools


class Nodata:
    """Mask source: empty pixels that are not collar.

    Collar is what is empty in all bands and lies, along its row or column, between the valid area and the border of
    the scene; so a hole that touches the border of the scene counts as collar, too.
    """

    name = "nodata inside the scene"
    zeros: tuple[bool, ...] = ()
    reach = 0

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._collar = Collar(0, 0)
        self._scene: Any = None

    def prepare(self, scene: Any, tick: Callable[[float], None]) -> None:
        """One streaming pass that finds the ends of the valid area.

        Raises:
            JobError: no pixel of the scene is valid.
        """
        self._scene, self._collar = scene, Collar(scene.height, scene.width)
        self._collar.prepare(any_valid(scene), tick)
        if not self._collar.anything:
            raise nothing_valid(scene.name)
        if np.dtype(scene.dtype).kind != "f" and all(value is None for value in scene.nodata):
            self.notes.append(f"`{scene.name}` has no nodata value, so nothing is missing. `--nodata` sets one")

    def holes(self, rows: slice, columns: slice, values: np.ndarray, empty: Bools) -> Bools:
        """Empty pixels inside, bool (bands, rows, columns)."""
        if not empty.any():
            return np.zeros(empty.shape, bool)
        return empty & ~(empty_in_all(self._scene, empty) & self._collar.outside(rows, columns))

    def unknown(self, rows: slice, columns: slice, empty: Bools) -> Bools:
        """What is empty, and nothing else."""
        return empty
