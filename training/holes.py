"""Holes for pictures that have none: simulated, drawn by the published parameters, or taken from files."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rsinpaint.masks import simulate
from rsinpaint.raster.scene import open_scene

from .strokes import segment

Holes = NDArray[np.bool_]

PUBLISHED_SIDE = 256
"""Pixels of the pictures for which the lengths of boxes and strokes were published; others scale them."""
SUFFIXES = (".npy", ".png", ".tif", ".tiff")
_TRIES = 20


@dataclass(frozen=True)
class HoleRecipe:
    """Where holes come from."""

    mix: dict[str, float] = field(default_factory=dict)
    """Shares of the kinds (see `KINDS`, and `files`, `own`); they need not sum to 1. None at all: everything is to be
    painted, for networks that are not told where anything is missing."""
    share: tuple[float, float] = (0.05, 0.4)
    """Least and greatest share of holes in simulated masks and in those from files (a ratio class)."""
    files: Path | None = None
    """For the kind `files`: a folder of masks (NumPy arrays, PNG, GeoTIFF; not 0 = hole), at any depth, or an .npz of
    `training.prepare` with masks."""
    classes: tuple[str, ...] = ()
    """Names of the folders below `files`, or of the samples' places or classes, that are taken; none: all."""


def boxes(side: int, rng: Generator) -> Holes:
    """Five boxes, each half as wide as the picture, less 10 % and up to 20 % more at each side. Source: CMUN."""
    holes = np.zeros((side, side), bool)
    box, margin = side // 2, side * 32 // PUBLISHED_SIDE
    for _ in range(5):
        top, left = rng.integers(margin, side - margin - box + 1, 2)
        height, width = (rng.uniform(0.1, 0.3, 2) * box).astype(int)
        holes[top + height : top + box - height, left + width : left + box - width] = True
    return holes


def free_form(side: int, rng: Generator) -> Holes:
    """Twelve to sixteen strokes of one to five straight segments. Source: CMUN.

    Angles are whole numbers of radians, 0 to 3, and 0.01; every other stroke is mirrored.
    """
    holes, scale = np.zeros((side, side), bool), side / PUBLISHED_SIDE
    for stroke in range(int(rng.integers(12, 17))):
        start = rng.uniform(0, side, 2)
        for _ in range(int(rng.integers(1, 6))):
            angle = 0.01 + int(rng.integers(4))
            angle = -angle if stroke % 2 == 0 else angle
            length, width = rng.integers(10, 50) * scale, rng.integers(10, 20) * scale
            end = np.clip(start + length * np.array([np.cos(angle), np.sin(angle)]), 0, side - 1)
            segment(holes, (start[0], start[1]), (end[0], end[1]), max(width, 1.0))
            start = end
    return holes


def _simulated(kind: str) -> Callable[[int, Generator, tuple[float, float]], Holes]:
    return lambda side, rng, share: simulate.SIMULATORS[kind]((side, side), rng, rng.uniform(*share))


def _slcoff(side: int, rng: Generator, share: tuple[float, float]) -> Holes:
    """Stripes anywhere but near nadir, where there are none, whatever the share."""
    return simulate.slcoff((side, side), rng, offset=rng.uniform(0.15, 1.0), tilt=rng.uniform(-16, 16))


KINDS: dict[str, Callable[[int, Generator, tuple[float, float]], Holes]] = {
    "boxes": lambda side, rng, share: boxes(side, rng),
    "clouds": _simulated("clouds"),
    "free_form": lambda side, rng, share: free_form(side, rng),
    "irregular": _simulated("irregular"),
    "lines": _simulated("lines"),
    "slcoff": _slcoff,
}
"""kind -> f(side, rng, (least, greatest share)); True = hole, (side, side)."""


class HoleSource:
    """Draws holes as a recipe has it.

    Raises:
        ValueError: an unknown kind, or files are wanted and there are none.
    """

    def __init__(self, recipe: HoleRecipe) -> None:
        self.recipe = recipe
        if stray := sorted(set(recipe.mix) - set(KINDS) - {"files", "own"}):
            raise ValueError(f"holes of kind `{stray[0]}`, expected some of {', '.join([*KINDS, 'files', 'own'])}")
        self.files = self._listed() if "files" in recipe.mix else []

    def _listed(self) -> list[Callable[[], Holes]]:
        """A reader of each mask."""
        source = self.recipe.files
        if source is None:
            raise ValueError("holes from files, expected `files` to name their folder or .npz")
        found = packed_masks(source, self.recipe.classes) if source.suffix == ".npz" else self._in_folders(source)
        if not found:
            of = f" of the classes {', '.join(self.recipe.classes)}" if self.recipe.classes else ""
            raise ValueError(f"{source} holds no mask{of}, expected files that end in {', '.join(SUFFIXES)}")
        return found

    def _in_folders(self, source: Path) -> list[Callable[[], Holes]]:
        folders = [source / name for name in self.recipe.classes] or [source]
        paths = sorted(path for one in folders for path in one.rglob("*") if path.suffix.lower() in SUFFIXES)
        return [partial(read_mask, path) for path in paths]

    def __call__(self, side: int, rng: Generator, own: Holes | None = None) -> Holes:
        """(side, side), True = hole; `own` are those that the picture came with, cut like it."""
        mix = self.recipe.mix
        if not mix:
            return np.ones((side, side), bool)
        shares = np.array(list(mix.values()))
        kind = list(mix)[rng.choice(len(mix), p=shares / shares.sum())]
        if kind == "own":
            if own is None:
                raise ValueError("holes of the kind `own`, expected pictures that come with a mask")
            return own
        if kind == "files":
            return self._from_files(side, rng)
        return KINDS[kind](side, rng, self.recipe.share)

    def _from_files(self, side: int, rng: Generator) -> Holes:
        """A piece of a mask whose share of holes is in the class; of some tries, else, the nearest to it."""
        low, high = self.recipe.share
        best, least = np.zeros((side, side), bool), np.inf
        for _ in range(_TRIES):
            mask = self.files[rng.integers(len(self.files))]()
            # a mask that is too small goes on from its start
            mask = np.pad(mask, [(0, max(side - size, 0)) for size in mask.shape], mode="wrap")
            row, column = (int(rng.integers(size - side + 1)) for size in mask.shape)
            piece = mask[row : row + side, column : column + side]
            away = max(low - piece.mean(), piece.mean() - high, 0)
            if away < least:
                best, least = piece, away
            if away == 0:
                break
        return best


def packed_masks(source: Path, classes: Sequence[str]) -> list[Callable[[], Holes]]:
    """A reader of each mask in an .npz, of the samples whose place or class is one of `classes`; none: of all."""
    file = np.load(source, allow_pickle=False)
    scenes = json.loads(str(file["scenes"]))

    def read(number: int) -> Holes:
        holes: Holes = file[f"masks_{number}"].any(axis=0)
        return holes

    return [
        partial(read, number)
        for number, scene in enumerate(scenes)
        if f"masks_{number}" in file and (not classes or {scene["place"], scene.get("class")} & set(classes))
    ]


def read_mask(path: Path) -> Holes:
    """(rows, columns), True where the file is not 0.

    Raises:
        ValueError: the array is pickled, or has no two sides.
    """
    if path.suffix.lower() == ".npy":
        # published masks are pickled: such a file can run anything, so it is refused
        planes = np.squeeze(np.load(path, allow_pickle=False))
        if planes.ndim != 2:
            raise ValueError(f"{path} has {planes.ndim} axes, expected rows and columns")
        return planes != 0
    with open_scene([str(path)]) as scene:
        return (scene.read(slice(0, scene.height), slice(0, scene.width)) != 0).any(axis=0)
