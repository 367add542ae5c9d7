"""Holes from polygons: whatever the analyst outlined, in any CRS."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.features import rasterize
from rasterio.transform import Affine
from rasterio.warp import transform_geom

from ..errors import JobError
from ._given import Marked
from ._polygons import Shape, read_polygons
from ._runs import Bools
from .raster_file import apply

_SUFFIXES = (".geojson", ".json", ".gpkg", ".shp")
_FOREIGN = (".kml", ".kmz", ".fgb", ".gml", ".tab", ".dxf", ".gdb", ".parquet")
"""Other vector formats: refused by name, or they would be called broken rasters."""


def is_vector(path: str) -> bool:
    """Whether the file holds polygons, by its ending."""
    return Path(path).suffix.lower() in _SUFFIXES + _FOREIGN


class PolygonMarks:
    """Pixels that polygons touch.

    Args:
        shapes: GeoJSON geometries in the scene's CRS.
        transform: the scene's.
    """

    def __init__(self, shapes: list[Shape], transform: Affine) -> None:
        self.transform = transform
        self.shapes = [(shape, _extent(shape, ~transform)) for shape in shapes]

    def read(self, rows: slice, columns: slice) -> Bools:
        """bool (1, rows, columns): all pixels that a polygon touches."""
        near = [
            (shape, 1)
            for shape, (left, top, right, bottom) in self.shapes
            if left < columns.stop + 1 and right > columns.start - 1 and top < rows.stop + 1 and bottom > rows.start - 1
        ]
        size = rows.stop - rows.start, columns.stop - columns.start
        if not near:
            return np.zeros((1, *size), bool)
        a, b, _, d, e, _ = tuple(self.transform)[:6]
        x, y = apply(self.transform, columns.start, rows.start)
        place = Affine(a, b, x, d, e, y)
        return rasterize(near, size, transform=place, all_touched=True, dtype="uint8").astype(bool)[None]


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    if isinstance(coordinates[0], (int, float)):
        yield coordinates[0], coordinates[1]
    else:
        for part in coordinates:
            yield from _points(part)


def _extent(shape: Shape, to_pixels: Affine) -> tuple[float, float, float, float]:
    x, y = zip(*(apply(to_pixels, *point) for point in _points(shape["coordinates"])), strict=True)
    return min(x), min(y), max(x), max(y)


def vector(path: str, scene: Any, layer: str | None = None) -> Marked:
    """The mask source for polygons; every pixel that one of them touches is a hole.

    Args:
        path: GeoPackage, GeoJSON or shapefile.
        scene: gives grid and CRS; polygons are taken as they are when it, or the file, has none.
        layer: of a GeoPackage with several.

    Raises:
        JobError: unreadable, of an unknown format or CRS, or without polygons.
    """
    if Path(path).suffix.lower() in _FOREIGN:
        raise JobError(
            f"The format of `{path}` is not read",
            "GeoPackage, GeoJSON or shapefile",
            "Export the layer from QGIS as GeoPackage",
            code="input_unreadable",
        )
    shapes, crs = read_polygons(path, layer)
    if not shapes:
        raise JobError(f"`{path}` holds no polygon", "polygons around what is to be filled")
    try:
        source = CRS.from_user_input(crs) if crs and scene.crs else None
    except CRSError as problem:
        raise JobError(f"The CRS of `{path}` is not understood: {problem}", code="input_unreadable") from None
    hint = "Do the polygons lie on the scene, and do both have the right CRS?"
    try:
        if source is not None and source != scene.crs:
            shapes = [transform_geom(source, scene.crs, shape) for shape in shapes]
        marks = PolygonMarks(shapes, scene.transform)
    except (TypeError, ValueError) as problem:
        raise JobError(f"`{path}` holds a polygon that is not understood: {problem}", code="input_unreadable") from None
    return Marked(f"polygons {Path(path).name}", marks, hint)
