"""What a classical fill is given and gives back.

    fill(values, valid, holes, far) -> filled

values: float, (bands, rows, columns), each band normalised to mean 0 and deviation 1 of its known pixels in the
    scene; finite everywhere, anything where not valid.
valid: bool, likewise: where values are known. holes: bool: where values are wanted; the two never meet. What is
    neither is the collar.
far: a smooth surface for places that nothing known is near: far(band, rows, columns) -> values, for arrays of
    rows and columns counted in this window. Finite.
filled: `values` with every hole filled by a finite number; nothing else changed.

A fill looks at most `REACH` pixels around a pixel that it fills, so a window with that halo gives what the whole
scene gives, to 1e-4 of the range (promise 5).
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

REACH = 72

Band: TypeAlias = NDArray[Any]
Bands: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]
Masks: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.integer[Any]]
Far: TypeAlias = Callable[[int, Places, Places], NDArray[Any]]
Guess: TypeAlias = Callable[[Bands, Masks, Masks, Far], Bands]


def zero(band: int, rows: Places, columns: Places) -> NDArray[Any]:
    """The flattest far surface: the mean of the known pixels everywhere."""
    return np.zeros(rows.shape)
