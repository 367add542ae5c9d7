"""An output on the grid of a scene, written window by window, that appears whole or not at all."""

import contextlib
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from types import EllipsisType, TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import Resampling

from .files import GDAL_ERRORS
from .grid import placed_or_not
from .metadata import Tags, describe, differ, missing_tags, nodata_of_file, place_on_earth, put_tags, write_sidecar
from .publish import Format, check_output, discard, publish, sweep, temporary_name, write_error
from .scene import Scene

__all__ = ["BLOCK", "RASTERIO_ENV", "Writer", "check_output", "rasterio_env", "sweep", "write_like"]

RASTERIO_ENV: dict[str, Any] = {
    "GDAL_CACHEMAX": 64,  # MiB; GDAL's 5 % of RAM makes memory grow with the scene (promise 8)
    "GDAL_TIFF_INTERNAL_MASK": True,  # GDAL before 3.9 writes a `.msk` file beside the output
}
"""Options of GDAL for `rasterio.Env`. No GDAL_NUM_THREADS: (de)compression is 3 % of a job, and its threads would
come on top of those that `--threads` grants."""

CACHE_MIB = (64, 256)
BLOCK = 512
"""Side of an output's blocks; windows are to be whole blocks, else compressed ones are written again and again."""

# DEFLATE 1 with predictor 2 by measurement: 2000 x 2000 x 6 uint16 of Landsat and Sentinel-2 (45.8 MiB), CPU seconds
# to write / to read, MiB. None 0.06 / 0.03, 48.0; DEFLATE 1, 3, 6 with predictor 2: 0.34 / 0.18, 21.9;
# 0.69 / 0.19, 21.6; 1.56 / 0.17, 21.3; without predictor 0.41 / 0.17, 23.9; LZW 0.59 / 0.26, 24.8;
# ZSTD 1, 3: 0.21 / 0.12, 22.2; 0.45 / 0.14, 21.3, which older readers outside GDAL do not open.
# float32 (91.6 MiB), DEFLATE 1: reflectances made of integers 31.2 without, 52.7 with predictor 3, continuous
# values 78.7 and 66.8: without, which also costs half the time. libtiff before 4.4 has no predictor for 64 bits.
LEVEL = 1

Nodata = float | None | Sequence[float | None] | EllipsisType
Tick = Callable[[float], None]


def rasterio_env(scene: Scene, rows: int) -> dict[str, Any]:
    """`RASTERIO_ENV` with a cache that holds the blocks of one row of windows, within `CACHE_MIB`.

    With less, each strip of a striped file is decoded again for every window beside it.

    Args:
        rows: rows that a window reads, halo included.
    """
    high = -(-rows // scene.block_rows) * scene.block_rows
    wide = scene.width if scene.striped else BLOCK + 2 * scene.block_shape[1]
    need = high * wide * scene.count * scene.dtype.itemsize >> 20
    return RASTERIO_ENV | {"GDAL_CACHEMAX": int(np.clip(need + 16, *CACHE_MIB))}


class Writer:
    """An output in the making, under a temporary name beside `path`. Made by `write_like`; a context manager.

    Leaving without `publish`, or with an exception, removes everything that was written.
    """

    def __init__(
        self,
        scene: Scene,
        output: str,
        profile: dict[str, Any],
        *,
        overwrite: bool,
        format: Format,
        nodata: Sequence[float | None],
        band_names: Sequence[str | None] | None,
        plain: bool,
    ) -> None:
        self.path, self.overwrite, self.format, self.plain = output, overwrite, format, plain
        self.nodata, self.count, self.dtype = tuple(nodata), profile["count"], np.dtype(profile["dtype"])
        self._scene, self._mask_scene = scene, None if plain or not scene.has_mask else scene.reopen()
        self._temporary, self._cog = temporary_name(output, "part"), temporary_name(output, "cog")
        self._sums: list[tuple[slice, slice, int]] = []
        self._dataset: Any = None
        self._done, self._finished = False, ""
        try:
            with placed_or_not():
                self._dataset = rasterio.open(self._temporary, "w", **profile)
            if plain:
                place_on_earth(scene, self._dataset)
                self._dataset.descriptions = tuple(band_names or (None,) * self.count)
            else:
                describe(scene, self._dataset, band_names)
        except BaseException as problem:
            self._fail(problem)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._remove()

    def write(self, rows: slice, columns: slice, values: NDArray[Any], filled: NDArray[np.bool_] | None = None) -> None:
        """Write a window; windows must not overlap and cover the scene in the end.

        Args:
            rows, columns: half-open, in pixels; whole blocks of `BLOCK`, or up to the scene's edge.
            values: (bands, rows, columns) in the output's dtype.
            filled: (bands, rows, columns) or (rows, columns), True = was a hole: a scene's mask band, which is
                copied, says valid there from now on. None: the mask band is copied as it is.

        Raises:
            JobError: the disk is full or the file cannot be written.
        """
        shape = (self.count, rows.stop - rows.start, columns.stop - columns.start)
        if values.shape != shape or values.dtype != self.dtype:
            raise ValueError(f"{values.dtype} values of shape {values.shape}, expected {self.dtype}, {shape}")
        window = ((rows.start, rows.stop), (columns.start, columns.stop))
        mask = self._mask(rows, columns, filled)
        try:
            self._dataset.write(values, window=window)
            if mask is not None:
                self._dataset.write_mask(mask, window=window)
        except GDAL_ERRORS as problem:
            self._fail(problem)
        self._sums.append((rows, columns, _checksum(values, mask)))

    def publish(self, tags: Mapping[str, str], tick: Tick | None = None) -> None:
        """Finish the file, and give it its name: `complete` and `rename` in one."""
        self.complete(tags, tick)
        self.rename()

    def complete(self, tags: Mapping[str, str], tick: Tick | None = None) -> None:
        """Finish the file and prove by reading it back that it holds what was written.

        The proof is needed: with a full disk `close` returns without an error and leaves a file that cannot be
        opened, or whose last blocks are missing (seen with GDAL 3.10). It costs half as much as writing.

        Args:
            tags: added to those of the scene (`plain`: alone).
            tick: called with the fraction that is proven; may raise Cancelled, which leaves nothing behind.

        Raises:
            JobError: the disk is full or the file cannot be written.
        """
        missing = self._scene.height * self._scene.width - sum(
            (rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns, _ in self._sums
        )
        if missing:
            raise ValueError(f"{missing} pixels of `{self.path}` were not written, or some twice")
        try:
            put_tags(None if self.plain else self._scene, self._dataset, tags)
            finished = self._finish()
            self._prove(finished, tick or (lambda fraction: None))
        except BaseException as problem:
            self._fail(problem)
        self._finished = finished

    def rename(self) -> None:
        """Give the completed file its name.

        Raises:
            JobError: a file of this name exists since and may not be replaced, or is held open by somebody.
        """
        if not self._finished:
            raise ValueError(f"`{self.path}` is not complete")
        try:
            publish(self._finished, self.path, overwrite=self.overwrite)
        except GDAL_ERRORS as problem:
            self._fail(problem)
        finally:
            self._remove()

    def _mask(self, rows: slice, columns: slice, filled: NDArray[np.bool_] | None) -> NDArray[np.uint8] | None:
        if self._mask_scene is None:
            return None
        mask = self._mask_scene.read_mask(rows, columns)
        if filled is not None:
            mask = np.where(filled.any(axis=0) if filled.ndim == 3 else filled, np.uint8(255), mask)
        return mask

    def _finish(self) -> str:
        """Close the file with overviews and sidecar, or make the cloud-optimised one of it; which of both it is."""
        factors = [] if self.plain or self.format == "cog" else self._scene.datasets[0].overviews(1)
        # an average over pixels and a nodata that only the sidecar knows would invent values
        resampling = "nearest" if differ(self.nodata) or self.plain else "average"
        if factors:
            self._dataset.build_overviews(factors, Resampling[resampling])
        self._dataset.close()
        lost: Tags = {}
        if self.format == "cog":
            # opening a file in driver COG for writing holds it in memory whole
            rasterio.shutil.copy(
                self._temporary, self._cog, driver="COG", compress="DEFLATE", level=LEVEL, blocksize=BLOCK,
                predictor="STANDARD" if _predictor(self.dtype) == 2 else "NO", bigtiff="IF_SAFER",
                overview_resampling=resampling,
            )  # fmt: skip
            with placed_or_not(), rasterio.open(self._cog) as made:
                lost = {} if self.plain else missing_tags(self._scene, made)
        finished = self._cog if self.format == "cog" else self._temporary
        write_sidecar(finished, self.nodata, lost)
        return finished

    def _prove(self, path: str, tick: Tick) -> None:
        """Read the closed file back and compare with what was written."""
        with placed_or_not(), rasterio.open(path, sharing=False) as made:
            for number, (rows, columns, expected) in enumerate(self._sums):
                tick(number / len(self._sums))
                window = ((rows.start, rows.stop), (columns.start, columns.stop))
                mask = made.read_masks(1, window=window) if self._mask_scene is not None else None
                if _checksum(made.read(window=window), mask) != expected:
                    raise OSError(f"rows {rows.start} to {rows.stop} did not reach the disk")
            tick(1.0)

    def _fail(self, problem: BaseException) -> None:
        """Clean up and raise; GDAL's and the system's errors in words."""
        worded = write_error(self.path, problem) if isinstance(problem, GDAL_ERRORS) else problem
        self._remove()
        if worded is problem:
            raise problem
        raise worded from problem

    def _remove(self) -> None:
        if self._done:
            return
        self._done = True
        if self._dataset is not None:
            with contextlib.suppress(*GDAL_ERRORS):  # the file is thrown away
                self._dataset.close()
        if self._mask_scene is not None:
            self._mask_scene.close()
        discard(self._temporary)
        discard(self._cog)


def write_like(
    scene: Scene, output: str, *, overwrite: bool, format: Format = "gtiff", dtype: Any = None,
    count: int | None = None, nodata: Nodata = ..., band_names: Sequence[str | None] | None = None,
    plain: bool = False,
) -> Writer:  # fmt: skip
    """Start an output on the grid of `scene` that says everything which the scene says about itself.

    CRS, transform, GCPs, RPCs, nodata of each band, names, scales, offsets, units, colour interpretation, tags in
    all namespaces, mask band; overviews are built anew where the scene had them. Statistics are dropped.

    Args:
        output: a `.tif`; checked by `check_output` before. Litter of killed runs in its folder is swept.
        nodata: for all bands or one a band; default: as the scene's file says (`plain`: none).
        band_names: instead of the scene's.
        plain: grid and place only, for masks and uncertainty; then `dtype` and `count` may differ from the scene's.

    Raises:
        JobError: the file cannot be made.
    """
    if not plain and (dtype, count) != (None, None):
        raise ValueError("another dtype or count goes with plain=True only")
    kind, bands = np.dtype(dtype or scene.dtype), count or scene.count
    if isinstance(nodata, EllipsisType):
        nodata = [None] * bands if plain else scene.nodata_tags
    values = list(nodata) if isinstance(nodata, Sequence) else [nodata] * bands
    if len(values) != bands:
        raise ValueError(f"{len(values)} nodata values for {bands} bands")
    profile = {
        "driver": "GTiff", "height": scene.height, "width": scene.width, "count": bands, "dtype": kind.name,
        "nodata": nodata_of_file(values), "tiled": True, "blockxsize": _side(scene.width),
        "blockysize": _side(scene.height), "compress": "DEFLATE", "zlevel": LEVEL, "predictor": _predictor(kind),
        "bigtiff": "IF_SAFER", "interleave": "band",
        # without these four uint8 bands become red, green, blue, alpha, whatever they are
        "photometric": "MINISBLACK", "alpha": "UNSPECIFIED",
    }  # fmt: skip
    with contextlib.suppress(OSError):
        sweep(os.path.dirname(output))
    return Writer(scene, output, profile, overwrite=overwrite, format=format, nodata=values, band_names=band_names,
                  plain=plain)  # fmt: skip


def _predictor(dtype: np.dtype[Any]) -> int:
    return 2 if np.issubdtype(dtype, np.integer) and dtype.itemsize < 8 else 1


def _side(size: int) -> int:
    """Side of a block: a small raster needs none of 512, and TIFF wants multiples of 16."""
    return min(BLOCK, -(-size // 16) * 16)


def _checksum(values: NDArray[Any], mask: NDArray[np.uint8] | None) -> int:
    total = zlib.crc32(np.ascontiguousarray(values).data.cast("B"))
    return total if mask is None else zlib.crc32(np.ascontiguousarray(mask).data.cast("B"), total)
