"""SEN12MS-CR: cloudy and clear Sentinel-2 L1C pairs of one season (Ebel et al. 2020, doi:10.1109/TGRS.2020.3024744)."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rsinpaint.errors import JobError

from ..folders import check_pairs, read_mask, read_whole
from ..packing import LeftOut, Sample

BANDS = ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"]
WHITE = 10000
"""Numbers are reflectance times this; the set is older than the offset of processing baseline 04.00."""
_REGION = re.compile(r"(?P<region>ROIs\d+_[a-z]+_\d+)_p\d+")


def samples(folder: Path, *, bands: list[str] = BANDS) -> Iterator[Sample | LeftOut]:
    """Pairs of the SEN12MS-CR data set; those of one region share a place.

    The pictures of a pair are days to weeks apart: fields and water may differ between them.

    Args:
        folder: searched with its subfolders; folders whose names begin with `s2_cloudy` hold the cloudy pictures, with
            `s2_` the clear ones, and `mask` masks of the same names where there are some.
        bands: of the 13, in the wanted order.

    Raises:
        JobError: a picture has no partner, or a band is missing.
    """
    tables: dict[str, dict[str, Path]] = {"cloudy": {}, "clear": {}, "mask": {}}
    for path in sorted(folder.rglob("*.tif")):
        home = path.parent.name
        kind = "cloudy" if home.startswith("s2_cloudy") else "clear" if home.startswith("s2_") else home
        if kind in tables:
            tables[kind][re.sub(r"_s2(_cloudy)?_", "_", path.stem)] = path
    check_pairs(folder, tables["cloudy"], tables["clear"])
    for name, path in tables["cloudy"].items():
        truth, missing, titles = read_whole(tables["clear"][name])
        degraded, _, _ = read_whole(path)
        pick = [_number(band, titles, path.name) for band in bands]
        if truth.shape != degraded.shape:
            raise JobError(f"The pair `{name}` has shapes {degraded.shape} and {truth.shape}", "one for both")
        holes, unknown = read_mask(tables["mask"].get(name), truth.shape[1:])
        imaged = (truth != 0).any(0) & (degraded != 0).any(0) & ~unknown
        found = _REGION.match(name)
        yield Sample(
            name, found["region"] if found else name, tuple(bands), truth[pick], ~missing[pick] & imaged,
            degraded[pick], holes, span=(0, WHITE),
        )  # fmt: skip


def _number(band: str, titles: tuple[str | None, ...], file: str) -> int:
    """Index of a band by the file's names, or in the order of the set where it has none."""
    names = [title or "" for title in titles] if any(titles) else BANDS[: len(titles)]
    if len(titles) != len(BANDS) and not any(titles):
        raise JobError(f"`{file}` has {len(titles)} bands without names", f"the {len(BANDS)} of Sentinel-2")
    if band not in names:
        raise JobError(f"`{file}` has no band {band}, it has {', '.join(names)}")
    return int(np.flatnonzero(np.array(names) == band)[0])
