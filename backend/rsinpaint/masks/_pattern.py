"""The stripe pattern as a few numbers: where each line runs, how wide its gap is, how far it was seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._runs import Bools, Floats, Ints

_FAR_WEST, _FAR_EAST = -(1 << 40), 1 << 40
"""Beyond any scene."""


@dataclass(frozen=True)
class Gaps:
    """Enclosed vertical runs of empty pixels, sampled every `stride` columns."""

    x: Ints
    y: Floats
    """Centre of the run, rows; a run of one pixel has its centre on that row's number."""
    length: Ints
    stride: int

    def where(self, keep: Bools) -> "Gaps":
        return Gaps(self.x[keep], self.y[keep], self.length[keep], self.stride)


def _terms(x: NDArray[Any], y: NDArray[Any], degree: int) -> NDArray[Any]:
    return np.stack([x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)], -1)


@dataclass(frozen=True)
class Surface:
    """A polynomial of the place in the scene."""

    x0: float
    y0: float
    scale: float
    degree: int
    weights: NDArray[Any]

    def __call__(self, x: Ints | Floats, y: Ints | Floats) -> Floats:
        """Values at columns `x` and rows `y` of one shape."""
        a, b = (x - self.x0) / self.scale, (y - self.y0) / self.scale
        out, k = np.zeros(np.broadcast(a, b).shape), len(self.weights)
        for i in range(self.degree, -1, -1):  # Horner in x over polynomials in y
            n = self.degree + 1 - i
            k -= n
            inner = np.full_like(out, self.weights[k + n - 1])
            for j in range(n - 2, -1, -1):
                inner = inner * b + self.weights[k + j]
            out = out * a + inner
        return out

    def fitted(self, gaps: Gaps, values: NDArray[Any], degree: int, trust: NDArray[Any]) -> "Surface":
        """The least-squares polynomial of `degree` through `values` at the gaps, weighted by `trust`."""
        terms = _terms((gaps.x - self.x0) / self.scale, (gaps.y - self.y0) / self.scale, degree)
        root = np.sqrt(trust)
        # A faint ridge: a scene of one stripe or one column must not make huge coefficients.
        gram = (terms * root[:, None]).T @ (terms * root[:, None])
        gram[np.diag_indices_from(gram)] += 1e-9 * np.trace(gram)
        weights: Floats = np.linalg.solve(gram, (terms * trust[:, None]).T @ values)
        return Surface(self.x0, self.y0, self.scale, degree, weights)


@dataclass(frozen=True)
class Pattern:
    """Where the stripes of a scene are.

    Line `n` runs where `phase` is n; even lines belong to one half of the swath, odd ones to the other.
    """

    period: float
    """Rows from one line to the next of the same half, at the place where the fit began."""
    slope: float
    """Rows that a line falls per column eastwards, there."""
    phase: Surface
    width: Surface
    """Vertical width in pixels, positive where even lines are gaps, negative where odd ones are."""
    first: int
    """Number of the first line of `west` and `east`."""
    west: Ints
    """First and, in `east`, last column of each line in which it was seen with valid pixels on both sides."""
    east: Ints
    least: Ints
    """First and, in `most`, last column in which each line can be a stripe: where the scene's edge is."""
    most: Ints

    @property
    def tolerance(self) -> float:
        """Pixels by which an edge may differ from the law: bands differ by 1, resampling eats up to 2."""
        return max(1.5, 0.075 * self.period)

    def rows_of(self, x: Ints, line: Ints) -> Floats:
        """Row of the centre of `line` at column `x`; depends on these two alone, so windows agree."""
        y = np.full(np.broadcast(x, line).shape, self.phase.y0)
        for _ in range(8):
            y = y + (line - self.phase(x, y)) * self.period / 2
        return y

    def gap_of(self, x: Ints, y: Floats, line: Ints) -> Floats:
        """Vertical width of the gap of `line` at the place; 0 where the line is none."""
        return np.maximum(self.width(x, y) * np.where(line % 2 == 0, 1, -1), 0.0)

    def interval(self, line: Ints) -> tuple[Ints, Ints]:
        """First and last column in which each line was seen enclosed; an empty interval (1, 0) if never."""
        return self._of(self.west, line, 1), self._of(self.east, line, 0)

    def limits(self, line: Ints) -> tuple[Ints, Ints]:
        """First and last column in which each line can be a stripe."""
        return self._of(self.least, line, _FAR_WEST), self._of(self.most, line, _FAR_EAST)

    def _of(self, numbers: Ints, line: Ints, otherwise: int) -> Ints:
        index = line - self.first
        known = (index >= 0) & (index < len(numbers))
        return np.where(known, numbers[np.where(known, index, 0)], otherwise)
