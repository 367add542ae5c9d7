"""The stripe pattern of a Landsat 7 scene of after May 2003, fitted to the scene's own gaps.

The gaps lie on straight lines across the track, one line every 2 scans; their width grows evenly from the middle of
the swath to its edge; the lines of one half of the swath lie half a period between those of the other half. So a
smooth phase (a polynomial that counts half periods) and a signed width (positive on one half of the swath, negative
on the other) say where every stripe of the scene is, in a dozen numbers.

Source: ETM+ scan timing, Landsat 7 Science Data Users Handbook, 2 and 5.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from scipy import fft

from ._pattern import Gaps, Pattern, Surface
from ._runs import Bools, Ints, vertical_runs

LONGEST = 128
"""Longest vertical run, in pixels, that is looked at as a stripe: 14 px of 30 m seen at 4 m."""
SHORTEST_PERIOD, LONGEST_PERIOD = 6.0, 256.0
STEEPEST = 0.7
"""Largest slope of a stripe, rows per column; 0.3 at 60 degrees latitude, more in some projections."""
WIDEST = 0.55
"""Largest vertical width of a gap as a share of the period; 0.43 by the scan timing."""
ENOUGH = 300_000
"""Runs that are kept at most: bounds the memory whatever the size of the scene."""
CELL = 512
"""Side, in pixels, of the piece of the scene from which the fit starts."""

Reader = Callable[[slice, slice], Bools]
"""(rows, columns) -> bool array of these: True where the pixel is empty."""


def sample(read: Reader, height: int, width: int, tick: Callable[[float], None]) -> Gaps:
    """One streaming pass: the enclosed vertical runs of the scene.

    Runs that touch a border of the scene or are longer than `LONGEST` are left out.
    """
    stride = 4 if width >= 512 else 2 if width >= 256 else 1
    parts: list[Gaps] = []
    step_rows, step_columns = 1024, 2048
    starts = [(r, c) for r in range(0, height, step_rows) for c in range(0, width, step_columns)]
    for done, (top, left) in enumerate(starts):
        # LONGEST + 1 rows more, so that each run that begins here is seen to its end; and one row before.
        rows = slice(max(top - 1, 0), min(top + step_rows + LONGEST + 1, height))
        columns = slice(left, min(left + step_columns, width))
        begin = -left % stride
        runs = vertical_runs(read(rows, columns)[:, begin::stride])
        first, stop = runs.start + rows.start, runs.stop + rows.start
        keep = (first > rows.start) & (first >= top) & (first < top + step_rows) & (stop < rows.stop)
        keep &= stop - first <= LONGEST
        x = runs.column * stride + begin + left
        parts.append(Gaps(x[keep], (first + stop - 1)[keep] / 2, (stop - first)[keep], stride))
        if sum(len(part.x) for part in parts) > ENOUGH:
            stride *= 2
            parts = [Gaps(p.x[k], p.y[k], p.length[k], stride) for p in parts for k in [p.x % stride == 0]]
        tick((done + 1) / len(starts))
    join = np.concatenate
    return Gaps(join([p.x for p in parts]), join([p.y for p in parts]), join([p.length for p in parts]), stride)


def _cells(gaps: Gaps) -> Iterator[tuple[Gaps, float, float]]:
    """The pieces of the scene with most gaps, best first, with their top left corners."""
    half = CELL // 2
    place = np.stack([gaps.y // half, gaps.x // half], -1).astype(int)
    count = np.zeros(place.max(0) + 2)
    np.add.at(count, (place[:, 0], place[:, 1]), 1)
    cells = count[:-1, :-1] + count[1:, :-1] + count[:-1, 1:] + count[1:, 1:]
    order = np.argsort(-cells, axis=None, kind="stable")
    for row, column in zip(*np.unravel_index(order[:6], cells.shape), strict=True):
        near = (place[:, 0] >= row) & (place[:, 0] <= row + 1) & (place[:, 1] >= column)
        part = gaps.where(near & (place[:, 1] <= column + 1))
        if len(part.x) >= 16:
            yield part, float(column * half), float(row * half)


def _frequencies(cell: Gaps, left: float, top: float) -> Iterator[tuple[float, float]]:
    """Candidate (cycles per row, cycles per column) of a piece: spectral peak of its runs, and its subharmonics."""
    stride = cell.stride
    image = np.zeros((CELL + 1, CELL // stride + 1), np.float32)
    column = ((cell.x - left) // stride).astype(int)
    first = (cell.y - top - (cell.length - 1) / 2).astype(int)
    np.add.at(image, (np.clip(first, 0, CELL), column), 1)
    np.add.at(image, (np.clip(first + cell.length, 0, CELL), column), -1)
    image = np.cumsum(image, 0)[:CELL]
    filled = np.ptp(cell.y) + 1, np.ptp(cell.x) + 1
    image -= image.mean()
    power = np.abs(fft.rfft2(image, (2 * image.shape[1], 2 * CELL), axes=(1, 0))) ** 2  # real along the rows' axis
    fy, fx = fft.rfftfreq(2 * CELL)[:, None], fft.fftfreq(2 * image.shape[1], stride)[None, :]
    allowed = (fy >= 1 / min(LONGEST_PERIOD, filled[0] / 2.5)) & (fy <= 1 / SHORTEST_PERIOD)
    allowed = allowed & (np.abs(fx) <= STEEPEST * fy)
    if not allowed.any():
        return
    peak = np.unravel_index(np.argmax(np.where(allowed, power * fy, 0)), power.shape)
    for divisor in (4, 3, 2, 1):
        yield float(fy[peak[0], 0] / divisor), float(fx[0, peak[1]] / divisor)


def _coherence(cell: Gaps, fy: float, fx: float) -> complex:
    trust = np.minimum(cell.length, 1 / fy / 3)
    usable = cell.length <= WIDEST / fy
    turns = np.exp(2j * np.pi * (cell.y * fy + cell.x * fx))
    return complex((turns * trust * usable).sum() / max((trust * usable).sum(), 1e-9))


def _sharpen(cell: Gaps, fy: float, fx: float) -> tuple[float, float]:
    """The frequencies nearby with the largest coherence: a pattern search with halving steps."""
    dy, dx = 1 / (6 * CELL), 1 / (6 * CELL)
    best = abs(_coherence(cell, fy, fx))
    while dy > 1e-6:
        around = [(fy + i * dy, fx + j * dx) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
        score, place = max((abs(_coherence(cell, *f)), f) for f in around)
        if score > best:
            best, (fy, fx) = score, place
        else:
            dy, dx = dy / 2, dx / 2
    return fy, fx


def _start(cell: Gaps, left: float, top: float) -> tuple[float, float] | None:
    """Frequencies of the pattern in one piece: the lowest that is nearly as coherent as the best."""
    found = [_sharpen(cell, *f) for f in _frequencies(cell, left, top)]
    found = [f for f in found if 1 / LONGEST_PERIOD <= f[0] <= 1 / SHORTEST_PERIOD]
    scores = [abs(_coherence(cell, *f)) for f in found]
    if not scores or max(scores) < 0.2:
        return None
    return next(f for f, score in zip(found, scores, strict=True) if score >= 0.7 * max(scores))


def _grow(gaps: Gaps, cell: Gaps, fy: float, fx: float) -> Surface:
    """Phase of the whole scene: fitted to one piece, then to ever larger surroundings, so that lines are counted."""
    x0, y0 = float(np.median(cell.x)), float(np.median(cell.y))
    distance = np.hypot(gaps.x - x0, gaps.y - y0)
    turn = np.angle(_coherence(cell, fy, fx)) / (2 * np.pi)
    start = np.array([2 * (fy * y0 + fx * x0 - turn), 2 * fy, 2 * fx])
    phase = Surface(x0, y0, 1.0, 1, start)
    scale = max(float(distance.max()), 1.0)
    phase = Surface(x0, y0, scale, 1, start * [1, scale, scale])
    trust = np.minimum(gaps.length, 1 / fy / 3).astype(float)
    radius = CELL / 3
    while True:
        reached = distance <= radius
        degree = 1 if radius * fy < 16 else 2 if radius * fy < 60 else 3
        near, weights = gaps.where(reached), trust[reached]
        for tolerance in (0.3, 0.2, 0.2):
            value = phase(near.x, near.y)
            line = np.rint(value)
            good = np.abs(value - line) < tolerance
            if good.sum() > 12:
                phase = phase.fitted(near.where(good), line[good], degree, weights[good])
        if radius > scale:
            return phase
        radius *= 1.3


def _law(gaps: Gaps, line: Ints, phase: Surface) -> Surface:
    """Signed width of the gaps, linear in the place: least absolute deviations by reweighting."""
    signed = np.where(line % 2 == 0, 1.0, -1.0) * gaps.length
    trust = np.ones(len(signed))
    law = phase
    for _ in range(12):
        law = phase.fitted(gaps, signed, 1, trust)
        trust = 1 / np.maximum(np.abs(signed - law(gaps.x, gaps.y)), 0.5)
    return law


def _support(gaps: Gaps, line: Ints) -> dict[int, tuple[int, int, float]]:
    """First column, last column and share of the columns between with a gap, of each line."""
    out = {}
    order = np.lexsort((gaps.x, line))
    x, lines = gaps.x[order], line[order]
    for piece in np.split(np.arange(len(x)), np.flatnonzero(np.diff(lines)) + 1):
        if len(piece):
            seen = np.unique(x[piece])
            west, east = int(seen[0]), int(seen[-1])
            share = len(seen) / ((east - west) // gaps.stride + 1)
            out[int(lines[piece[0]])] = (west, east, share)
    return out


def _pattern(gaps: Gaps, cell: Gaps, fy: float, fx: float) -> Pattern | None:
    """The pattern grown from one piece, or None if its lines are not what stripes are: unbroken and apart."""
    period = 1 / fy
    gaps = gaps.where(gaps.length <= WIDEST * period)
    phase = _grow(gaps, cell, fy, fx)
    value = phase(gaps.x, gaps.y)
    line = np.rint(value).astype(int)
    tolerance = 2 * max(1.5, 0.075 * period) / period
    on = np.abs(value - line) < tolerance
    if on.sum() < 16:
        return None
    law = _law(gaps.where(on), line[on], phase)
    expected = law(gaps.x, gaps.y) * np.where(line % 2 == 0, 1, -1)
    on &= np.abs(gaps.length - expected) <= 0.12 * period
    lines = _support(gaps.where(on), line[on])
    # Between the lines of one half, where a dense speckle of holes would be as unbroken, but stripes are not.
    off = np.abs(np.abs(value - line) - 0.5) < tolerance
    between = _support(gaps.where(off), np.floor(value[off]).astype(int))
    long = {n: share for n, (start, stop, share) in lines.items() if stop - start >= period}
    good = [n for n, share in long.items() if share - between.get(n, (0, 0, 0.0))[2] >= 0.5]
    if len(good) < 2 or sum(lines[n][1] - lines[n][0] for n in good) < 4 * period:
        return None
    first, last = min(lines), max(lines)
    west, east = np.ones(last - first + 1, int), np.zeros(last - first + 1, int)
    for n, (start, stop, share) in lines.items():
        if share > 0.3:
            west[n - first], east[n - first] = start, stop
    least, most = np.full(len(west), -(1 << 40)), np.full(len(west), 1 << 40)
    return Pattern(period, -fx / fy, phase, law, first, west, east, least, most)


def bounded(pattern: Pattern, height: int, width: int) -> Pattern:
    """The pattern, its lines cut where the ends of most lines say that the scene ends.

    The imaged area has straight edges. A line that was seen enclosed far beyond runs through a notch of the collar.
    """
    numbers = np.arange(len(pattern.west))
    rows = [pattern.rows_of(ends, numbers + pattern.first) for ends in (pattern.west, pattern.east)]
    limits = []
    for ends, row, way in ((pattern.west, rows[0], -1), (pattern.east, rows[1], 1)):
        limit = np.full(len(ends), way * (1 << 40))
        free = (pattern.east > pattern.west) & (ends > 8) & (ends < width - 9)
        free &= (row > pattern.period) & (row < height - pattern.period)
        free &= pattern.gap_of(ends, row, numbers + pattern.first) >= 4
        if free.sum() >= 6:
            # Theil-Sen: a third of the ends may lie anywhere.
            n, x = numbers[free], ends[free]
            first, second = np.triu_indices(len(n), 1)
            steep = np.median((x[second] - x[first]) / (n[second] - n[first]))
            edge = np.median(x - steep * n) + steep * numbers
            if np.mean(np.abs(x - edge[free]) <= pattern.period / 4) >= 0.6:
                there = (numbers >= n.min()) & (numbers <= n.max()) & (way * (ends - edge) > pattern.period / 2)
                limit[there] = np.rint(edge[there] + way * pattern.period / 4)
        limits.append(limit)
    return replace(pattern, least=limits[0], most=limits[1])


def fit(gaps: Gaps) -> Pattern | None:
    """The stripe pattern to which the gaps belong; None when they are no such pattern."""
    if len(gaps.x) < 32:
        return None
    for cell, left, top in _cells(gaps):
        start = _start(cell, left, top)
        found = _pattern(gaps, cell, *start) if start else None
        if found:
            return found
    return None


def blunt(pattern: Pattern, read: Reader, height: int, width: int) -> bool:
    """Whether most lines end wide amid valid pixels, as the teeth of a saw-tooth collar do and stripes never do.

    A stripe narrows to nothing or runs into the border or the collar; the notches that the two sweeps of an
    undamaged scanner leave at the swath's edge are as periodic and as wide, but their inner ends are cut square.
    """
    seen = np.flatnonzero(pattern.east >= pattern.west)
    seen = seen[:: max(1, len(seen) // 32)]
    count = 0
    for index in seen:
        ends = ((int(pattern.west[index]), -1), (int(pattern.east[index]), 1))
        count += any(_cut_square(pattern, int(index) + pattern.first, x, way, read, height, width) for x, way in ends)
    return count > len(seen) / 2


def _cut_square(pattern: Pattern, line: int, end: int, way: int, read: Reader, height: int, width: int) -> bool:
    x = end + way * np.array([8, 12, 16])
    rows = pattern.rows_of(x, np.array(line))
    y = np.rint(rows).astype(int)
    if x.min() < 0 or x.max() >= width or y.min() < 0 or y.max() >= height:
        return False
    if pattern.gap_of(x, rows, np.array(line)).min() < 4:
        return False
    empty = read(slice(int(y.min()), int(y.max()) + 1), slice(int(x.min()), int(x.max()) + 1))
    return not empty[y - y.min(), x - x.min()].any()
