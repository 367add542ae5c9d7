"""Makes gaps as sensors and weather make them, for training, tests, `rsinpaint simulate` and assessment.

Every function gives a bool array (rows, columns), True = hole, that depends on its arguments and the generator
alone. `SIMULATORS` lists them by kind; `simulate` draws one by kind and amount.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import JobError

Holes = NDArray[np.bool_]
Shape = tuple[int, int]

SLC_PERIOD = 32.48
"""Gap to gap along track on one side of nadir, in 30 m pixels: two scans of 16 detectors (ETM+ timing)."""
SLC_EDGE_WIDTH = 14.04
"""Width of a gap at the edge of the swath, in 30 m pixels; it falls evenly to 0 at nadir."""
SLC_CLOSED_WIDTH = 2.0
"""Gaps up to this width are closed by the ground segment."""
SLC_HALF_SWATH = 3050.0
"""Nadir to the edge of the swath, in 30 m pixels."""


def slcoff(
    shape: Shape,
    rng: Generator,
    *,
    offset: float,
    tilt: float = 9.5,
    pixel: float = 30.0,
    half_swath: float = SLC_HALF_SWATH,
) -> Holes:
    """Wedge-shaped stripes of Landsat 7 after its scan line corrector failed on 31 May 2003.

    Args:
        shape: rows and columns.
        rng: draws the phase of the pattern and the side of nadir.
        offset: distance of the array's centre from nadir as a fraction of the half swath, 0 to 1.
        tilt: degrees by which the stripes fall towards the east.
        pixel: size of a pixel in metres.
        half_swath: nadir to edge of the swath, in 30 m pixels.

    Source: ETM+ scan timing (71.46 ms from scan to scan, of which 60.74 ms are active; 16 detectors).
    """
    rows, columns = shape
    y, x = np.mgrid[0:rows, 0:columns] * (pixel / 30.0)
    angle = math.radians(tilt)
    side = rng.choice((-1.0, 1.0))
    centre = (rows - 1) / 2 * pixel / 30, (columns - 1) / 2 * pixel / 30
    across = (x - centre[1]) * math.cos(angle) + (y - centre[0]) * math.sin(angle) + side * offset * half_swath
    along = y * math.cos(angle) - x * math.sin(angle) + rng.uniform(0, SLC_PERIOD)
    along = along + np.where(across > 0, SLC_PERIOD / 2, 0.0)  # scans turn round: the two sides alternate
    width = SLC_EDGE_WIDTH * np.abs(across) / half_swath
    width[width <= SLC_CLOSED_WIDTH] = 0.0
    from_line = np.abs((along + SLC_PERIOD / 2) % SLC_PERIOD - SLC_PERIOD / 2)
    return np.asarray(from_line < width / 2)


def clouds(shape: Shape, rng: Generator, *, share: float) -> Holes:
    """Blobs like clouds: the highest `share` (0 to 1) of fractal noise, small specks removed."""
    noise = fractal(shape, rng, slope=1.8)
    return ndimage.binary_opening(noise > np.quantile(noise, 1 - share), iterations=2)


def irregular(shape: Shape, rng: Generator, *, share: float) -> Holes:
    """Wandering strokes of radius 1 to 6 px until about `share` (0 to 1) of the pixels is covered."""
    rows, columns = shape
    holes = np.zeros(shape, bool)
    while holes.mean() < share:
        turns = np.cumsum(rng.normal(0, 0.35, int(rng.integers(15, 60)))) + rng.uniform(0, 2 * math.pi)
        track_y = rng.uniform(0, rows) + 2 * np.cumsum(np.sin(turns))
        track_x = rng.uniform(0, columns) + 2 * np.cumsum(np.cos(turns))
        inside = (track_y >= 0) & (track_y < rows) & (track_x >= 0) & (track_x < columns)
        away = np.ones(shape, bool)
        away[track_y[inside].astype(int), track_x[inside].astype(int)] = False
        if inside.any():
            holes |= ndimage.distance_transform_edt(away) <= rng.uniform(1, 6)
    return holes


def lines(shape: Shape, rng: Generator, *, share: float) -> Holes:
    """Dead detector lines: whole rows, one to four beside each other, until `share` (0 to 1) of the rows is lost."""
    holes = np.zeros(shape, bool)
    while holes[:, 0].mean() < share:
        start = int(rng.integers(shape[0]))
        holes[start : start + int(rng.integers(1, 5))] = True
    return holes


def fractal(shape: Shape, rng: Generator, *, slope: float) -> NDArray[np.float64]:
    """Noise of mean 0 whose amplitude falls with spatial frequency to the power `slope`."""
    side = 2 ** math.ceil(math.log2(max(*shape, 8)) + 0.5)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) / frequency**slope
    return np.fft.irfft2(spectrum, (side, side))[: shape[0], : shape[1]]


SIMULATORS: Mapping[str, Callable[[Shape, Generator, float], Holes]] = {
    "clouds": lambda shape, rng, amount: clouds(shape, rng, share=amount),
    "irregular": lambda shape, rng, amount: irregular(shape, rng, share=amount),
    "lines": lambda shape, rng, amount: lines(shape, rng, share=amount),
    "slcoff": lambda shape, rng, amount: slcoff(shape, rng, offset=amount),
}
"""kind -> f(shape, rng, amount); the amount of `slcoff` is the offset from nadir, of the others the share of holes."""


def simulate(kind: str, shape: Shape, *, amount: float, seed: int) -> Holes:
    """Holes of a kind; the same arguments give the same holes everywhere.

    Raises:
        JobError: the kind is unknown or the amount is not within 0 and 1.
    """
    if kind not in SIMULATORS:
        raise JobError(f"There are no gaps of kind `{kind}`", "one of " + ", ".join(SIMULATORS))
    if not 0 < amount < 1:
        raise JobError(f"The amount of gaps is {amount}", "a fraction above 0 and below 1", "Give `--amount 0.5`")
    return SIMULATORS[kind](shape, np.random.default_rng([seed, sorted(SIMULATORS).index(kind)]), amount)
