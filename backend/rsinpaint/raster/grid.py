"""The grid of a raster: whether two are the same, and how to say one in a sentence."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rasterio.errors import NotGeoreferencedWarning

TOLERANCE = 1e-3
"""Largest distance, in pixels, between the corners of grids that count as the same: a half-pixel shift never does."""


def same_grid(first: Any, second: Any) -> bool:
    """Whether two open rasters (or scenes) have the same size, CRS, and corners within `TOLERANCE` pixels.

    Rasters that are placed by ground control points alone are compared by those.
    """
    if (first.height, first.width) != (second.height, second.width) or first.crs != second.crs:
        return False
    side = max(abs(first.transform.a), abs(first.transform.b), abs(first.transform.d), abs(first.transform.e))
    for column, row in ((0, 0), (first.width, 0), (0, first.height), (first.width, first.height)):
        (x, y), (other_x, other_y) = (_place(raster.transform, column, row) for raster in (first, second))
        if max(abs(x - other_x), abs(y - other_y)) > TOLERANCE * side:
            return False
    return _placed_points(first) == _placed_points(second)


def grid_text(raster: Any) -> str:
    """One grid in words, for instance `7001 rows x 8011 columns of 30 in EPSG:32618, upper left 300000, 4500000`."""
    transform = raster.transform
    side = f"{transform.a:.10g}" if transform.a == -transform.e else f"{transform.a:.10g} x {-transform.e:.10g}"
    turned = ", turned" if transform.b or transform.d else ""
    crs = raster.crs.to_string() if raster.crs else "no CRS"
    crs = crs if len(crs) < 40 else "a CRS of its own"
    corner = f"upper left {transform.c:.10g}, {transform.f:.10g}"
    return f"{raster.height} rows x {raster.width} columns of {side}{turned} in {crs}, {corner}"


@contextmanager
def placed_or_not() -> Iterator[None]:
    """Open rasters without a place on earth in silence: they are filled like any other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def _placed_points(raster: Any) -> list[tuple[float, float, float, float]]:
    points, _ = raster.gcps
    return [(point.row, point.col, point.x, point.y) for point in points]


def _place(transform: Any, column: float, row: float) -> tuple[float, float]:
    # affine 3 warns about `*`, affine 2 has no `@`
    a, b, c, d, e, f = transform[:6]
    return a * column + b * row + c, d * column + e * row + f
