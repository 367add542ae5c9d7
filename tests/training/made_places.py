"""Places made in memory, for tests of what learns from packed scenes."""

import numpy as np

from rsinpaint.masks.simulate import fractal
from training.crops import Packed


def made_places() -> Packed:
    """Three places with three bands that look alike but for gain and noise."""
    places = []
    for number in range(3):
        rng = np.random.default_rng(number)
        ground = fractal((120, 130), rng, slope=1.3)
        bands = [gain * ground / ground.std() + 0.1 * rng.normal(size=ground.shape) for gain in (1, 2, -1)]
        values = (1000 + 300 * np.stack(bands)).astype(np.int16)
        places.append(((values, np.ones(values.shape, bool)),))
    return Packed(tuple(places))
