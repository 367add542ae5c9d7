"""The product, read top to bottom: a scene with holes goes in, the same scene comes out whole.

open the scene, decide where the holes are, plan windows, read each with its halo, let the model fill it,
put the fill into the holes, write, and give the output its name when it is complete.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from . import __version__, masks
from .classical.contract import REACH
from .classical.far import FarSurface
from .damage import damage
from .decide import asked_bands, decide, make_mask
from .errors import Cancelled, JobError
from .jobs import BandReport, Job, Report
from .models import registry, run
from .models.bands import check as suits
from .models.bands import note as band_note
from .models.card import Card
from .outputs import Outputs, check_outputs
from .pieces import SQUARE, Piece, Squares, read_ahead
from .progress import Progress, Progressing
from .raster.scene import Scene, open_scene
from .raster.scratch import Scratch
from .raster.survey import CELL, Survey
from .raster.write import rasterio_env
from .tiles import Tile, blend, plan

__all__ = ["Progress", "damage", "fill", "make_mask"]

WINDOWS = (1024, 512, 256, SQUARE)
"""Sides of the squares that are written at once, in pixels, the largest that the memory allows; multiples of the
output's blocks, or parts of them."""
BYTES_A_PIXEL = 60
"""Measured need of reading, guessing and writing a window, a pixel and band of what is read."""
DETECTING = 0.06
"""Share of the time that finding the holes takes."""


def fill(job: Job, progress: Progressing, cancelled: Callable[[], bool]) -> Report:
    """Repair one scene.

    Args:
        job: what is wanted; validated.
        progress: told how far the job is, from this thread, at every window.
        cancelled: asked between windows.

    Returns:
        What was done; the output lies under its name.

    Raises:
        JobError: it cannot be done; the sentence says why and what to do. No output, no litter.
        Cancelled: `cancelled` said so; likewise.
    """
    clock = _Clock(progress, cancelled)
    clock.tell("open", 0.0, f"opening {job.scene[0]}")
    with ExitStack() as stack:
        scene = stack.enter_context(open_scene(job.scene, nodata=job.nodata))
        stack.enter_context(rasterio.Env(**rasterio_env(scene, WINDOWS[0] + 2 * REACH)))
        card, bands = _choose_model(job), asked_bands(scene, job.bands)
        suits(card, scene.name, len(bands))
        check_outputs(job, scene)
        source = masks.choose(job, scene, needs_mask=card.needs_mask)
        holes = stack.enter_context(Scratch(scene, job.output))
        squares = Squares()
        survey = _survey(job, scene, card, source, holes, squares, clock)
        notes = [*scene.notes, *source.notes]
        _nothing_to_do(job, scene, survey, notes)
        clock.tell("detect", DETECTING, f"loading {card.id}")
        model = run.load(
            card,
            _normal(survey, scene),
            size=(scene.height, scene.width),
            bands=bands,
            device=job.device,
            threads=job.threads,
            memory_bytes=job.memory_bytes,
        )
        outputs = Outputs(job, scene, stack)
        tally = _repair(job, scene, holes, squares, survey, model, outputs, clock)
        if (tally.filled + tally.left_open != survey.holes).any():
            raise RuntimeError(f"{survey.holes} holes were found, {tally.filled} filled, {tally.left_open} left open")
        notes += [*model.notes, *band_note(card, len(bands)), *_left_open(scene, survey, tally)]
        clock.tell("write", 1.0 - 1e-3, f"finishing {job.output}")
        outputs.publish(_tags(job, card, source.name, tally))
    return Report(
        output=job.output,
        task=job.task,
        model=card.id,
        model_sha256=card.sha256,
        device=model.device,
        mask_source=source.name,
        bands=tally.bands(scene),
        seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds,
        megapixels=scene.height * scene.width * int((survey.holes > 0).sum()) / 1e6,
        notes=tuple(dict.fromkeys(notes)),
    )


def _survey(
    job: Job, scene: Scene, card: Card, source: masks.MaskSource, holes: Scratch, squares: Squares, clock: "_Clock"
) -> Survey:
    """Decide where the holes are, keep them, and take the statistics that the model needs."""

    def keep(tile: Tile, found: NDArray[np.bool_], known: NDArray[np.bool_]) -> None:
        holes.write(*tile.write, found, known)
        squares.count(tile, found)

    survey = decide(
        scene,
        source,
        job.bands,
        keep,
        lambda part: clock.tell("detect", part * DETECTING),
        holes_count=run.sees_holes(card),
        ranges=card.normalisation in ("range", "picture"),
    )
    holes.done_writing()
    return survey


class _Clock:
    """Tells progress and asks whether to stop."""

    def __init__(self, progress: Progressing, cancelled: Callable[[], bool]) -> None:
        self._progress, self._cancelled = progress, cancelled
        self._begin, self._cpu = time.monotonic(), time.process_time()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begin

    @property
    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu

    def tell(self, stage: str, fraction: float, text: str = "", done: int = 0, total: int = 0) -> None:
        self._progress(Progress(stage=stage, fraction=fraction, done=done, total=total, text=text))
        self.look()

    def look(self) -> None:
        """Stop here if that is wanted."""
        if self._cancelled():
            raise Cancelled


class _Tally:
    """Pixels filled and left open, (bands,)."""

    def __init__(self, bands: int) -> None:
        self.filled = np.zeros(bands, np.int64)
        self.left_open = np.zeros(bands, np.int64)

    def add(self, holes: NDArray[np.bool_], filled: NDArray[np.bool_]) -> None:
        self.filled += filled.sum((1, 2))
        self.left_open += (holes & ~filled).sum((1, 2))

    def bands(self, scene: Scene) -> tuple[BandReport, ...]:
        return tuple(
            BandReport(band=number + 1, name=name, holes=int(done + left), filled=int(done), left_open=int(left))
            for number, (name, done, left) in enumerate(zip(scene.band_names, self.filled, self.left_open, strict=True))
        )


def _repair(
    job: Job,
    scene: Scene,
    holes: Scratch,
    squares: Squares,
    survey: Survey,
    model: run.Model,
    outputs: Outputs,
    clock: _Clock,
) -> _Tally:
    """Fill window by window; the next window is read and the last one written while this one is computed."""
    tally, total, done = _Tally(scene.count), int(survey.holes.sum()), 0
    surface, answerable = _far_surface(survey), survey.count > 0
    side = _window(job, scene, model)
    tiles = list(plan(scene.height, scene.width, window=side, halo=model.halo, multiple=model.multiple))
    model.between = clock.look
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing:
        written: Future[None] | None = None
        for number, piece in enumerate(read_ahead(scene, holes, squares, iter(tiles), reading), 1):
            clock.tell(
                "fill",
                DETECTING + (1 - DETECTING) * done / max(total, 1),
                f"filling window {number} of {len(tiles)}",
                done,
                total,
            )
            values, filled, error = _filled(piece, scene, model, surface, answerable)
            tally.add(piece.holes[piece.inside], filled)
            done += int(piece.holes[piece.inside].sum())
            if written:
                written.result()
            written = writing.submit(outputs.write, piece.tile, values, filled, error)
        if written:
            written.result()
    return tally


def _filled(
    piece: Piece, scene: Scene, model: run.Model, surface: FarSurface, answerable: NDArray[np.bool_]
) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.float32]]:
    """The repaired pixels of the written part, which of them were filled, and the expected error there (0 where
    known, NaN in the collar)."""
    inside = piece.inside
    known = np.where(piece.known[inside], np.float32(0), np.float32(np.nan))
    wanted = piece.holes & answerable[:, None, None]
    if not wanted[inside].any():
        return piece.values[inside], np.zeros(known.shape, bool), known
    rows, columns = piece.tile.read
    far, origin = surface.at(rows.start, columns.start), (rows.start, columns.start)
    answer = model(piece.values, piece.known, wanted, far, inside, origin)
    answer.values[~wanted[inside]] = np.nan
    values, filled = blend(piece.values[inside], answer.values, piece.holes[inside], scene.empties)
    return values, filled, known if answer.uncertainty is None else np.where(filled, answer.uncertainty, known)


def _choose_model(job: Job) -> Card:
    """The card of the model that the job asks for; it must give what is wanted."""
    card = registry.default_model(job.task) if job.model == "auto" else registry.find(job.model)
    if job.out_uncertainty and "uncertainty" not in card.outputs:
        raise JobError(
            f"Model `{card.id}` gives no uncertainty",
            remedy="Leave the uncertainty out, or choose a model that gives it: `rsinpaint models list`",
        )
    return card


def _nothing_to_do(job: Job, scene: Scene, survey: Survey, notes: list[str]) -> None:
    """A scene without holes: a note where the job says so, else an error."""
    if survey.holes.any():
        return
    finding = f"`{scene.name}` has no holes" + (f" that `{os.path.basename(job.mask)}` marks" if job.mask else "")
    if not job.copy_when_whole:
        remedy = "Nothing was written. " + (notes[-1] if notes else "Give a mask that marks them with 1: `--mask`")
        able = [card.id for card in registry.cards() if job.task in card.tasks and not card.needs_mask]
        if able and job.mask is None:
            remedy += f". Without a mask: `--model {'` or `'.join(able)}`"
        raise JobError(finding, remedy=remedy, code="nothing_to_fill")
    notes.append(f"{finding}: the output equals the input")


def _normal(survey: Survey, scene: Scene) -> run.Normal:
    range_low, range_high = survey.range or (None, None)
    bytes_each = scene.dtype.itemsize if scene.dtype.kind == "u" else 0
    return run.Normal(survey.mean, survey.std, survey.low, survey.high, range_low, range_high, bytes_each)


def _far_surface(survey: Survey) -> FarSurface:
    cells, known = survey.cells()
    return FarSurface((cells - survey.mean[:, None, None]) / survey.std[:, None, None], known, CELL)


def _window(job: Job, scene: Scene, model: run.Model) -> int:
    """The largest side of a window that the job's memory holds."""
    for side in WINDOWS:
        if scene.count * (side + 2 * model.halo) ** 2 * BYTES_A_PIXEL <= job.memory_bytes / 2:
            return side
    return WINDOWS[-1]


def _left_open(scene: Scene, survey: Survey, tally: _Tally) -> list[str]:
    """A sentence for each band with holes that stayed open."""
    reasons = ["the band has no known pixel" if not count else "the model gave no number" for count in survey.count]
    return [
        f"{left} holes of `{name}` were left open: {reason}"
        for name, left, reason in zip(scene.band_names, tally.left_open, reasons, strict=True)
        if left
    ]


def _tags(job: Job, card: Card, mask_source: str, tally: _Tally) -> dict[str, str]:
    """What the output says was done to it; no times, so that the same job gives the same bytes."""
    asked = {"bands": job.bands, "nodata": job.nodata, "mask_values": job.mask_values, "mask_layer": job.mask_layer}
    return {
        "RSINPAINT_VERSION": __version__,
        "RSINPAINT_TASK": job.task,
        "RSINPAINT_MODEL": card.id,
        "RSINPAINT_MODEL_VERSION": card.version,
        "RSINPAINT_WEIGHTS_SHA256": card.sha256,
        "RSINPAINT_MASK_SOURCE": mask_source,
        "RSINPAINT_PARAMETERS": " ".join(f"{name}={value}" for name, value in asked.items() if value is not None),
        "RSINPAINT_FILLED": " ".join(map(str, tally.filled)),
        "RSINPAINT_LEFT_OPEN": " ".join(map(str, tally.left_open)),
    }
