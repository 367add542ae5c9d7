"""Holes from a raster mask on the scene's grid, or from the official gap mask of a Landsat bundle."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ..errors import JobError
from ._given import Marked, Missing
from ._runs import Bools

Ranges = tuple[tuple[float, float], ...]

_PART = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*(?:-\s*(-?\d+(?:\.\d+)?)\s*)?")
_GAP_MASK = re.compile(r"_GM_(B\d+(?:_VCID_\d)?)\.TIF(\.GZ)?$", re.IGNORECASE)
_BAND = re.compile(r"_(B\d+(?:_VCID_\d)?)\.TIF(?:F)?$", re.IGNORECASE)


def ranges(text: str) -> Ranges:
    """The values that `--mask-values` names, as closed ranges.

    Raises:
        JobError: the text is no list of numbers and ranges.

    >>> ranges("1,2-5")
    ((1.0, 1.0), (2.0, 5.0))
    """
    found = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if not match or float(match[2] or match[1]) < float(match[1]):
            raise JobError(f"`{part.strip()}` in the mask's values `{text}`", "numbers and ranges, such as `1,2-5`")
        found.append((float(match[1]), float(match[2] or match[1])))
    return tuple(found)


def selected(values: np.ndarray, wanted: Ranges) -> Bools:
    """True where `values` lie in one of the ranges."""
    out = np.zeros(values.shape, bool)
    for low, high in wanted:
        out |= (values == low) if low == high else (values >= low) & (values <= high)
    return out


def open_mask(path: str) -> Any:
    """A rasterio dataset; `.gz` is read through GDAL's /vsigzip/.

    Raises:
        JobError: the file cannot be read as a raster.
    """
    source = f"/vsigzip/{Path(path).absolute()}" if path.lower().endswith(".gz") else path
    try:
        return rasterio.open(source)
    except RasterioError as problem:
        raise JobError(
            f"The mask `{path}` cannot be read: {problem}",
            "a raster or polygons (GeoPackage, GeoJSON, shapefile)",
            code="input_unreadable",
        ) from None


def _grid(item: Any) -> str:
    place = item.transform
    crs = item.crs.to_string() if item.crs else "no CRS"
    pixel, corner = f"{abs(place.a):g} x {abs(place.e):g}", f"({place.c:.9g}, {place.f:.9g})"
    return f"{item.width} x {item.height} pixels of {pixel} at {corner}, {crs[:40]}"


def apply(transform: Any, x: float, y: float) -> tuple[float, float]:
    """The point (x, y) under an affine transform; spelt out, since affine 2 and 3 disagree on the operator."""
    return transform.a * x + transform.b * y + transform.c, transform.d * x + transform.e * y + transform.f


def check_grid(path: str, mask: Any, scene: Any) -> None:
    """Raise JobError unless `mask` lies on the grid of `scene`; a mask without georeference need only have its size."""
    same = (mask.height, mask.width) == (scene.height, scene.width)
    if same and not mask.transform.is_identity and not scene.transform.is_identity:
        corners = [(0, 0), (scene.width, 0), (0, scene.height)]
        there = [apply(~scene.transform, *apply(mask.transform, *corner)) for corner in corners]
        same = bool(np.abs(np.subtract(there, corners)).max() < 0.05)
        same = same and (mask.crs is None or scene.crs is None or mask.crs == scene.crs)
    if not same:
        raise JobError(
            f"The mask `{path}` has another grid ({_grid(mask)}) than `{scene.name}`",
            _grid(scene),
            "Warp it to the scene's grid, or give polygons",
            code="mask_mismatch",
        )


class FileMarks:
    """What raster files mark: one band for all bands of the scene, or one each.

    Args:
        paths: one file, or one file a band of the scene.
        scene: gives grid and number of bands.
        wanted: the values that mark.
    """

    def __init__(self, paths: Sequence[str], scene: Any, wanted: Ranges) -> None:
        self.wanted = wanted
        self.bands: list[tuple[Any, int]] = []
        for path in paths:
            dataset = open_mask(path)
            check_grid(path, dataset, scene)
            self.bands += [(dataset, band) for band in dataset.indexes]
        if len(self.bands) not in (1, scene.count):
            raise JobError(
                f"The mask `{paths[0]}` has {len(self.bands)} bands",
                f"1 or, as `{scene.name}`, {scene.count}",
                code="mask_mismatch",
            )

    def read(self, rows: slice, columns: slice) -> Bools:
        """bool (1 or bands, rows, columns)."""
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        try:
            return np.stack([selected(d.read(band, window=window), self.wanted) for d, band in self.bands])
        except RasterioError as problem:
            raise JobError(
                f"The mask `{self.bands[0][0].name}` is damaged: {problem}", code="input_unreadable"
            ) from None


def gap_mask_files(folder: Path, scene: Any) -> list[str]:
    """The official gap masks in `folder`, one for each band of the scene; empty when one is missing."""
    masks = {m[1].upper(): str(f) for f in sorted(folder.iterdir()) if (m := _GAP_MASK.search(f.name))}
    bands = [m[1].upper() if (m := _BAND.search(path)) else "" for path in scene.paths]
    if len(bands) == scene.count and all(band in masks for band in bands):
        return [masks[band] for band in bands]
    return list(masks.values()) if len(masks) == scene.count and len(scene.paths) == 1 else []


def raster_file(path: str, scene: Any, values: str | None = None) -> Marked | Missing:
    """The mask source for a raster, or for a folder of official gap masks.

    Official gap masks (`*_GM_B1.TIF.gz`, 0 = missing) mark the collar, too, and are read the other way round.

    Raises:
        JobError: unreadable, of another grid, or with another number of bands.
    """
    place = Path(path)
    if place.is_dir():
        files = gap_mask_files(place, scene)
        if not files:
            raise JobError(
                f"The folder `{path}` does not hold a gap mask for each band of `{scene.name}`",
                "files named `*_GM_B1.TIF` or `*_GM_B1.TIF.gz`, one a band",
                code="mask_mismatch",
            )
        return Missing("gap mask", FileMarks(files, scene, ranges(values or "0")), stripes=True)
    if _GAP_MASK.search(place.name):
        return Missing(f"gap mask {place.name}", FileMarks([path], scene, ranges(values or "0")), stripes=True)
    hint = "Does it use 1 for holes? `--mask-values` sets others"
    return Marked(f"mask {place.name}", FileMarks([path], scene, ranges(values or "1")), hint)
