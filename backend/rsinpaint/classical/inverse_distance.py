"""Inverse-distance scan: what `gdal_fillnodata` does, by GDAL's own code in rasterio."""

import numpy as np
from rasterio.fill import fillnodata
from scipy import ndimage

from .contract import REACH, Bands, Far, Masks

SMOOTHING = 2
"""Rounds of 3 x 3 averaging over the filled pixels."""
SEARCH = REACH - 2 * SMOOTHING
"""Pixels that a hole looks for known ones; holes that are farther take the far surface."""


def inverse_distance(values: Bands, valid: Masks, holes: Masks, far: Far) -> Bands:
    """Mean of the nearest known pixels in four quadrants, weighted by inverse distance. See `contract`."""
    out = values.copy()
    for band in map(int, np.flatnonzero(holes.any((1, 2)))):
        known, wanted = valid[band], holes[band]
        if known.any():
            # GDAL works in float32, and on its own copy
            start = np.where(known, values[band], 0).astype(np.float32)
            filled = fillnodata(
                start, mask=known.astype(np.uint8), max_search_distance=SEARCH, smoothing_iterations=SMOOTHING
            )
            reached = ndimage.distance_transform_edt(~known) <= SEARCH
            out[band][wanted & reached] = filled[wanted & reached]
        else:
            reached = np.zeros_like(known)
        deep = wanted & ~reached
        out[band][deep] = far(band, *np.nonzero(deep))
    return out
