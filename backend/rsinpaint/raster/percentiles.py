"""Percentiles of numbers that come window by window, in bounded memory and whatever their order."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LIMIT = 1 << 16
"""Bins that are kept at most."""


class Percentiles:
    """Counts of equal numbers, as float32 or integers of up to 32 bits; exact while they are few.

    Beyond `LIMIT` different numbers their last bits are dropped, as many as it takes: which ones does not depend on
    the order in which they came. Bins follow the numbers, so a small spread about a large value is told apart.
    """

    def __init__(self) -> None:
        self._bins = np.zeros(0, np.uint32)
        self._counts = np.zeros(0, np.int64)
        self._dropped = 0
        self._integers, self._lowest = False, 0

    def add(self, values: NDArray[Any]) -> None:
        """Take in finite numbers of any shape, of one dtype in all calls."""
        self._integers = values.dtype.kind in "iu" and values.dtype.itemsize <= 4
        bins, counts = np.unique(self._ordered(values.ravel()) >> self._dropped, return_counts=True)
        bins, place = np.unique(np.concatenate([self._bins, bins]), return_inverse=True)
        self._keep(bins, np.bincount(place, np.concatenate([self._counts, counts])).astype(np.int64))

    def at(self, percent: float) -> float:
        """The percentile, linear within a bin; 0 when there is no number at all."""
        if not self._counts.size:
            return 0.0
        sums = np.cumsum(self._counts)
        rank = percent / 100 * (int(sums[-1]) - 1)
        place = int(np.searchsorted(sums, rank, side="right"))
        share = (rank - (sums[place] - self._counts[place]) + 0.5) / self._counts[place]
        first = int(self._bins[place]) << self._dropped
        low, high = self._numbers(np.array([first, first | (1 << self._dropped) - 1], np.uint32)).tolist()
        return float(low + share * (high - low))

    def _keep(self, bins: NDArray[np.uint32], counts: NDArray[np.int64]) -> None:
        while bins.size > LIMIT:
            self._dropped += 1
            bins, place = np.unique(bins >> 1, return_inverse=True)
            counts = np.bincount(place, counts).astype(np.int64)
        self._bins, self._counts = bins, counts

    def _ordered(self, values: NDArray[Any]) -> NDArray[np.uint32]:
        """Bits in the order of the numbers."""
        if self._integers:
            self._lowest = int(np.iinfo(values.dtype).min)
            return (values.astype(np.int64) - self._lowest).astype(np.uint32)
        bits = values.astype(np.float32).view(np.uint32)
        ordered: NDArray[np.uint32] = np.where(bits >> 31 == 1, ~bits, bits | np.uint32(1 << 31))
        return ordered

    def _numbers(self, ordered: NDArray[np.uint32]) -> NDArray[Any]:
        """What `_ordered` was made of."""
        if self._integers:
            return ordered.astype(np.int64) + self._lowest
        bits = np.where(ordered >> 31 == 0, ~ordered, ordered & np.uint32((1 << 31) - 1)).astype(np.uint32)
        return bits.view(np.float32)
