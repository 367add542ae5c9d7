"""Which numbers stand for no data, and where they are."""

import math
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray

from ..errors import JobError
from .grid import placed_or_not

if TYPE_CHECKING:
    from .scene import Scene


def fits(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether a nodata value can occur in a band of this type; NaN and infinity only in floats."""
    if np.issubdtype(dtype, np.floating):
        with np.errstate(over="ignore"):
            return not math.isfinite(value) or bool(np.isfinite(dtype.type(value)))
    limits = np.iinfo(dtype)
    return math.isfinite(value) and value == int(value) and limits.min <= int(value) <= limits.max


def empty_pixels(values: NDArray[Any], nodata: Sequence[float | None]) -> NDArray[np.bool_]:
    """True where a pixel equals its band's nodata, compared in the dtype of `values`, or is not finite.

    1e20 is 1.0000000200408773e+20 once stored as float32, and NaN equals nothing: hence one function.

    Args:
        values: (bands, rows, columns).
        nodata: one for each band; None: no value means no data.
    """
    floating = np.issubdtype(values.dtype, np.floating)
    empty = ~np.isfinite(values) if floating else np.zeros(values.shape, bool)
    for band, value in enumerate(nodata):
        if value is not None and math.isfinite(value):
            empty[band] |= values[band] == values.dtype.type(value if floating else int(value))
    return empty


def resolve_nodata(scene: "Scene", wanted: Sequence[float | None] | None) -> None:
    """Set `nodata_tags` (the file's, where they can occur) and `nodata` (the job's before the file's) of a scene.

    Raises:
        JobError: the job's nodata cannot occur in the scene's type, or there are more or fewer than bands.
    """
    tags: list[float | None] = []
    ignored: dict[str, list[str]] = {}
    texts = [_tag_texts(dataset) for dataset in scene.datasets]
    for band, (place, index) in enumerate(scene.planes, 1):
        value, text = scene.datasets[place].nodatavals[index - 1], texts[place][index - 1]
        if (value is None and text) or (value is not None and not fits(value, scene.dtype)):
            ignored.setdefault(text or str(value), []).append(str(band))
            value = None
        tags.append(value)
    for text, bands in ignored.items():
        which = f"{'bands' if len(bands) > 1 else 'band'} {', '.join(bands)} of `{scene.name}`"
        scene.notes.append(f"Nodata {text} of {which} cannot occur in {scene.dtype}: ignored")
    scene.nodata_tags = scene.nodata = tuple(tags)
    if wanted is None:
        return
    given: tuple[float | None, ...] = tuple(wanted) * (scene.count if len(wanted) == 1 else 1)
    if len(given) != scene.count:
        raise JobError(f"{len(given)} nodata values were given", f"1 or {scene.count}, one for each band")
    for wrong in given:
        if wrong is not None and not fits(wrong, scene.dtype):
            remedy = "Leave `--nodata` out, or give a value of that type"
            raise JobError(f"Nodata {wrong:g} cannot occur in `{scene.name}`", f"a value of {scene.dtype}", remedy)
    scene.nodata = given


def _tag_texts(dataset: Any) -> list[str | None]:
    """The nodata of each band as the file has it: rasterio says None for a tag outside the type.

    GDAL puts it unchanged into a VRT, which costs less than a millisecond and reads no pixel.
    """
    if None not in dataset.nodatavals:
        return [None] * int(dataset.count)
    path = f"/vsimem/rsinpaint-{uuid.uuid4().hex}.vrt"
    with placed_or_not():
        rasterio.shutil.copy(dataset, path, driver="VRT")
        with rasterio.open(path) as listing:
            text = listing.tags(ns="xml:VRT")["xml:VRT"]
    rasterio.shutil.delete(path)
    return [band.findtext("NoDataValue") for band in ElementTree.fromstring(text).iter("VRTRasterBand")]
