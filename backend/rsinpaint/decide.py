"""Decide where the holes are: one pass over the scene, which also takes its statistics."""

import time
from collections.abc import Callable

import numpy as np
import rasterio
from numpy.typing import NDArray

from .errors import Cancelled, JobError
from .jobs import MaskJob, MaskReport
from .masks import MaskSource, by_method
from .progress import Progress, Progressing
from .raster.scene import Scene, open_scene
from .raster.survey import Survey
from .raster.write import check_output, rasterio_env, write_like
from .tiles import Tile, plan

WINDOW = 1024
Keep = Callable[[Tile, NDArray[np.bool_], NDArray[np.bool_]], None]


def decide(
    scene: Scene,
    source: MaskSource,
    bands: tuple[int, ...] | None,
    keep: Keep,
    tick: Callable[[float], None],
    *,
    holes_count: bool = False,
    ranges: bool = False,
) -> Survey:
    """Find the holes of the whole scene, window by window.

    Args:
        bands: bands that may have holes, counted from 1; None: all. An alpha band never has any.
        keep: is given each window's holes and known pixels, (bands, rows, columns).
        tick: called with the fraction that is done; may raise Cancelled.
        holes_count: what lies in holes counts as known, too, for models that look at it.
        ranges: percentiles are wanted, too.

    Returns:
        Statistics of the pixels that are known, and counts of the holes.

    Raises:
        JobError: a band is asked for that the scene does not have, or the scene has no known pixel.
    """
    asked = np.isin(np.arange(1, scene.count + 1), asked_bands(scene, bands))
    survey = Survey(scene.count, scene.height, scene.width, ranges=ranges)
    source.prepare(scene, lambda fraction: tick(0.4 * fraction))
    scene.zeros = source.zeros or scene.zeros
    tiles = list(plan(scene.height, scene.width, window=window_for(scene), halo=source.reach))
    for number, tile in enumerate(tiles):
        tick(0.4 + 0.6 * number / len(tiles))
        values = scene.read(*tile.read)
        empty = scene.empty(values)
        if scene.has_mask:
            empty |= scene.read_mask(*tile.read) == 0
        marked = source.holes(*tile.read, values, empty)
        inside = (slice(None), *tile.inside)
        # what a file calls missing is not trusted, though it be collar or a band that nobody asked for
        known = ~(source.unknown(*tile.read, empty) | marked)[inside]
        holes = (marked & asked[:, None, None])[inside]
        if holes_count:
            known |= holes & ~empty[inside]
        survey.add(*tile.write, values[inside], known, holes)
        keep(tile, holes, known)
    if not survey.count.any():
        raise JobError(
            f"`{scene.name}` has no known pixel" + (" outside its holes" if survey.holes.any() else ""),
            "some from which the holes can be filled",
            "Does the mask cover everything, or the nodata value stand for data?",
            code="nothing_valid",
        )
    return survey


def window_for(scene: Scene) -> int:
    """Side of the windows in which holes are decided: smaller for many bands."""
    return WINDOW if scene.count <= 16 else WINDOW // 2 if scene.count <= 64 else WINDOW // 4


def asked_bands(scene: Scene, bands: tuple[int, ...] | None) -> tuple[int, ...]:
    """Bands that may have holes, counted from 1, in the order that was asked for.

    Raises:
        JobError: the scene does not have one of them.
    """
    fillable = tuple(number for number, able in enumerate(scene.fillable, 1) if able)
    if bands is None:
        return fillable
    wrong = [band for band in bands if not 1 <= band <= scene.count]
    if wrong:
        raise JobError(
            f"Band {wrong[0]} was asked for, but `{scene.name}` has {scene.count}",
            f"numbers from 1 to {scene.count}",
            "Change the bands",
        )
    return tuple(band for band in bands if band in fillable)


def make_mask(job: MaskJob, progress: Progressing, cancelled: Callable[[], bool]) -> MaskReport:
    """Write down where the holes of a scene are: uint8, 1 = hole, one band for each band of the scene.

    Raises:
        JobError: something is wrong with the scene, the mask or the output; nothing is left behind.
        Cancelled: `cancelled` said so; likewise.
    """
    begin = time.monotonic()
    with open_scene(job.scene, nodata=job.nodata) as scene, rasterio.Env(**rasterio_env(scene, WINDOW)):
        check_output(job.output, scene, job.overwrite, protected=[path for path in (job.mask, job.qa) if path])
        source = by_method(job, scene)
        with write_like(
            scene, job.output, overwrite=job.overwrite, dtype="uint8", plain=True, band_names=scene.band_names
        ) as writer:

            def keep(tile: Tile, holes: NDArray[np.bool_], known: NDArray[np.bool_]) -> None:
                writer.write(*tile.write, holes.astype(np.uint8))

            def tick(fraction: float) -> None:
                progress(Progress(stage="detect", fraction=fraction, done=0, total=0, text="looking for holes"))
                if cancelled():
                    raise Cancelled

            survey = decide(scene, source, job.bands, keep, tick)
            writer.publish({"RSINPAINT_MASK_SOURCE": source.name})
    pixels = scene.height * scene.width * scene.count
    return MaskReport(
        output=job.output,
        method=job.method,
        pixels=tuple(int(count) for count in survey.holes),
        percent=100 * float(survey.holes.sum()) / pixels,
        seconds=time.monotonic() - begin,
        notes=(*scene.notes, *source.notes),
    )
