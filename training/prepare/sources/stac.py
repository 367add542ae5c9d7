"""Scenes of a STAC API or of a static STAC catalogue, by pystac-client and odc-stac (the extra `stac`)."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.errors import RasterioError
from rasterio.transform import Affine

from rsinpaint.errors import JobError
from rsinpaint.masks.nodata import Nodata
from rsinpaint.raster.scene import open_scene

from ..cutting import cut
from ..geometry import centred
from ..packing import LeftOut, Sample

_SEARCH = "item-search"


def samples(
    url: str,
    *,
    bands: list[str],
    collection: str | None = None,
    bbox: tuple[float, float, float, float] | None = None,
    datetime: str | None = None,
    crs: str | None = None,
    resolution: float | None = None,
    nodata: float | None = None,
    span: tuple[float, float] | None = None,
    tile: int = 256,
    crop: int = 5120,
    limit: int = 20,
) -> Iterator[Sample | LeftOut]:
    """Scenes of a STAC API, or of a static catalogue, to tiles in their own numbers; empty pixels inside are masks.

    Args:
        url: of the API's landing page, or of a `catalog.json`.
        bands: names of assets or their common names, in the wanted order.
        collection: takes items of this collection only.
        bbox: west, south, east, north in degrees; scenes are cut to it.
        datetime: one date, or first/last, as 2020-05-01/2020-09-30.
        crs: of the tiles, for instance EPSG:32633; left out: each scene's own.
        resolution: of the tiles, in units of their CRS; left out: each scene's own.
        nodata: what stands for no data, where the catalogue does not say.
        span: the numbers that a network takes for 0 and 1.
        tile: side of a tile, in pixels.
        crop: longest side of what is cut from the middle of a scene, in pixels.
        limit: the most scenes that are read.

    Raises:
        JobError: the extra is not installed, the catalogue cannot be reached, or a scene cannot be read.
    """
    client_of, load = _packages()
    for item in _items(client_of, url, collection, bbox, datetime, limit):
        with tempfile.TemporaryDirectory(prefix="rsinpaint-stac-") as folder:
            path = Path(folder) / "scene.tif"
            grid = {"bbox": within(item, bbox), "crs": crs, "resolution": resolution}
            _fetch(load, item, path, bands, grid, nodata)
            yield from _tiles(item, path, bands, tile, crop, span)


def _packages() -> tuple[Any, Any]:
    """pystac-client's `Client.open` and odc-stac's `load`; they take seconds to import, and few need them."""
    try:
        from odc.stac import load
        from pystac_client import Client
    except ImportError as problem:
        raise JobError(
            f"Reading STAC catalogues needs a package that is not installed ({problem.name})", "the extra `stac`",
            "Run `pip install 'rsinpaint[stac]'`", code="bad_request",
        ) from problem  # fmt: skip
    return Client.open, load


def _items(
    client_of: Any,
    url: str,
    collection: str | None,
    bbox: tuple[float, float, float, float] | None,
    datetime: str | None,
    limit: int,
) -> Iterator[Any]:
    """Items of the catalogue that fit, by search where it can, else by walking through it."""
    from pystac.errors import STACError
    from pystac_client.exceptions import APIError
    from requests import RequestException

    unreachable = (APIError, STACError, RequestException, OSError, ValueError, KeyError)
    try:
        client = client_of(url)
        if any(_SEARCH in uri for uri in client.get_conforms_to()):
            collections = [collection] if collection else None
            search = client.search(collections=collections, bbox=bbox, datetime=datetime, max_items=limit)
            items = list(search.items())
        else:
            walk = (item for item in client.get_items(recursive=True) if fits(item, collection, bbox, datetime))
            items = [item for _, item in zip(range(limit), walk, strict=False)]
    except unreachable as problem:
        raise JobError(
            f"The catalogue `{url}` cannot be read ({problem})", "a STAC API or a `catalog.json`",
            "Is the address right, and the network there?", code="input_unreadable",
        ) from problem  # fmt: skip
    if not items:
        raise JobError(f"`{url}` has no scene of this collection, place and time", code="nothing_valid")
    yield from sorted(items, key=lambda item: str(item.id))


def fits(
    item: Any, collection: str | None, bbox: tuple[float, float, float, float] | None, datetime: str | None
) -> bool:
    """Whether an item is of the collection, touches the box and was taken within the dates; what a search would do."""
    if collection is not None and item.collection_id != collection:
        return False
    if bbox is not None and item.bbox is not None:
        half = len(item.bbox) // 2  # boxes may have heights
        (west, south), (east, north) = item.bbox[:2], item.bbox[half : half + 2]
        if west > bbox[2] or east < bbox[0] or south > bbox[3] or north < bbox[1]:
            return False
    if datetime is None:
        return True
    taken = item.datetime or item.common_metadata.start_datetime
    first, _, last = datetime.partition("/")
    last = last if "/" in datetime else first
    day = taken.strftime("%Y-%m-%d") if taken else ""
    return (first in ("", "..") or day >= first[:10]) and (last in ("", "..") or day <= last[:10])


def within(item: Any, bbox: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
    """The part of a box that the item covers: what is loaded beyond it is empty."""
    if bbox is None or item.bbox is None:
        return bbox
    half = len(item.bbox) // 2
    (west, south), (east, north) = item.bbox[:2], item.bbox[half : half + 2]
    return max(west, bbox[0]), max(south, bbox[1]), min(east, bbox[2]), min(north, bbox[3])


def _fetch(load: Any, item: Any, path: Path, bands: list[str], grid: dict[str, Any], nodata: float | None) -> None:
    """Write the wanted bands of an item to a GeoTIFF."""
    try:
        data = load(
            [item], bands=bands, chunks=None, **{key: value for key, value in grid.items() if value is not None}
        )
        planes = [data[band] for band in bands]
        values = np.stack([plane.values[0] for plane in planes])
    except (RasterioError, OSError, ValueError, KeyError) as problem:
        raise JobError(
            f"Scene `{item.id}` cannot be read ({problem})", f"the bands {', '.join(bands)}",
            f"It has the assets {', '.join(item.assets)}", code="input_unreadable",
        ) from problem  # fmt: skip
    box = planes[0].odc.geobox
    said = [plane.odc.nodata for plane in planes]
    missing = nodata if nodata is not None else next((value for value in said if value is not None), None)
    profile = {"driver": "GTiff", "height": values.shape[1], "width": values.shape[2], "count": len(values)}
    where = {"crs": str(box.crs), "transform": Affine(*tuple(box.affine)[:6])}
    with rasterio.open(path, "w", dtype=values.dtype, nodata=missing, **profile, **where) as file:
        file.write(values)
        file.descriptions = tuple(bands)


def _tiles(
    item: Any, path: Path, bands: list[str], tile: int, crop: int, span: tuple[float, float] | None
) -> Iterator[Sample | LeftOut]:
    taken = item.datetime.strftime("%Y-%m-%d") if item.datetime else None
    notes = {"collection": item.collection_id, "date": taken}
    with open_scene([str(path)]) as scene:
        everything = scene.empty(scene.read(slice(0, scene.height), slice(0, scene.width))).all()
        frame = centred(scene.height, scene.width, tile=tile, crop=crop)
        if everything or not frame.rows * frame.columns:
            yield LeftOut(item.id, "scenes that are empty, or smaller than a tile, where they were asked for")
            return
        holes = Nodata()
        holes.prepare(scene, lambda done: None)
        for piece in cut(scene, list(range(1, scene.count + 1)), [holes], frame, item.id):
            if isinstance(piece, LeftOut):
                yield piece
            else:
                yield Sample(
                    piece.name, place_of(item), tuple(bands), piece.values, piece.valid, masks=piece.masks, span=span,
                    notes=notes,
                )  # fmt: skip


def place_of(item: Any) -> str:
    """What stays the same for all dates of a place: Landsat's path and row, a tile of a grid, else the middle of it."""
    properties = item.properties
    if "landsat:wrs_path" in properties and "landsat:wrs_row" in properties:
        return f"{int(properties['landsat:wrs_path']):03d}{int(properties['landsat:wrs_row']):03d}"
    for key in ("grid:code", "s2:mgrs_tile"):
        if key in properties:
            return str(properties[key])
    if item.bbox is None:
        return str(item.id)
    half = len(item.bbox) // 2
    east, north = (item.bbox[0] + item.bbox[half]) / 2, (item.bbox[1] + item.bbox[half + 1]) / 2
    return f"{north:+.1f}{east:+.1f}"  # a tenth of a degree: dates of one scene jitter by less
