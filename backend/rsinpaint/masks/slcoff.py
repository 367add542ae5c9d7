"""SLC-off: the stripes of Landsat 7 scenes of after 31 May 2003, found from the geometry of the valid area.

A pixel is a hole when it is empty, lies where the fitted stripe pattern (`_stripes.Pattern`) has a gap, and is inside
the scene: the empty run of its column ends at valid pixels above and below, no farther than the gap's width says.
Where a cloud or another hole that is no stripe widens the run, only the stripe's own part is taken, and only between
places of the same stripe that are enclosed; so a gap that runs into the collar ends where the scene ends.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from ._collar import nothing_valid
from ._pattern import Pattern
from ._runs import Bools, Floats, Ints, Runs, paint, vertical_runs
from ._stripes import WIDEST, Reader, blunt, bounded, fit, sample

THIN = 4.0
"""Gaps narrower than this, in pixels, must be unbroken along the line: specks of nodata are as high as they are."""
ALONG = 12
"""Columns to either side over which a thin gap must be unbroken."""
NARROWEST = 0.1
"""Width in pixels below which the law says that there is no gap."""
DOTTED = 2.0
"""Gaps narrower than this may be rows of dots, where resampling left a pixel now and then."""


class _Lines(NamedTuple):
    """The lines that cross a window, column by column; arrays of (columns, lines)."""

    first: int
    centre: Floats
    """Row of the centre, in window rows."""
    gap: Floats
    """Vertical width, 0 where the line is no gap."""
    between: Bools
    """The place lies between two places of the line that are enclosed, and not close to either end."""
    within: Bools
    """Part of the gap lies between the upper and the lower border of the scene."""
    edge: Bools
    """The line leaves the scene through its upper or lower border nearby, and not through the collar."""


class StripeHoles:
    """Finds the holes of one fitted pattern, window by window.

    Args:
        pattern: from `_stripes.fit`.
        height, width: of the scene, in pixels.
    """

    def __init__(self, pattern: Pattern, height: int, width: int) -> None:
        self.pattern, self.height, self.width = pattern, height, width
        corners = pattern.width(np.array([0, width, 0, width]), np.array([0, 0, height, height]))
        self.widest = min(float(np.abs(corners).max()), WIDEST * pattern.period)
        self.reach = max(int(np.ceil(self.widest + 2 * pattern.tolerance + pattern.period / 2)) + 3, ALONG + 1)

    def holes(self, rows: slice, columns: slice, empty: Bools) -> Bools:
        """The stripe pixels of each band.

        Args:
            rows, columns: place of the window in the scene; trusted `reach` inside it or at the scene's border.
            empty: bool (bands, rows, columns).
        """
        out = np.zeros(empty.shape, bool)
        if empty.any():
            lines = self._lines(rows, columns)
            for band, plane in enumerate(empty):
                if plane.any():
                    out[band] = self._band(lines, rows, columns, plane)
        return out

    def _lines(self, rows: slice, columns: slice) -> _Lines:
        pattern = self.pattern
        x = np.linspace(columns.start, columns.stop, 9)
        rim = np.concatenate([pattern.phase(x, np.full(9, float(y))) for y in (rows.start, rows.stop)])
        numbers = np.arange(int(np.floor(rim.min())) - 2, int(np.ceil(rim.max())) + 3)
        x, line = np.arange(columns.start, columns.stop)[:, None], numbers[None, :]
        centre = pattern.rows_of(x, line)
        gap = np.minimum(pattern.gap_of(x, centre, line), WIDEST * pattern.period)
        least, most = pattern.limits(line)
        gap[(gap < NARROWEST) | (x < least) | (x > most)] = 0
        gap[(centre + gap / 2 < rows.start - pattern.period) | (centre - gap / 2 > rows.stop + pattern.period)] = 0
        west, east = pattern.interval(line)
        between = (x >= west + pattern.period) & (x <= east - pattern.period)
        within = (centre + gap / 2 > 0) & (centre - gap / 2 < self.height - 1)
        edge = self._edge(x, line, centre, west, east)
        return _Lines(int(numbers[0]), centre - rows.start, gap, between, within, edge)

    def _edge(self, x: Ints, line: Ints, centre: Floats, west: Ints, east: Ints) -> Bools:
        """Where a line that is cut by the upper or lower border of the scene is a stripe.

        A collar that is parallel to the stripes looks the same at the border. So the line must be seen enclosed as
        soon as it is far enough from the border, or never be far enough within the scene's width (corners).
        """
        pattern, slope = self.pattern, self.pattern.slope
        slack = 2 * pattern.tolerance + 8 * abs(slope)
        upper = centre < self.height / 2
        eastwards = upper == (slope >= 0)  # the way along the line into the scene
        side = np.where(east >= west, np.where(eastwards, west, east), np.where(eastwards, self.width - 1, 0))
        row = pattern.rows_of(side, line)
        half = pattern.gap_of(side, row, line) / 2
        from_border = np.where(upper, row - half, self.height - 1 - (row + half))
        onwards = np.where(eastwards, x <= side, x >= side)
        inside = (x >= west) & (x <= east)
        return inside | (onwards & (from_border <= slack))

    def _band(self, lines: _Lines, rows: slice, columns: slice, empty: Bools) -> Bools:
        runs = vertical_runs(empty)
        run, line = self._pairs(runs, lines, rows, columns)
        column = runs.column[run]
        start, stop = runs.start[run], runs.stop[run]
        centre, gap = lines.centre[column, line], lines.gap[column, line]
        tolerance, half = self.pattern.tolerance, (gap - 1) / 2
        upper, lower = centre - half, centre + half  # centres of the first and the last row of the gap
        overlap = (gap > 0) & (start <= lower + 1) & (stop - 1 >= upper - 1)
        above, below = start >= upper - tolerance, stop - 1 <= lower + tolerance
        # The border of the scene is no valid pixel, nor is it an empty one: the line's course decides.
        at_top = (start == 0) & (rows.start == 0) & (upper - tolerance <= 0)
        at_end = (stop == empty.shape[0]) & (rows.stop == self.height) & (lower + tolerance >= stop - 1)
        edge = lines.edge[column, line]
        clean = (above | at_top) & (below | at_end) & ((~at_top & ~at_end) | (edge & ~(at_top & at_end)))
        near = (start >= upper - self.pattern.period / 2) & (stop - 1 <= lower + self.pattern.period / 2)
        widened = (above ^ below | near) & ~at_top & ~at_end & lines.between[column, line]
        keep = overlap & (clean | widened)
        dot = (gap < DOTTED) & (np.maximum(upper - start, stop - 1 - lower) > 1.5)  # a speck beside a thin gap
        keep &= self._unbroken(lines, column, line, keep & ~dot)
        first = np.where(above | at_top, start, np.maximum(start, np.rint(upper).astype(int)))
        last = np.where(below | at_end, stop, np.minimum(stop, np.rint(lower).astype(int) + 1))
        return paint(empty.shape, Runs(column[keep], first[keep], last[keep]))

    def _pairs(self, runs: Runs, lines: _Lines, rows: slice, columns: slice) -> tuple[Ints, Ints]:
        """All (run, line) whose rows may meet, as indices; more than do, never fewer."""
        x = runs.column + columns.start
        margin = self.widest / 2 + self.pattern.tolerance + 2
        low = np.floor(self.pattern.phase(x, runs.start + rows.start - margin)).astype(int) - lines.first
        high = np.ceil(self.pattern.phase(x, runs.stop + rows.start + margin)).astype(int) - lines.first + 1
        low, high = np.clip(low, 0, lines.gap.shape[1]), np.clip(high, 0, lines.gap.shape[1])
        count = np.maximum(high - low, 0)
        run = np.repeat(np.arange(len(count)), count)
        line = np.repeat(low - (np.cumsum(count) - count), count) + np.arange(len(run))
        real = lines.gap[runs.column[run], line] > 0
        return run[real], line[real]

    def _unbroken(self, lines: _Lines, column: Ints, line: Ints, keep: Bools) -> Bools:
        """False for thin gaps that are seen in too few of the columns around."""
        gap = lines.gap[column, line]
        thin = gap < THIN
        if not (thin & keep).any():
            return ~thin
        seen = np.zeros(lines.gap.shape, np.float32)
        seen[column[keep], line[keep]] = 1
        size = 2 * ALONG + 1
        share = ndimage.uniform_filter1d(seen, size, axis=0, mode="constant")
        there = ndimage.uniform_filter1d(lines.within.astype(np.float32), size, axis=0, mode="constant")
        least = np.where(gap < DOTTED, 0.15, 0.499)
        return ~thin | ((share / np.maximum(there, 1 / size))[column, line] >= least)


def find(read: Reader, height: int, width: int, tick: Callable[[float], None]) -> Pattern | None:
    """The stripe pattern of what `read` gives, in one streaming pass; None when there is none."""
    pattern = fit(sample(read, height, width, tick))
    if pattern is None or blunt(pattern, read, height, width):
        return None
    return bounded(pattern, height, width)


class SlcOff:
    """Mask source: the stripes of the scene, band by band."""

    name = "slcoff geometry"

    def __init__(self) -> None:
        self.reach = 0
        self.notes: list[str] = []
        self._stripes: StripeHoles | None = None
        self.zeros: tuple[bool, ...] = ()

    @property
    def pattern(self) -> Pattern | None:
        """The fitted pattern, None before `prepare` or when the scene has no stripes."""
        return self._stripes.pattern if self._stripes else None

    def prepare(self, scene: Any, tick: Callable[[float], None]) -> None:
        """Fit the pattern in one streaming pass over one band; others are tried when that shows none.

        Bands without a nodata value (or all, when the nodata value shows no stripes) take 0 as empty.

        Raises:
            JobError: no pixel of the scene is valid.
        """
        bands = [b for b in range(1, scene.count + 1) if scene.fillable[b - 1]] or [1]
        bands.sort(key=lambda b: abs(b - (scene.count + 1) / 2))
        untagged = tuple(value is None for value in scene.nodata)
        everywhere = (True,) * scene.count
        tries = [(band, zeros) for zeros in dict.fromkeys((untagged, everywhere)) for band in bands]
        tried: dict[tuple[int, bool], _Planes] = {}
        for band, zeros in tries:
            if (band, zeros[band - 1]) in tried:
                continue
            planes = tried[band, zeros[band - 1]] = _Planes(scene, band, zeros[band - 1])
            pattern = find(planes.read, scene.height, scene.width, tick)
            if pattern:
                self._stripes = StripeHoles(pattern, scene.height, scene.width)
                self.reach, self.zeros = self._stripes.reach, zeros
                if zeros != untagged:
                    self.notes.append(f"`{scene.name}`: the stripes are coded 0, not as the nodata value says")
                return
        if not any(planes.valid for planes in tried.values()):
            raise nothing_valid(scene.name)
        self.notes.append(
            f"`{scene.name}` shows no periodic stripes. Give a mask with `--mask` if pixels are missing in another way"
        )

    def holes(self, rows: slice, columns: slice, values: np.ndarray, empty: Bools) -> Bools:
        """Stripe pixels, bool (bands, rows, columns); nothing when the scene has no stripes."""
        if self._stripes is None:
            return np.zeros(empty.shape, bool)
        if any(self.zeros):
            empty = empty | ((values == 0) & np.array(self.zeros)[:, None, None])
        return self._stripes.holes(rows, columns, empty)

    def unknown(self, rows: slice, columns: slice, empty: Bools) -> Bools:
        """What is empty, and nothing else."""
        return empty


class _Planes:
    """Empty pixels of one band, and whether any was seen that is not."""

    def __init__(self, scene: Any, band: int, zeros: bool) -> None:
        self.scene, self.band, self.zeros = scene, band, zeros
        self.valid = False

    def read(self, rows: slice, columns: slice) -> Bools:
        values = self.scene.read(rows, columns, [self.band])
        empty: Bools = self.scene.empty(values, [self.band])[0]
        if self.zeros:
            empty = empty | (values[0] == 0)
        self.valid = self.valid or not empty.all()
        return empty
