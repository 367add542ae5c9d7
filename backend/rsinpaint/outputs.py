"""What a fill leaves behind: the repaired scene, and where asked the mask of what was filled and the expected error."""

import os
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jobs import Job
from .raster.scene import Scene
from .raster.write import Writer, check_output, sweep, write_like
from .tiles import Tile


def check_outputs(job: Job, scene: Scene) -> None:
    """Raise JobError before any work where an output cannot be written; litter of killed runs is swept."""
    wanted = [path for path in (job.output, job.out_mask, job.out_uncertainty) if path]
    inputs = [path for path in (job.mask, job.qa) if path]
    for number, path in enumerate(wanted):
        others = wanted[:number] + wanted[number + 1 :]
        check_output(path, scene, job.overwrite, format=job.format, protected=[*inputs, *others])
        with suppress(OSError):  # a folder that can be written to but not listed
            sweep(os.path.dirname(path) or ".")


class Outputs:
    """All of them; each appears complete under its name or not at all."""

    def __init__(self, job: Job, scene: Scene, stack: ExitStack) -> None:
        def start(path: str | None, **kind: Any) -> Writer | None:
            if path is None:
                return None
            writer = write_like(scene, path, overwrite=job.overwrite, **kind)
            return stack.enter_context(writer)

        plain: dict[str, Any] = {"plain": True, "band_names": scene.band_names}
        self.scene: Writer = stack.enter_context(
            write_like(scene, job.output, overwrite=job.overwrite, format=job.format)
        )
        self.mask = start(job.out_mask, dtype="uint8", **plain)
        self.uncertainty = start(job.out_uncertainty, dtype="float32", nodata=np.nan, **plain)

    def write(self, tile: Tile, values: NDArray[Any], filled: NDArray[np.bool_], error: NDArray[np.float32]) -> None:
        self.scene.write(*tile.write, values, filled)
        if self.mask:
            self.mask.write(*tile.write, filled.astype(np.uint8))
        if self.uncertainty:
            self.uncertainty.write(*tile.write, error)

    def publish(self, tags: Mapping[str, str]) -> None:
        """All are complete before one has its name. The scene comes first: it is the one that may be held open."""
        writers = [writer for writer in (self.scene, self.mask, self.uncertainty) if writer]
        for writer in writers:
            writer.complete(tags)
        for writer in writers:
            writer.rename()
