"""SpaceNet pictures: WorldView, eight bands, 650 pixels on a side, averaged to the networks' size."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rsinpaint.errors import JobError

from ..folders import read_whole
from ..geometry import averaged
from ..packing import LeftOut, Sample

BANDS = [5, 3, 2]
"""Red, green, blue of WorldView-3."""
NAMES = ("coastal", "blue", "green", "yellow", "red", "red edge", "nir1", "nir2")
WHITE = 2047
"""The sensor counts to 11 bits."""


def samples(
    folder: Path, *, bands: list[int] = BANDS, side: int = 256, white: int = WHITE, least: float = 1.0
) -> Iterator[Sample | LeftOut]:
    """SpaceNet's multispectral GeoTIFFs, averaged over area to one size.

    Args:
        folder: searched with its subfolders.
        bands: counted from 1, in the wanted order.
        side: of the pictures that are made, in pixels.
        white: what a network takes for 1.
        least: share of pixels that must be imaged; pictures at the edge of a strip have less.

    Raises:
        JobError: there is no picture, or one has too few bands.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".tif", ".tiff"))
    if not paths:
        raise JobError(f"`{folder}` holds no GeoTIFF", code="input_unreadable")
    for path in paths:
        values, empty, _ = read_whole(path)
        if max(bands) > len(values) or min(bands) < 1:
            raise JobError(
                f"`{path.name}` has {len(values)} bands", f"band {max(bands)} to be there, and band 1 the first"
            )
        bare = (values == 0).all(0)  # beside the strip all bands are 0; a true 0 in one band is a value
        planes, valid = averaged(values[np.array(bands) - 1], ~(empty.any(0) | bare)[None].repeat(len(bands), 0), side)
        if valid.mean() < least or not valid.any():
            yield LeftOut(path.stem, f"pictures of which less than {least:.0%} is imaged")
            continue
        names = tuple(NAMES[band - 1] if len(values) == len(NAMES) else f"band {band}" for band in bands)
        if values.dtype.kind in "iu":  # rounded: cutting off would darken by half a number
            planes = np.floor(planes + 0.5).clip(0, np.iinfo(values.dtype).max)
        yield Sample(path.stem, path.stem, names, planes.astype(values.dtype), valid, span=(0, white))
