"""Which files of a Landsat bundle's folder are bands of the scene."""

import os
import re
from dataclasses import dataclass
from itertools import pairwise

from ..errors import JobError

# LE07_L1TP_..._B1.TIF, ..._B6_VCID_1.TIF, LC08_L2SP_..._SR_B4.TIF, older ..._sr_band4.tif and L7..._B61.TIF.
# ST_B6 and ST_B10 are surface temperatures in another unit, GM_B1 an official gap mask: neither is a band.
_BAND = re.compile(
    r"_(?P<label>((?P<kind>SR|TOA|ST|GM)_)?B(AND)?(?P<number>\d{1,2})(_VCID_(?P<gain>[12]))?)\.TIFF?$", re.IGNORECASE
)
_RASTER = re.compile(r"\.(tiff?|img|jp2|nc|gz)$", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class BandFile:
    """One spectral band of a bundle; sorts in band order."""

    number: int
    gain: int
    path: str
    label: str

    @property
    def may_differ(self) -> bool:
        """Panchromatic (8) and, in old bundles, thermal (6) bands come on a grid of their own."""
        return self.number in (6, 8)


def band_files(folder: str) -> tuple[list[BandFile], list[str]]:
    """Find the spectral bands of a Landsat bundle by name.

    Returns:
        The bands in order, and the names of rasters that are none (quality, angles, surface temperature).
        No bands when the folder is not a Landsat bundle.

    Raises:
        JobError: a band is there twice, for instance at the sensor and at the surface.
    """
    bands, others = [], []
    for name in sorted(os.listdir(folder)):
        found = _BAND.search(name)
        if found and (found["kind"] or "").upper() not in ("ST", "GM"):
            number, gain = int(found["number"]), int(found["gain"] or 0)
            if number in (61, 62):  # how the two gains of band 6 were written before VCID
                number, gain = 6, number - 60
            bands.append(BandFile(number, gain, os.path.join(folder, name), found["label"]))
        elif _RASTER.search(name):
            others.append(name)
    bands.sort()
    for first, second in pairwise(bands):
        if (first.number, first.gain) == (second.number, second.gain):
            names = f"`{os.path.basename(first.path)}` and `{os.path.basename(second.path)}`"
            raise JobError(
                f"Folder `{os.path.basename(os.path.abspath(folder))}` has band {first.number} twice, {names}",
                "one file a band",
                "Name the files of one kind instead of the folder",
                code="bad_request",
            )
    return bands, others
