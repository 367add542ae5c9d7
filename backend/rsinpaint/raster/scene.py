"""A scene: one raster, or the single-band files of one bundle, read by windows."""

import copy
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags

from ..errors import JobError
from .bundle import band_files
from .files import GDAL_ERRORS, check_file, open_all, open_bundle
from .values import empty_pixels, resolve_nodata

ALPHA_LEVELS = (0, 1, 255, 65535)
ALPHA_BETWEEN = 0.05
"""Share of pixels between clear and opaque from which a band called alpha is taken for near infrared:
writers that do not set the meaning of a fourth band get `alpha` from libtiff."""


class Scene:
    """An open scene. Made by `open_scene`; a context manager.

    Arrays are (bands, rows, columns) in the scene's dtype. A handle serves one thread at a time:
    `reopen` gives another thread its own.

    Attributes:
        name: file or folder, for messages.
        paths: what was opened, in band order.
        files: every file that GDAL reads for it, sidecars and sources of a VRT included.
        height, width, count: rows, columns, bands.
        nodata: value that stands for no data, a band; None: none.
        nodata_tags: the same as the file says, whatever the job says; what an output carries.
        band_names: description, or `band 1`.
        fillable: False for an alpha band, which is copied and never filled.
        has_mask: whether there is a mask band beside the bands (`read_mask`).
        block_shape: rows and columns that are decoded at once; whole rows in a striped file.
        zeros: bands in which 0 holds no value either, whatever nodata says; found out by a mask source.
        notes: sentences for the user.
    """

    def __init__(self, name: str, paths: Sequence[str], datasets: Sequence[Any], labels: Sequence[str]) -> None:
        first = datasets[0]
        self.name, self.paths, self.datasets = name, tuple(paths), list(datasets)
        self.notes: list[str] = []
        self.height, self.width = int(first.height), int(first.width)
        self.planes = [(place, index) for place, dataset in enumerate(datasets) for index in dataset.indexes]
        self.count = len(self.planes)
        self.dtype = np.dtype(first.dtypes[0])
        self.crs, self.transform, self.gcps, self.rpcs = first.crs, first.transform, first.gcps, first.rpcs
        self.block_shape: tuple[int, int] = first.block_shapes[0]
        self.files = tuple(dict.fromkeys(file for dataset in datasets for file in dataset.files))
        self.descriptions: tuple[str | None, ...] = self._planes_of("descriptions")
        if labels:
            self.descriptions = tuple(own or label for own, label in zip(self.descriptions, labels, strict=True))
        self.band_names = tuple(text or f"band {band}" for band, text in enumerate(self.descriptions, 1))
        self.colorinterp: tuple[ColorInterp, ...] = self._planes_of("colorinterp")
        self.fillable = tuple(not self._is_alpha(band) for band in range(1, self.count + 1))
        self.has_mask = self._find_mask()
        self.nodata_tags: tuple[float | None, ...] = (None,) * self.count
        self.nodata: tuple[float | None, ...] = self.nodata_tags
        self.zeros: tuple[bool, ...] = (False,) * self.count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files; what was read from the header stays."""
        for dataset in self.datasets:
            dataset.close()

    @property
    def block_rows(self) -> int:
        """Rows of a block."""
        return self.block_shape[0]

    @property
    def striped(self) -> bool:
        """Whether a block spans the whole width."""
        return self.block_shape[1] >= self.width

    def reopen(self) -> "Scene":
        """A second, independent handle on the same scene, for another thread.

        Raises:
            JobError: a file has gone since.
        """
        twin = copy.copy(self)
        twin.datasets = open_all(self.paths)
        return twin

    def read(self, rows: slice, columns: slice, bands: Sequence[int] | None = None) -> NDArray[Any]:
        """Read a window, (bands, rows, columns) in the scene's dtype, bit for bit.

        Args:
            rows, columns: half-open, in pixels, inside the scene.
            bands: counted from 1, in the wanted order; None: all.

        Raises:
            JobError: a part of the file is damaged.
        """
        window = self._window(rows, columns)
        wanted = [self.planes[band - 1] for band in bands] if bands is not None else self.planes
        values = np.empty((len(wanted), rows.stop - rows.start, columns.stop - columns.start), self.dtype)
        try:
            for place, dataset in enumerate(self.datasets):
                into = [number for number, plane in enumerate(wanted) if plane[0] == place]
                if into:
                    values[into] = dataset.read([wanted[number][1] for number in into], window=window)
        except GDAL_ERRORS as problem:
            raise self._damaged(rows, columns, problem) from problem
        return values

    def read_mask(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Read a window of the mask band, (rows, columns), 0 = masked out; 255 everywhere without a mask band.

        Raises:
            JobError: a part of the file is damaged.
        """
        window = self._window(rows, columns)
        if not self.has_mask:
            return np.full((rows.stop - rows.start, columns.stop - columns.start), 255, np.uint8)
        try:
            mask: NDArray[np.uint8] = self.datasets[0].read_masks(1, window=window)
        except GDAL_ERRORS as problem:
            raise self._damaged(rows, columns, problem) from problem
        return mask

    def empty(self, values: NDArray[Any], bands: Sequence[int] | None = None) -> NDArray[np.bool_]:
        """True where a pixel holds no value: it is its band's nodata, or not finite, or 0 where `zeros` says so.

        Args:
            values: (bands, rows, columns) in the scene's dtype.
            bands: which bands those are, counted from 1; None: all.
        """
        chosen = range(self.count) if bands is None else [band - 1 for band in bands]
        empty = empty_pixels(values, [self.nodata[band] for band in chosen])
        for plane, band in enumerate(chosen):
            if self.zeros[band]:
                empty[plane] |= values[plane] == 0
        return empty

    @property
    def empties(self) -> tuple[tuple[float, ...], ...]:
        """Of each band the values that say `no data` here or in an output: a fill must not take one."""
        every = zip(self.nodata, self.nodata_tags, self.zeros, strict=True)
        return tuple(
            tuple(dict.fromkeys(value for value in (own, tag, 0.0 if zero else None) if value is not None))
            for own, tag, zero in every
        )

    @property
    def scales(self) -> tuple[float, ...]:
        """What a number of each band is multiplied by, to give what was measured, before `offsets` are added."""
        return self._planes_of("scales")

    @property
    def offsets(self) -> tuple[float, ...]:
        """See `scales`."""
        return self._planes_of("offsets")

    def _planes_of(self, attribute: str) -> tuple[Any, ...]:
        return tuple(getattr(self.datasets[place], attribute)[index - 1] for place, index in self.planes)

    def _window(self, rows: slice, columns: slice) -> tuple[tuple[int, int], tuple[int, int]]:
        if not (0 <= rows.start < rows.stop <= self.height and 0 <= columns.start < columns.stop <= self.width):
            raise ValueError(f"window {rows}, {columns} outside {self.height} x {self.width}")
        return (rows.start, rows.stop), (columns.start, columns.stop)

    def _is_alpha(self, band: int) -> bool:
        """Whether a band called alpha is one, judged by 25 pieces spread over the scene."""
        if self.colorinterp[band - 1] != ColorInterp.alpha:
            return False
        between = total = 0
        for row in np.linspace(0, max(self.height - 64, 0), 5, dtype=int):
            for column in np.linspace(0, max(self.width - 64, 0), 5, dtype=int):
                rows = slice(int(row), min(int(row) + 64, self.height))
                columns = slice(int(column), min(int(column) + 64, self.width))
                piece = self.read(rows, columns, [band])
                between += int((~np.isin(piece, ALPHA_LEVELS)).sum())
                total += piece.size
        if between <= ALPHA_BETWEEN * total:
            return True
        self.notes.append(f"Band {band} of `{self.name}` is called alpha but holds measurements: treated as a band")
        return False

    def _find_mask(self) -> bool:
        """Whether one mask band covers all bands; says which masks are left behind."""
        flags = [flags for dataset in self.datasets for flags in dataset.mask_flag_enums]
        if any(MaskFlags.per_dataset in each and MaskFlags.alpha not in each for each in flags):
            if len(self.datasets) == 1:
                return True
            self.notes.append(f"Mask bands of the single files of `{self.name}` are not kept")
        if any(not each for each in flags):
            self.notes.append(f"`{self.name}` has a mask a band: those are not kept, GeoTIFF has one for all bands")
        return False

    def _damaged(self, rows: slice, columns: slice, problem: BaseException) -> JobError:
        place = f"rows {rows.start} to {rows.stop}, columns {columns.start} to {columns.stop}"
        return JobError(
            f"`{self.name}` cannot be read at {place} ({problem.__cause__ or problem})",
            "a whole file",
            "Is it damaged, or a download cut short? Compare its size with the source's",
            code="input_unreadable",
        )


def open_scene(paths: Sequence[str], *, nodata: tuple[float | None, ...] | None = None) -> Scene:
    """Open the raster to be repaired; reads headers only, so that a scene of any size opens at once.

    Args:
        paths: one raster that GDAL knows (also `NETCDF:"f.nc":variable`, VRT, /vsizip/...), or the folder of a
            Landsat bundle, or single-band files of one grid in band order.
        nodata: what stands for no data, one for all bands or one a band; goes before what the file says.

    Raises:
        JobError: a file is missing or no raster; holds several rasters, classes (palette) or complex numbers;
            files of a list differ in grid or type; `nodata` does not fit.
    """
    name = os.path.basename(os.path.abspath(paths[0])) if os.path.exists(paths[0]) else paths[0]
    notes: list[str] = []
    labels: list[str] = []
    if len(paths) == 1:
        bands, others = band_files(paths[0]) if os.path.isdir(paths[0]) else ([], [])
        if bands:
            kept, datasets = open_bundle(name, bands, others, notes)
            paths, labels = [band.path for band in kept], [band.label for band in kept]
        else:
            datasets = open_all(paths)
    else:
        name = f"{name} and {len(paths) - 1} more"
        datasets = open_all(paths)
        labels = [os.path.splitext(os.path.basename(path))[0] for path in paths]
    try:
        for dataset, path in zip(datasets, paths, strict=True):
            check_file(dataset, path, datasets[0], paths[0], single=len(paths) > 1)
        scene = Scene(name, paths, datasets, labels)
        scene.notes[:0] = notes
        resolve_nodata(scene, nodata)
    except BaseException:
        for dataset in datasets:
            dataset.close()
        raise
    return scene
