"""Holes from Landsat quality bands: QA_PIXEL's fill bit, or QA_RADSAT's dropped pixels.

Source: Landsat Collection 2 data format books LSDS-1618 and LSDS-1619; Collection 1 `pixel_qa` and `bqa`
agree in bit 0.
"""

from pathlib import Path
from typing import Any

import numpy as np
from rasterio.errors import RasterioError
from rasterio.windows import Window

from ..errors import JobError
from ._given import Marked, Missing
from ._runs import Bools
from .raster_file import check_grid, open_mask

FILL, DROPPED = 0, 9
"""Bits: no data at all (QA_PIXEL); a detector's value was missing (QA_RADSAT of Landsat 4 to 7)."""
_FILL_NAMES = ("qa_pixel", "pixel_qa", "bqa")


class BitMarks:
    """Pixels of which one bit of one band is set."""

    def __init__(self, dataset: Any, band: int, bit: int) -> None:
        self.dataset, self.band, self.bit = dataset, band, bit

    def read(self, rows: slice, columns: slice) -> Bools:
        """bool (1, rows, columns)."""
        window = Window(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        try:
            values = self.dataset.read(self.band, window=window)
        except RasterioError as problem:
            raise JobError(
                f"The quality band `{self.dataset.name}` is damaged: {problem}", code="input_unreadable"
            ) from None
        return ((values >> self.bit) & 1).astype(bool)[None]


def qapixel(path: str, scene: Any, *, stripes: bool) -> Marked | Missing:
    """The mask source for a quality band on the scene's grid.

    The band is found by its name (`QA_PIXEL`, `pixel_qa`, `BQA`, `QA_RADSAT`) in the descriptions or the file's
    name; else it is the first, read as QA_PIXEL. Fill covers the collar, too, which is left out.

    Raises:
        JobError: unreadable, of another grid, or no integers.
    """
    dataset = open_mask(path)
    check_grid(path, dataset, scene)
    names = [(text or "").lower() for text in dataset.descriptions]
    fill = [band for band, text in enumerate(names, 1) if any(name in text for name in _FILL_NAMES)]
    band = fill[0] if fill else 1
    if np.dtype(dataset.dtypes[band - 1]).kind not in "iu":
        raise JobError(
            f"The quality band `{path}` holds {dataset.dtypes[band - 1]}",
            "the integers of QA_PIXEL or QA_RADSAT",
            code="unsupported_raster",
        )
    name = Path(path).name
    if not fill and ("radsat" in name.lower() or "radsat" in names[0]):
        hint = "QA_RADSAT marks dropped pixels of Landsat 4 to 7; give QA_PIXEL for the stripes"
        return Marked(f"dropped pixels of {name}", BitMarks(dataset, 1, DROPPED), hint)
    return Missing(f"fill of {name}", BitMarks(dataset, band, FILL), stripes=stripes)
