"""Where the holes of a scene are kept between finding and filling them: on disk, so that memory stays bounded."""

import os
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray

from .grid import placed_or_not
from .publish import discard, temporary_name, write_error
from .scene import Scene

BLOCK = 512


class Scratch:
    """Bool planes of a scene, (bands, rows, columns), in a temporary file beside an output; a context manager.

    First everything is written, then `done_writing`, then it is read, by one thread.

    Raises:
        JobError: the folder cannot be written to, or its disk is full.
    """

    def __init__(self, scene: Scene, output: str) -> None:
        self._output, self._name = output, temporary_name(output, "holes")
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "height": scene.height,
            "width": scene.width,
            "count": scene.count,
            "dtype": "uint8",
            "tiled": True,
            "blockxsize": BLOCK,
            "blockysize": BLOCK,
            "compress": "DEFLATE",
            "zlevel": 1,
            "interleave": "band",
            "bigtiff": "IF_SAFER",
        }
        try:
            with placed_or_not():
                self._dataset = rasterio.open(self._name, "w", **profile)
        except rasterio.errors.RasterioError as problem:
            raise write_error(output, problem) from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._dataset.close()
        discard(self._name)
        if os.path.exists(self._name + ".aux.xml"):
            os.remove(self._name + ".aux.xml")

    def write(self, rows: slice, columns: slice, holes: NDArray[np.bool_]) -> None:
        """Keep one window, in whole blocks of `BLOCK` or up to the scene's edge."""
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        try:
            self._dataset.write(holes.astype(np.uint8), window=window)
        except rasterio.errors.RasterioError as problem:
            raise write_error(self._output, problem) from problem

    def done_writing(self) -> None:
        """From here on it is read."""
        self._dataset.close()
        with placed_or_not():
            self._dataset = rasterio.open(self._name)

    def read(self, rows: slice, columns: slice) -> NDArray[np.bool_]:
        """A window, (bands, rows, columns)."""
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        holes: NDArray[np.bool_] = self._dataset.read(window=window).astype(np.bool_)
        return holes
