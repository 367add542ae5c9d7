"""Polygons from GeoJSON, GeoPackage and shapefiles, read with the standard library.

Sources: RFC 7946; OGC 12-128r19 (GeoPackage) and 06-103r4 (WKB); ESRI Shapefile Technical Description (1998).
"""

import json
import sqlite3
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..errors import JobError

Shape = dict[str, Any]
"""A GeoJSON geometry: Polygon or MultiPolygon."""


def read_polygons(path: str, layer: str | None) -> tuple[list[Shape], str | None]:
    """All polygons of a file, and their CRS as text that PROJ understands (None: the file does not say).

    Raises:
        JobError: missing, broken, no such layer, or curved.
    """
    readers = {".gpkg": _geopackage, ".shp": _shapefile}
    try:
        return readers.get(Path(path).suffix.lower(), _geojson)(path, layer)
    except (OSError, ValueError, KeyError, TypeError, IndexError, struct.error, sqlite3.Error) as problem:
        raise JobError(
            f"The polygons of `{path}` cannot be read: {problem}",
            "GeoPackage, GeoJSON or shapefile",
            "Export the layer from QGIS as GeoPackage",
            code="input_unreadable",
        ) from None


def _polygonal(shape: Shape | None) -> Iterator[Shape]:
    if shape and shape["type"] in ("Polygon", "MultiPolygon"):
        if shape["coordinates"]:
            yield shape
    elif shape and shape["type"] == "GeometryCollection":
        for part in shape["geometries"]:
            yield from _polygonal(part)


def _geojson(path: str, _: str | None) -> tuple[list[Shape], str | None]:
    content = json.loads(Path(path).read_text("utf-8"))
    features = content["features"] if content["type"] == "FeatureCollection" else [content]
    shapes = [s for f in features for s in _polygonal(f.get("geometry") if f["type"] == "Feature" else f)]
    named = (content.get("crs") or {}).get("properties", {}).get("name")  # of GeoJSON 2008; QGIS still writes it
    return shapes, named or "OGC:CRS84"


def _geopackage(path: str, layer: str | None) -> tuple[list[Shape], str | None]:
    if not Path(path).is_file():
        raise FileNotFoundError("no such file")
    base = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
    try:
        query = "SELECT g.table_name, g.column_name, s.organization, s.organization_coordsys_id, s.definition"
        query += " FROM gpkg_geometry_columns g LEFT JOIN gpkg_spatial_ref_sys s ON g.srs_id = s.srs_id"
        tables = {row[0]: row for row in base.execute(query + " ORDER BY g.table_name")}
        if layer is None and len(tables) == 1:
            layer = next(iter(tables))
        if layer not in tables:
            asked = f"has no layer `{layer}`" if layer else f"has {len(tables)} layers"
            raise JobError(f"`{path}` {asked}", f"one of {', '.join(tables)}", "Choose it with `--mask-layer`")
        table, column, organization, code, definition = tables[layer]
        quoted = [name.replace('"', '""') for name in (column, table)]
        blobs = base.execute('SELECT "{}" FROM "{}"'.format(*quoted)).fetchall()
    finally:
        base.close()
    crs = definition if definition and definition != "undefined" else None
    if organization and organization.upper() == "EPSG" and code and code > 0:
        crs = f"EPSG:{code}"
    return [shape for (blob,) in blobs if blob for shape in _geopackage_blob(blob)], crs


def _geopackage_blob(blob: bytes) -> Iterator[Shape]:
    if blob[:2] != b"GP":
        raise ValueError("a geometry without the GeoPackage mark")
    envelope = (0, 32, 48, 48, 64)[blob[3] >> 1 & 7]
    yield from _polygonal(_wkb(blob, 8 + envelope)[0])


def _wkb(blob: bytes, at: int) -> tuple[Shape | None, int]:
    """The geometry that begins at byte `at`, and the byte after it."""
    order = "<" if blob[at] else ">"
    (kind,) = struct.unpack_from(order + "I", blob, at + 1)
    at += 5
    dimensions = 2 + bool(kind & 0x80000000) + bool(kind & 0x40000000) + (0, 1, 1, 2)[(kind & 0xFFFFFFF) // 1000]
    kind = (kind & 0xFFFFFFF) % 1000
    if kind == 1:
        return None, at + 8 * dimensions
    (count,) = struct.unpack_from(order + "I", blob, at)
    at += 4
    if kind == 2:
        return None, at + 8 * dimensions * count
    if kind == 3:
        rings = []
        for _ in range(count):
            (points,) = struct.unpack_from(order + "I", blob, at)
            numbers = struct.unpack_from(f"{order}{points * dimensions}d", blob, at + 4)
            rings.append(list(zip(numbers[0::dimensions], numbers[1::dimensions], strict=True)))
            at += 4 + 8 * len(numbers)
        return {"type": "Polygon", "coordinates": rings}, at
    if kind not in (4, 5, 6, 7):
        raise ValueError(f"curved geometry (WKB type {kind})")
    parts = []
    for _ in range(count):
        part, at = _wkb(blob, at)
        parts.append(part)
    return {"type": "GeometryCollection", "geometries": [part for part in parts if part]}, at


def _shapefile(path: str, _: str | None) -> tuple[list[Shape], str | None]:
    content, at, shapes = Path(path).read_bytes(), 100, []
    if content[:4] != b"\0\0\x27\x0a":
        raise ValueError("not a shapefile")
    while at < len(content):
        (words,) = struct.unpack_from(">I", content, at + 4)
        (kind,) = struct.unpack_from("<I", content, at + 8)
        if kind in (5, 15, 25):  # polygon, with Z, with M
            parts, points = struct.unpack_from("<II", content, at + 44)
            starts = [*struct.unpack_from(f"<{parts}I", content, at + 52), points]
            numbers = struct.unpack_from(f"<{2 * points}d", content, at + 52 + 4 * parts)
            ring = list(zip(numbers[0::2], numbers[1::2], strict=True))
            # All rings in one polygon: GDAL burns by the even-odd rule, so the order of outer and inner is no matter.
            rings = [ring[first:last] for first, last in pairwise(starts)]
            shapes.append({"type": "Polygon", "coordinates": rings})
        at += 8 + 2 * words
    projection = Path(path).with_suffix(".prj")
    return shapes, projection.read_text("utf-8", "replace") if projection.is_file() else None
