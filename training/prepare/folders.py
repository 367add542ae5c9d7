"""Reads the pictures of published data sets, and pairs those that belong together."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsinpaint.errors import JobError
from rsinpaint.raster.scene import open_scene

SUFFIXES = (".png", ".tif", ".tiff", ".jpg")


def pictures(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by their names without ending, sorted."""
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
    return dict(sorted(found.items(), key=lambda item: item[0]))


def subfolder(folder: Path, names: tuple[str, ...]) -> Path | None:
    """The first of several usual names that is there."""
    return next((folder / name for name in names if (folder / name).is_dir()), None)


def check_pairs(where: Path, cloudy: Mapping[str, Path], clear: Mapping[str, Path]) -> None:
    """Raise JobError unless each picture has its partner: a set cut short would pair the wrong ones, or lose some."""
    alone = sorted(set(cloudy) ^ set(clear))
    if alone or not cloudy:
        listed = ", ".join(f"`{name}`" for name in alone[:5])
        raise JobError(
            f"`{where}` holds {len(alone)} pictures without a partner: {listed}"
            if alone
            else f"`{where}` holds no pairs",
            "a cloudy and a clear picture of each name",
            code="input_unreadable",
        )


def read_whole(path: Path) -> tuple[NDArray[Any], NDArray[np.bool_], tuple[str | None, ...]]:
    """Values and empty pixels (bands, rows, columns) and the bands' names; an alpha band is left away.

    Raises:
        JobError: unreadable.
    """
    with open_scene([str(path)]) as scene:
        bands = [band for band in range(1, scene.count + 1) if scene.fillable[band - 1]]
        values = scene.read(slice(0, scene.height), slice(0, scene.width), bands)
        return values, scene.empty(values, bands), tuple(scene.descriptions[band - 1] for band in bands)


def read_mask(path: Path | None, size: tuple[int, ...]) -> tuple[NDArray[np.uint8] | None, NDArray[np.bool_]]:
    """Holes, (1, rows, columns) or None, and where the mask does not know, (rows, columns).

    Any value but 0 is a hole (cloud, shadow); the file's nodata value says `unknown`.

    Raises:
        JobError: it has another size than the pictures.
    """
    if path is None:
        return None, np.zeros(size, bool)
    values, empty, _ = read_whole(path)
    if values.shape[1:] != size:
        raise JobError(
            f"`{path.name}` has {values.shape[1]} x {values.shape[2]} pixels",
            f"{size[0]} x {size[1]}, as its pictures have",
            code="mask_mismatch",
        )
    unknown: NDArray[np.bool_] = np.logical_or.reduce(empty, axis=0)
    holes: NDArray[np.bool_] = np.logical_or.reduce(values != 0, axis=0) & ~unknown
    return holes[None].astype(np.uint8), unknown
