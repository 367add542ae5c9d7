"""Opens the files of a scene and refuses, in words, those that cannot be repaired."""

import os
from collections.abc import Sequence
from typing import Any, NoReturn

import rasterio
from rasterio._err import CPLE_BaseError  # some GDAL errors reach Python unwrapped, and have no public name
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError

from ..errors import JobError
from .bundle import BandFile
from .grid import grid_text, placed_or_not, same_grid

GDAL_ERRORS = (RasterioError, CPLE_BaseError, OSError)
SUBDATASETS_SHOWN = 12


def open_all(paths: Sequence[str]) -> list[Any]:
    """Open files, each with a handle of its own; all or none.

    Raises:
        JobError: one is missing or no raster.
    """
    datasets: list[Any] = []
    for path in paths:
        try:
            with placed_or_not():
                datasets.append(rasterio.open(path, sharing=False))
        except GDAL_ERRORS as problem:
            for dataset in datasets:
                dataset.close()
            raise _unreadable(path, problem) from problem
    return datasets


def _unreadable(path: str, problem: BaseException) -> JobError:
    if os.path.isdir(path):
        return JobError(
            f"Folder `{path}` is no Landsat bundle",
            "files named like `LE07_..._B1.TIF` in it",
            "Name the raster files themselves, in band order",
            code="input_unreadable",
        )
    local = not path.startswith("/vsi") and ":" not in path
    if local and not os.path.exists(path):
        return JobError(f"`{path}` does not exist", "a raster file", "Check the path", code="input_unreadable")
    return JobError(
        f"`{path}` cannot be opened ({problem})", "a raster that GDAL reads", "Check it with `gdalinfo`",
        code="input_unreadable",
    )  # fmt: skip


def open_bundle(
    name: str, bands: list[BandFile], others: list[str], notes: list[str]
) -> tuple[list[BandFile], list[Any]]:
    """Open the bands of a bundle; those that may have a grid of their own, and have, are left out."""
    kept: list[BandFile] = []
    datasets: list[Any] = []
    left_out = list(others)
    for band, dataset in zip(bands, open_all([band.path for band in bands]), strict=True):
        if band.may_differ and datasets and not same_grid(dataset, datasets[0]):
            left_out.append(os.path.basename(band.path))
            dataset.close()
        else:
            kept.append(band)
            datasets.append(dataset)
    if left_out:
        notes.append(f"Left out of `{name}`, since not bands of its grid: {', '.join(left_out)}")
    return kept, datasets


def check_file(dataset: Any, path: str, first: Any, first_path: str, *, single: bool) -> None:
    """Raise JobError for a raster that cannot be repaired, or does not belong to the first one."""
    file, first_file = os.path.basename(path) or path, os.path.basename(first_path) or first_path

    def refuse(what: str, expected: str, remedy: str, code: str = "unsupported_raster") -> NoReturn:
        raise JobError(f"`{file}` {what}", expected, remedy, code=code)

    if dataset.count == 0:
        names = dataset.subdatasets[:SUBDATASETS_SHOWN]
        more = len(dataset.subdatasets) - len(names)
        listed = ", ".join(f"`{name}`" for name in names) + (f" and {more} more" if more > 0 else "")
        refuse(f"holds {len(dataset.subdatasets)} rasters", "one", f"Name one of {listed}" if names else "")
    types = sorted(set(dataset.dtypes))
    if any(kind.startswith("complex") for kind in types):
        refuse(f"holds complex numbers ({types[0]})", "real ones", "Fill amplitude and phase apart")
    if len(types) > 1:
        refuse(f"has bands of several types ({', '.join(types)})", "one", "Split it into files of one type")
    if ColorInterp.palette in dataset.colorinterp:
        refuse("holds classes with a palette, which have no values between them", "measurements",
               "Fill the scene that the classes come from")  # fmt: skip
    if single and dataset.count != 1:
        refuse(f"has {dataset.count} bands", "1 for each file of a list", "Run the job once for each scene",
               "bad_request")  # fmt: skip
    if not same_grid(dataset, first):
        refuse(f"has another grid ({grid_text(dataset)}) than `{first_file}`", grid_text(first),
               "Resample it first, or leave it out", "bad_request")  # fmt: skip
    if dataset.dtypes[0] != first.dtypes[0]:
        refuse(f"has another type ({dataset.dtypes[0]}) than `{first_file}`", first.dtypes[0],
               "Convert it first, or leave it out", "bad_request")  # fmt: skip
