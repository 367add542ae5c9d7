"""Make gaps in a whole scene on purpose, so that a fill can be compared with the truth."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from .errors import Cancelled, JobError
from .jobs import DamageJob, DamageReport
from .masks.simulate import simulate
from .progress import Progress, Progressing
from .raster.scene import Scene, open_scene
from .raster.write import check_output, rasterio_env, write_like
from .tiles import plan

WINDOW = 1024


def damage(job: DamageJob, progress: Progressing, cancelled: Callable[[], bool]) -> DamageReport:
    """Hide known pixels behind gaps of a kind; the same job gives the same gaps.

    The gaps are laid out for the whole scene at once (about 30 bytes a pixel while they are made), since clouds and
    strokes have no tiles.

    Raises:
        JobError: something is wrong with the scene, the kind or the output; nothing is left behind.
        Cancelled: `cancelled` said so; likewise.
    """
    begin, hidden = time.monotonic(), 0
    with ExitStack() as stack:
        scene = stack.enter_context(open_scene(job.scene, nodata=job.nodata))
        stack.enter_context(rasterio.Env(**rasterio_env(scene, WINDOW)))
        for path, other in ((job.output, job.mask_output), (job.mask_output, job.output)):
            if path:
                check_output(path, scene, job.overwrite, protected=[other] if other else [])
        nodata = _nodata(scene)
        gaps = simulate(job.kind, (scene.height, scene.width), amount=job.amount, seed=job.seed)
        writer = stack.enter_context(write_like(scene, job.output, overwrite=job.overwrite, nodata=nodata))
        mask = None
        if job.mask_output:
            kind: dict[str, Any] = {"dtype": "uint8", "count": 1, "plain": True}
            mask = stack.enter_context(write_like(scene, job.mask_output, overwrite=job.overwrite, **kind))
        for tile in plan(scene.height, scene.width, window=WINDOW, halo=0):
            progress(Progress(stage="write", fraction=tile.write[0].start / scene.height, text="making gaps"))
            if cancelled():
                raise Cancelled
            values = scene.read(*tile.write)
            hole = gaps[tile.write] & ~scene.empty(values) & np.array(scene.fillable)[:, None, None]
            hidden += int(hole.sum())
            writer.write(*tile.write, _emptied(values, hole, nodata))
            if mask:
                mask.write(*tile.write, np.logical_or.reduce(hole, keepdims=True).astype(np.uint8))
        if mask:
            mask.complete({})
        writer.complete({"RSINPAINT_DAMAGE": f"{job.kind} {job.amount} {job.seed}"})
        writer.rename()
        if mask:
            mask.rename()
        pixels = scene.height * scene.width * scene.count
    return DamageReport(
        output=job.output,
        kind=job.kind,
        pixels=hidden,
        percent=100 * hidden / pixels,
        seconds=time.monotonic() - begin,
        notes=tuple(scene.notes),
    )


def _nodata(scene: Scene) -> list[float]:
    """The value that stands for a gap in each band: the scene's own, NaN for floats; integers need one."""
    if scene.dtype.kind == "f":
        return [np.nan if value is None else value for value in scene.nodata]
    if None in scene.nodata:
        raise JobError(
            f"`{scene.name}` has no nodata value", "one that stands for the gaps", "Give one with `--nodata 0`"
        )
    return [value for value in scene.nodata if value is not None]


def _emptied(values: NDArray[Any], hole: NDArray[np.bool_], nodata: Sequence[float]) -> NDArray[Any]:
    out = values.copy()
    for band, value in enumerate(nodata):
        out[band][hole[band]] = value
    return out
