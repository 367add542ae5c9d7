"""Sentinel-3 OLCI water reflectance (folders `.SEN3` of level 2 WFR) to clear tiles and to shapes of clouds."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from rsinpaint.errors import JobError
from rsinpaint.raster.files import GDAL_ERRORS
from rsinpaint.raster.grid import placed_or_not
from rsinpaint.raster.scene import open_scene

from ..geometry import centred, tile_name
from ..packing import LeftOut, Sample

BANDS = [f"Oa{number:02d}" for number in range(1, 12)]
HOLES = (
    "INVALID", "CLOUD", "CLOUD_AMBIGUOUS", "CLOUD_MARGIN", "HIGHGLINT", "AC_FAIL", "WHITECAPS", "COSMETIC", "SUSPECT",
    "HISOLZEN", "SATURATED",
)  # fmt: skip
"""Flags of pixels that are filled."""
NEVER = ("LAND", "SNOW_ICE", "INLAND_WATER")
"""Flags of pixels that are not, cloud over them or not."""
_PRODUCT = re.compile(r"(?P<satellite>S3[A-Z])_OL_2_W[FR]R____(?P<date>\d{8})T")


def samples(
    folder: Path, *, bands: list[str] = BANDS, tile: int = 256, fewest: float = 0.15, most: float = 0.25
) -> Iterator[Sample | LeftOut]:
    """OLCI water reflectance: tiles that are whole, and tiles with clouds whose shapes serve as masks.

    A whole tile has no flagged, empty or negative pixel. A tile of open water of which `fewest` to `most` is missing
    has masks.

    Args:
        folder: holds products, folders that end in `.SEN3`, or is one.
        bands: in the wanted order, for instance `Oa01`.
        tile: side of a tile, in pixels.
        fewest: smallest share of a tile that is missing, for a tile with masks; 0.15 in the published script.
        most: largest share; 0.25 in the published script.

    Raises:
        JobError: there is no product, or a file of one is missing or damaged.
    """
    products = [folder] if folder.suffix == ".SEN3" else sorted(folder.glob("*.SEN3"))
    if not products:
        raise JobError(f"`{folder}` holds no product", "folders ending in `.SEN3`", code="input_unreadable")
    for product in products:
        with rasterio.Env(GDAL_NETCDF_BOTTOMUP="NO"):  # rows as stored: without it swaths are read upside down
            values, empty = _reflectance(product, bands)
            bad, land = flagged(product / "wqsf.nc", HOLES), flagged(product / "wqsf.nc", NEVER)
        holes = empty.any(0) | bad
        valid = ~empty & ~(bad | land) & (values >= 0)
        found = _PRODUCT.match(product.name)
        place = f"{found['satellite']}_{found['date']}" if found else product.stem
        frame = centred(*values.shape[1:], tile=tile, crop=max(values.shape))
        top, left = frame.corner
        for row, column in frame.tiles():
            piece = slice(top + row, top + row + tile), slice(left + column, left + column + tile)
            name = tile_name(product.stem, row, column)
            share = float(holes[piece].mean())
            whole = bool(valid[:, *piece].all())
            if not whole and (land[piece].any() or not fewest <= share <= most):
                yield LeftOut(name, "tiles neither whole nor of open water with the wanted share missing")
                continue
            masks = None if whole else holes[piece][None].astype(np.uint8)
            planes = np.where(valid[:, *piece], values[:, *piece], 0).astype(np.float32)
            yield Sample(name, place, tuple(bands), planes, valid[:, *piece], masks=masks)


def _reflectance(product: Path, bands: list[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Reflectance and empty pixels, (bands, rows, columns), by each file's own scale and offset."""
    planes, empties = [], []
    for band in bands:
        with open_scene([str(product / f"{band}_reflectance.nc")]) as scene:
            stored = scene.read(slice(0, scene.height), slice(0, scene.width), [1])
            planes.append(stored[0] * float(scene.datasets[0].scales[0]) + float(scene.datasets[0].offsets[0]))
            empties.append(scene.empty(stored, [1])[0])
    if len({plane.shape for plane in planes}) != 1:
        raise JobError(f"The bands of `{product.name}` differ in size", "one size", code="unsupported_raster")
    return np.stack(planes), np.stack(empties)


def flagged(path: Path, names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Pixels of which one of the named flags is set, (rows, columns).

    Bits are looked up in the file: names are stable, and numbers 6 to 20 differ between versions of the product.

    Raises:
        JobError: unreadable, or it does not name its flags.
    """
    try:
        with placed_or_not(), rasterio.open(path) as dataset:
            flags, tags = dataset.read(1), dataset.tags(1)
    except GDAL_ERRORS as problem:
        raise JobError(f"`{path}` cannot be read ({problem})", "quality flags", code="input_unreadable") from problem
    bits = flag_masks(tags)
    if not bits:
        raise JobError(f"`{path}` does not name its flags", "`flag_meanings` and `flag_masks`", code="input_unreadable")
    wanted = 0
    for name in names:
        wanted |= bits.get(name, 0)
    # signed files hold bit 31 or 63 as a negative number; the bits are the same
    unsigned = flags.view(f"u{flags.dtype.itemsize}")
    return (unsigned & unsigned.dtype.type(wanted & ((1 << 8 * flags.dtype.itemsize) - 1))) != 0


def flag_masks(tags: dict[str, Any]) -> dict[str, int]:
    """Name of a flag -> its bits, from the attributes of a CF variable."""
    names = str(tags.get("flag_meanings", "")).split()
    masks = [int(number) for number in re.findall(r"-?\d+", str(tags.get("flag_masks", "")))]
    return {name: mask & ((1 << 64) - 1) for name, mask in zip(names, masks, strict=False)}
