"""Percentiles of numbers that come window by window, in bounded memory and whatever their order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 1 << 16


class Percentiles:
    """Counts in 65,536 bins: exact for integers of up to 16 bits, else within 0.4 % of the value.

    Other numbers are sorted into bins by the first 16 bits of their float32, which are in the order of the numbers.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._lowest: int | None = None
        """Value of the first bin where bins are integers; None: bins are parts of float32."""

    def add(self, values: NDArray[Any]) -> None:
        """Take in finite numbers of any shape, of one dtype in all calls."""
        if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
            self._lowest = int(np.iinfo(values.dtype).min)
            places = values.ravel().astype(np.int32) - self._lowest
        else:
            places = _ordered(values.ravel().astype(np.float32)) >> 16
        self._counts += np.bincount(places.astype(np.int64), minlength=BINS)

    def at(self, percent: float) -> float:
        """The percentile, linear within a bin of reals; 0 when there is no number at all."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        rank = percent / 100 * (total - 1)
        sums = np.cumsum(self._counts)
        place = int(np.searchsorted(sums, rank, side="right"))
        if self._lowest is not None:
            return float(place + self._lowest)
        share = (rank - (sums[place] - self._counts[place]) + 0.5) / self._counts[place]
        low, high = _numbers(np.array([place << 16, (place << 16) | 0xFFFF], np.uint32)).tolist()
        return float(low + share * (high - low))


def _ordered(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The bits of float32 so that larger numbers have larger bits."""
    bits = values.view(np.uint32)
    negative = bits >> 31 == 1
    ordered: NDArray[np.uint32] = np.where(negative, ~bits, bits | np.uint32(1 << 31))
    return ordered


def _numbers(ordered: NDArray[np.uint32]) -> NDArray[np.float32]:
    """What `_ordered` was made of."""
    negative = ordered >> 31 == 0
    bits = np.where(negative, ~ordered, ordered & np.uint32((1 << 31) - 1)).astype(np.uint32)
    return bits.view(np.float32)
