"""Cuts a scene into tiles of which every pixel is known or a hole; the collar and what lies beyond it are left out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.warp import transform

from rsinpaint.masks import MaskSource
from rsinpaint.masks.raster_file import apply
from rsinpaint.masks.slcoff import SlcOff
from rsinpaint.raster.scene import Scene

from .geometry import Frame, around, at_nearest, resampled, tile_name
from .packing import LeftOut

INCLINATION = 98.2
"""Degrees between the orbit of Landsat 4 to 9 and the equator."""
OUTSIDE = "tiles that are not all within the imaged area"
FULL = "tiles without a known pixel"


@dataclass(frozen=True)
class Tile:
    """Arrays are (bands, side, side). No pixel is neither valid nor a hole, and some are valid in each band."""

    name: str
    values: NDArray[Any]
    valid: NDArray[np.bool_]
    holes: NDArray[np.bool_]

    @property
    def masks(self) -> NDArray[np.uint8] | None:
        """The holes as a sample has them; None without any."""
        return self.holes.astype(np.uint8) if self.holes.any() else None


def cut(scene: Scene, bands: list[int], sources: list[MaskSource], frame: Frame, name: str) -> Iterator[Tile | LeftOut]:
    """The tiles of a frame, read window by window.

    Args:
        scene: open; `sources` are prepared with it, and a pixel that one of them calls a hole is one.
        bands: counted from 1, in the wanted order.
        frame: where the tiles lie.
        name: of the scene, for the tiles' names.
    """
    pick = np.array(bands) - 1
    for row, column in frame.tiles():
        y, x = frame.places(row, column)
        rows, columns = around(y, scene.height), around(x, scene.width)
        title = tile_name(name, row, column)
        if rows is None or columns is None:
            yield LeftOut(title, OUTSIDE)
            continue
        values, empty, marked = _window(scene, sources, rows, columns)
        y, x = y - rows.start, x - columns.start
        holes = at_nearest(marked[pick], y, x)
        planes, valid = resampled(values[pick], ~(empty | marked)[pick], y, x)
        if not (valid | holes).all():
            yield LeftOut(title, OUTSIDE)
        elif not valid.any((1, 2)).all():
            yield LeftOut(title, FULL)
        else:
            yield Tile(title, planes, valid, holes)


def _window(
    scene: Scene, sources: list[MaskSource], rows: slice, columns: slice
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_]]:
    """Values, empty pixels and holes, (bands, rows, columns), read with as much around as the sources need."""
    reach = max((source.reach for source in sources), default=0)
    wide = slice(max(rows.start - reach, 0), min(rows.stop + reach, scene.height))
    broad = slice(max(columns.start - reach, 0), min(columns.stop + reach, scene.width))
    values = scene.read(wide, broad)
    empty = scene.empty(values)
    holes = np.zeros(empty.shape, bool)
    for source in sources:
        holes |= source.holes(wide, broad, values, empty)
        empty |= source.unknown(wide, broad, empty)
    inner = (
        slice(None),
        slice(rows.start - wide.start, rows.stop - wide.start),
        slice(columns.start - broad.start, columns.stop - broad.start),
    )
    return values[inner], empty[inner], holes[inner]


def tilt(scene: Scene, stripes: SlcOff) -> float:
    """Degrees by which the scan lines of a Landsat scene fall to the right.

    Measured where the scene has stripes; else worked out from the orbit and the scene's place; else 0.
    """
    if stripes.pattern:
        return math.degrees(math.atan(stripes.pattern.slope))
    return orbit_tilt(scene) if scene.crs else 0.0


def orbit_tilt(scene: Scene) -> float:
    """Degrees by which scan lines of a descending pass fall to the right at the scene's centre.

    On the globe they fall by asin(cos 98.2 / cos latitude) towards the east; the projection turns them further.

    Source: azimuth of a great circle from its inclination, on a sphere; it agrees with the stripes of three scenes to
    0.2 degrees.
    """
    centre = apply(scene.transform, scene.width / 2, scene.height / 2)
    (east,), (north,) = transform(scene.crs, "EPSG:4326", [centre[0]], [centre[1]])
    latitude = math.radians(north)
    fall = math.asin(min(abs(math.cos(math.radians(INCLINATION))) / max(math.cos(latitude), 1e-6), 1.0))
    step = 1e-3  # degrees along the line: 100 m, short enough to be straight
    further = east + step * math.cos(fall) / math.cos(latitude), north - step * math.sin(fall)
    xs, ys = transform("EPSG:4326", scene.crs, [east, further[0]], [north, further[1]])
    (left, upper), (right, lower) = (apply(~scene.transform, *place) for place in zip(xs, ys, strict=True))
    return math.degrees(math.atan2(lower - upper, right - left))
