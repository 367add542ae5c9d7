"""From scene units to what networks and fills work on, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
Flags = NDArray[np.bool_]
Inside = tuple[slice, slice, slice]
"""The part of an array that is written."""


@dataclass(frozen=True)
class Normal:
    """Mean and deviation of each band's known pixels in the whole scene, (bands,); and their least and greatest."""

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def forth(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Normalised values, 0 where not valid."""
        out = np.empty(values.shape, np.float32)
        for band, plane in enumerate(values):
            # float64 in between: float32 cannot tell neighbouring 32-bit integers apart
            clean = np.where(valid[band], plane, self.mean[band])
            out[band] = (clean - self.mean[band]) / self.std[band]
        return out

    def back(self, z: NDArray[np.float32]) -> NDArray[np.float64]:
        """Scene units; never beyond the span of the known values, which no sensor's answer should leave."""
        out = np.empty(z.shape, np.float64)
        for band, plane in enumerate(z):
            np.clip(plane * self.std[band] + self.mean[band], self.low[band], self.high[band], out=out[band])
        return out


@dataclass(frozen=True)
class Fill:
    """An answer in scene units, (bands, rows, columns) of what is written; only the holes mean anything."""

    values: NDArray[np.float64]
    uncertainty: NDArray[np.float32] | None
    """Expected absolute error; None: the model says nothing about it."""
