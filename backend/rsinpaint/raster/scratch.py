"""What is known of each pixel is kept between deciding and filling: on disk, so that memory stays bounded."""

from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray

from .files import GDAL_ERRORS
from .grid import placed_or_not
from .publish import discard, temporary_name, write_error
from .scene import Scene

BLOCK = 512


KNOWN, HOLE, OTHER, SEEN = 0, 1, 2, 3
"""Trusted; to be filled; neither: collar, and what is empty without being a hole; to be filled and yet looked at."""


class Scratch:
    """A number for each pixel, (bands, rows, columns), in a temporary file beside an output; a context manager.

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
        except GDAL_ERRORS as problem:
            raise write_error(output, problem) from problem

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._dataset.close()
        except GDAL_ERRORS:
            if error is None:
                raise
        finally:
            discard(self._name)

    def write(self, rows: slice, columns: slice, holes: NDArray[np.bool_], known: NDArray[np.bool_]) -> None:
        """Keep one window, in whole blocks of `BLOCK` or up to the scene's edge."""
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        try:
            flags = np.where(holes, np.where(known, SEEN, HOLE), np.where(known, KNOWN, OTHER))
            self._dataset.write(flags.astype(np.uint8), window=window)
        except GDAL_ERRORS as problem:
            raise write_error(self._output, problem) from problem

    def done_writing(self) -> None:
        """From here on it is read."""
        self._dataset.close()
        with placed_or_not():
            self._dataset = rasterio.open(self._name)

    def read(self, rows: slice, columns: slice) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Holes and known pixels of a window, (bands, rows, columns) each."""
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        flags = self._dataset.read(window=window)
        return (flags == HOLE) | (flags == SEEN), (flags == KNOWN) | (flags == SEEN)
