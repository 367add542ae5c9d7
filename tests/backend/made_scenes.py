"""Small scenes made for tests: textured, with holes and a collar, in any dtype."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import from_origin

from rsinpaint.masks.simulate import fractal, slcoff

NODATA = {"u": 0, "i": -999, "f": float("nan")}


@dataclass(frozen=True)
class Made:
    """A scene file and its mask file, and what was put into them."""

    path: Path
    mask: Path
    values: np.ndarray
    """As written: (bands, rows, columns), nodata in holes and collar."""
    truth: np.ndarray
    holes: np.ndarray
    collar: np.ndarray


def make(
    folder: Path,
    *,
    bands: int = 2,
    height: int = 96,
    width: int = 80,
    dtype: str = "uint16",
    seed: int = 0,
    kind: str = "stripes",
    collar: bool = True,
    **profile: Any,
) -> Made:
    """Write `scene.tif` and `mask.tif`; the mask has a band for each band of the scene, 1 = hole."""
    rng = np.random.default_rng(seed)
    truth = _texture(rng, (bands, height, width), np.dtype(dtype))
    holes = np.stack([_holes(rng, kind, (height, width), band) for band in range(bands)])
    from_corner = np.add.outer(np.arange(height), np.arange(width))
    edge = min(height, width) // 4 if collar else -9
    outside = from_corner < edge
    holes &= from_corner >= edge + 5  # a hole that touches the collar may be collar: that is for the masks' tests
    nodata = NODATA[np.dtype(dtype).kind]
    values = truth.copy()
    values[holes | outside] = nodata
    path, mask = folder / "scene.tif", folder / "mask.tif"
    shape = {"driver": "GTiff", "height": height, "width": width, "count": bands}
    place = {"crs": "EPSG:32633", "transform": from_origin(500000, 5200000, 30, 30)}
    with rasterio.open(path, "w", **(shape | place | {"dtype": dtype, "nodata": nodata} | profile)) as file:
        file.write(values)
        file.descriptions = tuple(f"B{band + 1}" for band in range(bands))
    with rasterio.open(mask, "w", **(shape | place | {"dtype": "uint8"})) as file:
        file.write(holes.astype(np.uint8))
    return Made(path, mask, values, truth, holes, np.broadcast_to(outside, values.shape))


def read(path: Path | str) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read()


def stack(path: Path, output: Path, times: int) -> None:
    """Write a raster that is `times` copies of another, one below the other."""
    with rasterio.open(path) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(output, "w", **(profile | {"height": profile["height"] * times})) as out:
        for number in range(times):
            first = number * profile["height"]
            out.write(values, window=((first, first + profile["height"]), (0, profile["width"])))


def _texture(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    shared = fractal((shape[1], shape[2]), rng, slope=1.4)
    planes = np.stack([shared + 0.3 * fractal((shape[1], shape[2]), rng, slope=1.2) for _ in range(shape[0])])
    planes = (planes - planes.min()) / np.ptp(planes)
    if dtype.kind == "f":
        return planes.astype(dtype) * 0.6
    top = {1: 240, 2: 9000, 4: 2_000_000_000}[dtype.itemsize]
    return (5 + planes * (min(top, np.iinfo(dtype).max - 10) - 5)).astype(dtype)


def _holes(rng: np.random.Generator, kind: str, shape: tuple[int, int], band: int) -> np.ndarray:
    if kind == "stripes":
        return np.roll(slcoff(shape, np.random.default_rng(7), offset=0.7), band, axis=0)
    if kind == "same":
        return slcoff(shape, np.random.default_rng(7), offset=0.8)
    if kind == "wide":
        holes = np.zeros(shape, bool)
        holes[shape[0] // 4 : -shape[0] // 4, shape[1] // 4 : -shape[1] // 4] = True
        return holes
    if kind == "specks":
        return rng.random(shape) < 0.2
    if kind == "none":
        return np.zeros(shape, bool)
    raise ValueError(kind)
