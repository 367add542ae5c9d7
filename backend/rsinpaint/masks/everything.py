"""Every pixel that holds a value: for models that find themselves what to repair."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ._runs import Bools


class Everything:
    """Mask source: all of the imaged area."""

    name = "every pixel, as the model sees fit"
    zeros: tuple[bool, ...] = ()
    reach = 0

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._alpha: list[int] = []

    def prepare(self, scene: Any, tick: Callable[[float], None]) -> None:
        """Which bands say what is transparent."""
        self._alpha = [band for band, fillable in enumerate(scene.fillable) if not fillable]

    def holes(self, rows: slice, columns: slice, values: np.ndarray, empty: Bools) -> Bools:
        """What is neither empty nor transparent, bool (bands, rows, columns)."""
        return ~empty & (values[self._alpha] != 0).all(0)

    def unknown(self, rows: slice, columns: slice, empty: Bools) -> Bools:
        """What is empty, and nothing else."""
        return empty
