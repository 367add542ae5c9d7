"""Irregular masks: strokes, boxes and drawings by the published parameters, or given pictures, by share of holes."""

import json
import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rsinpaint.errors import JobError

from ...holes import KINDS
from ...strokes import segment
from ..folders import pictures, read_whole
from ..packing import LeftOut, Sample

Bools = NDArray[np.bool_]
DRAWN = 256
"""Side of a Quick Draw drawing, in its units."""


def samples(
    folder: Path | None = None,
    *,
    kind: Literal["free_form", "boxes", "drawings", "pictures"] = "free_form",
    count: int = 1000,
    side: int = 256,
    seed: int = 0,
    hole: Literal["light", "dark"] = "light",
) -> Iterator[Sample | LeftOut]:
    """Masks by their share of holes: the place of a mask is its class, `0-10` to `50-60` per cent.

    Args:
        folder: of `drawings` (Quick Draw's `.ndjson`) or of `pictures` (also `.npy`); the other kinds need none.
        kind: free_form and boxes as in CMUN; drawings as in QD-IMD; pictures are taken as they are and sorted.
        count: masks to be drawn.
        side: of a drawn mask, in pixels.
        seed: of the drawing; mask N depends on it and N alone.
        hole: what pictures show holes as.

    Raises:
        JobError: the folder is missing or holds nothing of the kind.
    """
    if kind == "pictures":
        drawn = _given(_needed(folder, kind), hole)
    else:
        draw = _drawer(folder, kind)
        drawn = ((f"{kind}_{n:05d}", draw(side, np.random.default_rng([seed, n]))) for n in range(count))
    for name, holes in drawn:
        place = ratio_class(float(holes.mean()))
        if place is None:
            yield LeftOut(name, "masks that are empty or more than 60 % holes")
        else:
            yield Sample(
                name, place, masks=holes[None].astype(np.uint8), notes={"share": round(float(holes.mean()), 4)}
            )


def ratio_class(share: float) -> str | None:
    """The class of a share of holes; None without holes and above 60 per cent, where networks have nothing to go by.

    >>> ratio_class(0.1), ratio_class(0.100001), ratio_class(0.0)
    ('0-10', '10-20', None)
    """
    upper = 10 * math.ceil(round(10 * share, 9))
    return f"{upper - 10}-{upper}" if 10 <= upper <= 60 else None


def _drawer(folder: Path | None, kind: str) -> Callable[[int, Generator], Bools]:
    if kind != "drawings":
        return lambda side, rng: KINDS[kind](side, rng, (0, 1))  # these two draw whatever share comes out
    strokes = _strokes(_needed(folder, kind))
    return lambda side, rng: drawings(side, rng, strokes)


def _needed(folder: Path | None, kind: str) -> Path:
    if folder is None or not folder.is_dir():
        raise JobError(f"There is no folder of {kind}", remedy="Name it with `--folder`", code="input_unreadable")
    return folder


def drawings(side: int, rng: Generator, strokes: list[NDArray[np.float64]]) -> Bools:
    """N(4, 2) strokes of Quick Draw drawings, 5 to 15 px wide, enlarged 1 to 1.5 times, the middle cut out.

    Source: QD-IMD's stated parameters. That its units are spread over the whole mask before is ours.
    """
    holes = np.zeros((side, side), bool)
    enlarged = rng.uniform(1, 1.5) * side / DRAWN
    for _ in range(max(round(rng.normal(4, 2)), 1)):
        points = (strokes[rng.integers(len(strokes))] - DRAWN / 2) * enlarged + side / 2
        width = rng.uniform(5, 15)
        for start, end in pairwise(points):
            segment(holes, (start[0], start[1]), (end[0], end[1]), width)
    return holes


def _strokes(folder: Path) -> list[NDArray[np.float64]]:
    """All strokes of the simplified drawings of a folder, each (points, 2) as row and column."""
    found = []
    for path in sorted(folder.glob("*.ndjson")):
        for line in path.read_text(encoding="utf-8").splitlines():
            for stroke in json.loads(line)["drawing"]:
                found.append(np.array([stroke[1], stroke[0]], np.float64).T)
    found = [stroke for stroke in found if len(stroke) > 1]
    if not found:
        raise JobError(f"`{folder}` holds no drawings", "Quick Draw's simplified `.ndjson`", code="input_unreadable")
    return found


def _given(folder: Path, hole: str) -> Iterator[tuple[str, Bools]]:
    """The masks of a folder; pictures are halved at the middle of their range."""
    arrays = {path.stem: path for path in sorted(folder.glob("*.npy"))}
    paths = pictures(folder) | arrays
    if not paths:
        raise JobError(f"`{folder}` holds no pictures", "PNG, TIFF, JPEG or `.npy`", code="input_unreadable")
    for name, path in paths.items():
        plane = _array(path) if path.suffix == ".npy" else read_whole(path)[0].max(0)
        top = 1 if plane.max() <= 1 else np.iinfo(plane.dtype).max if plane.dtype.kind == "u" else plane.max()
        light = plane > top / 2
        yield name, light if hole == "light" else ~light


def _array(path: Path) -> NDArray[Any]:
    """One plane of a `.npy`.

    Raises:
        JobError: it is pickled, which could run anything, or no plane.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as problem:
        raise JobError(
            f"`{path.name}` is no plain array ({problem})", "numbers, not pickled objects",
            "Convert it where you trust it", code="input_unreadable",
        ) from problem  # fmt: skip
    plane = array.squeeze()
    if plane.ndim != 2 or plane.dtype.kind not in "buif":
        raise JobError(f"`{path.name}` has shape {array.shape}, {array.dtype}", "one plane of numbers")
    return plane
