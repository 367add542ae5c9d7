"""What is missing: rules and files that say which pixels are holes.

A mask source is prepared once and then asked window by window. A new one is a file here and a line in `SOURCES`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import JobError
from ..jobs import Job, MaskJob
from .everything import Everything
from .nodata import Nodata
from .qapixel import qapixel
from .raster_file import gap_mask_files, raster_file
from .slcoff import SlcOff
from .vector import is_vector, vector


class MaskSource(Protocol):
    """Says where the holes are."""

    name: str
    """For tags and the report: `slcoff geometry`, `mask clouds.tif`."""
    reach: int
    """Pixels around what is asked that `holes` must be given, cut at the scene's border; known after `prepare`."""
    notes: list[str]
    """Sentences for the user, complete after `prepare`."""
    zeros: tuple[bool, ...]
    """Bands in which 0 turned out to mean empty, whatever nodata says; () for none. Known after `prepare`."""

    def prepare(self, scene: Any, tick: Callable[[float], None]) -> None:
        """One streaming pass over the scene where the source needs one; keeps a few numbers.

        Args:
            scene: an open `raster.scene.Scene`.
            tick: called with the fraction done; may raise `Cancelled`.
        """

    def holes(self, rows: slice, columns: slice, values: NDArray[Any], empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The holes of a window; the answer does not depend on how windows are cut.

        Args:
            rows, columns: place in the scene, `reach` included.
            values: (bands, rows, columns) of exactly this window, all bands of the scene, in its dtype.
            empty: bool of the same shape, from `Scene.empty`.

        Returns:
            bool of the same shape, 1 = hole; trusted `reach` pixels inside the window or at the scene's border.
        """

    def unknown(self, rows: slice, columns: slice, empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Pixels of a window that may not be trusted: what is empty, and what the source knows to be missing.

        Args and answer as for `holes`.
        """


SOURCES: dict[str, Callable[..., MaskSource]] = {
    "everything": Everything,
    "nodata": Nodata,
    "qapixel": qapixel,
    "raster_file": raster_file,
    "slcoff": SlcOff,
    "vector": vector,
}
"""By file name: `everything()`, `nodata()`, `slcoff()`, `qapixel(path, scene, stripes=...)`,
`raster_file(path, scene, values)`, `vector(path, scene, layer)`."""


def choose(job: Job, scene: Any, *, needs_mask: bool = True) -> MaskSource:
    """The mask source for a job: its mask, its quality band, an official gap mask beside the scene, or the task's rule.

    Args:
        needs_mask: False: the model finds itself what to repair, so everything is given to it unless a mask says less.

    Raises:
        JobError: the mask is unreadable, or of another grid than the scene.
    """
    if job.mask is not None:
        if is_vector(job.mask):
            return vector(job.mask, scene, job.mask_layer)
        return raster_file(job.mask, scene, job.mask_values)
    stripes = job.task == "slcoff"
    if job.qa is not None:
        return qapixel(job.qa, scene, stripes=stripes)
    if not needs_mask:
        return Everything()
    if not stripes:
        return Nodata()
    beside = Path(scene.paths[0]).parent / "gap_mask"
    if beside.is_dir() and gap_mask_files(beside, scene):
        return raster_file(str(beside), scene)
    return SlcOff()


def by_method(job: MaskJob, scene: Any) -> MaskSource:
    """The mask source that a request for a mask names.

    Raises:
        JobError: there is none of that name, or it needs a file that is not given.
    """
    plain: dict[str, Callable[[], MaskSource]] = {"everything": Everything, "nodata": Nodata, "slcoff": SlcOff}
    if job.method in plain:
        return plain[job.method]()
    if job.method not in SOURCES:
        raise JobError(f"There is no method `{job.method}` to find holes", "one of " + ", ".join(sorted(SOURCES)))
    path = job.qa if job.method == "qapixel" else job.mask
    if path is None:
        option = "--qa" if job.method == "qapixel" else "--mask"
        raise JobError(f"Method `{job.method}` reads a file and none is given", remedy=f"Name it with `{option}`")
    if job.method == "qapixel":
        return qapixel(path, scene, stripes=False)
    return vector(path, scene, job.mask_layer) if job.method == "vector" else raster_file(path, scene, job.mask_values)
