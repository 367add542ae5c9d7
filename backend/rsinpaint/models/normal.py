"""From scene units to what networks and fills work on, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .card import Scaling as Fixed

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
    range_low: NDArray[np.float64] | None = None
    """Ends of the range, the 0.1 and 99.9 percentiles, (bands,); None: nobody asked for them."""
    range_high: NDArray[np.float64] | None = None
    bytes_each: int = 0
    """Bytes of a pixel where the scene holds unsigned integers, else 0: 8-bit pictures go from 0 to 255."""

    @property
    def count(self) -> int:
        """Bands of the scene."""
        return len(self.mean)

    def forth(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Normalised values, 0 where not valid."""
        out = np.empty(values.shape, np.float32)
        for band, plane in enumerate(values):
            # float64 in between: float32 cannot tell neighbouring 32-bit integers apart
            clean = np.where(valid[band], plane, self.mean[band])
            out[band] = (clean - self.mean[band]) / self.std[band]
        return out

    def back(self, z: NDArray[np.float32], *, within: bool = True) -> NDArray[np.float64]:
        """Scene units.

        Args:
            within: never beyond the span of the known values, which no fill of a gap should leave. Under a veil of
                cloud, though, ground may be darker than all that was seen; but a band of one value keeps it.
        """
        out = np.empty(z.shape, np.float64)
        for band, plane in enumerate(z):
            out[band] = plane * self.std[band] + self.mean[band]
            if within or self.low[band] == self.high[band]:
                out[band].clip(self.low[band], self.high[band], out=out[band])
        return out


@dataclass(frozen=True)
class Scaling:
    """From normalised values to what a network was trained on, `value * slope + offset` of each band, and back."""

    slope: NDArray[np.float64]
    offset: NDArray[np.float64]
    span: tuple[float, float] | None
    """Values that the network knows; what lies beyond is cut off. None: any."""

    @classmethod
    def of(cls, kind: str | Fixed, normal: Normal, span: tuple[float, float]) -> "Scaling":
        """How a card's `normalisation` is met for a scene.

        Args:
            kind: see `models.card.Card.normalisation`.
            span: values of the pictures that the network was made for, such as (0, 1) or (-1, 1).
        """
        if kind == "mean-std":
            return cls(np.ones(normal.count), np.zeros(normal.count), None)
        if isinstance(kind, Fixed):
            return cls(normal.std / kind.scale, (normal.mean - kind.centre) / kind.scale, None)
        if kind == "none":
            return cls(normal.std, normal.mean, None)
        if kind == "picture" and normal.bytes_each == 1:
            low, high = np.zeros(normal.count), np.full(normal.count, 255.0)
        else:
            if normal.range_low is None or normal.range_high is None:
                raise ValueError(f"normalisation `{kind}` needs the range of the scene")
            low, high = normal.range_low, normal.range_high
        width = np.where(high > low, high - low, normal.std) / (span[1] - span[0])
        return cls(normal.std / width, (normal.mean - low) / width + span[0], span)

    def forth(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the network is shown, (bands, rows, columns)."""
        if self.span is None and (self.slope == 1).all() and not self.offset.any():
            return z
        scaled = z * self.slope[:, None, None] + self.offset[:, None, None]
        return (scaled if self.span is None else scaled.clip(*self.span)).astype(np.float32)

    def back(self, plane: NDArray[np.float32], band: int) -> NDArray[np.float32]:
        """What the network says of a band, normalised."""
        return ((plane - self.offset[band]) / self.slope[band]).astype(np.float32)

    def error(self, plane: NDArray[np.float32], band: int) -> NDArray[np.float32]:
        """Likewise a distance."""
        return (plane / abs(self.slope[band])).astype(np.float32)


@dataclass(frozen=True)
class Fill:
    """An answer in scene units, (bands, rows, columns) of what is written; only the holes mean anything."""

    values: NDArray[np.float64]
    uncertainty: NDArray[np.float32] | None
    """Expected absolute error; None: the model says nothing about it."""
