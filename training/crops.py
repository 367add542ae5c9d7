"""One training crop: a piece of a scene, damaged, with the guess the network will start from.

A crop is a pure function of the packed scenes, the recipe and its number, so a store of crops can be made
ahead by another process, and a run that is resumed sees what an uninterrupted one sees.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rsinpaint.classical import GUESSES
from rsinpaint.classical.contract import zero
from rsinpaint.masks import simulate

BANDS = 4
"""Bands kept of a scene, drawn at random; scenes with fewer give what they have."""
LAG = 6
"""Rows over which the change of a scene is measured: about half a stripe."""
WEIGHTS = (0.1, 4.0)
_TRIES = 60


@dataclass(frozen=True)
class Mix:
    """Shares of the kinds of holes; they need not sum to 1."""

    slcoff: float = 0.75
    irregular: float = 0.10
    clouds: float = 0.10
    lines: float = 0.05


@dataclass(frozen=True)
class CropRecipe:
    """What crops are made of."""

    side: int = 128
    guess: str = "tension-spline"
    mix: Mix = field(default_factory=Mix)
    half_resolution: float = 0.25
    """Share of crops that are averaged over 2 x 2 pixels, so that coarser sensors are known, too."""
    quarter_resolution: float = 0.0
    """Likewise over 4 x 4 pixels."""
    band_jitter: float = 0.15
    """Share of stripe crops in which the holes of the bands differ by up to a pixel."""
    seed: int = 0

    @property
    def coarser(self) -> float:
        """Share of crops that are averaged over pixels at all."""
        return self.half_resolution + self.quarter_resolution


@dataclass(frozen=True)
class Crop:
    """Planes are (bands, side, side) and normalised by the known pixels; the holes of `start` hold the guess."""

    truth: NDArray[np.float32]
    start: NDArray[np.float32]
    holes: NDArray[np.bool_]
    weight: NDArray[np.float32]
    """(bands,): deviation of the crop in units of how much its scene changes over `LAG` rows. PSNR is taken over whole
    scenes and averaged over them: a flat corner counts little in it, and a rough scene no more than a smooth one."""


@dataclass(frozen=True)
class Packed:
    """Scenes of a file made by `training.pack`, by place."""

    places: tuple[tuple[tuple[np.ndarray, np.ndarray], ...], ...]
    """For each place its scenes: (values, valid)."""

    @classmethod
    def read(cls, path: Path) -> "Packed":
        with np.load(path) as file:
            index = json.loads(str(file["scenes"]))
            places: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
            for number, scene in enumerate(index):
                places.setdefault(scene["place"], []).append((file[f"values_{number}"], file[f"valid_{number}"]))
        return cls(tuple(tuple(scenes) for scenes in places.values()))


def make_crop(packed: Packed, recipe: CropRecipe, number: int) -> Crop:
    """Crop `number`; places are drawn first, so that a place with many dates does not rule.

    Raises:
        ValueError: no usable crop was found, for instance because scenes are smaller than the crop.
    """
    rng = np.random.default_rng([recipe.seed, number])
    for _ in range(_TRIES):
        piece = _piece(packed, recipe, rng)
        if piece is None:
            continue
        values, change = piece
        holes = _damage(recipe, rng, values.shape)
        share = holes[0].mean()
        if not 0.02 < share < 0.7:
            continue
        crop = _normalised(values, change, holes, recipe)
        if crop is not None:
            return crop
    raise ValueError(f"no usable crop of {recipe.side} px in {_TRIES} tries, expected scenes with larger whole areas")


def _piece(
    packed: Packed, recipe: CropRecipe, rng: Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
    """A piece of a scene, (bands, side, side), and how much each band of the scene changes over `LAG` rows."""
    scenes = packed.places[rng.integers(len(packed.places))]
    values, valid = scenes[rng.integers(len(scenes))]
    drawn = rng.random()
    factor = 2 if drawn < recipe.half_resolution else 4 if drawn < recipe.coarser else 1
    while factor > 1 and min(values.shape[1:]) < recipe.side * factor:
        factor //= 2
    side = recipe.side * factor
    if min(values.shape[1:]) < side:
        return None
    row, column = (int(rng.integers(size - side + 1)) for size in values.shape[1:])
    window = np.s_[row : row + side, column : column + side]
    bands = rng.permutation(len(values))[:BANDS]
    if not valid[bands][(slice(None), *window)].all():
        return None
    piece = values[bands][(slice(None), *window)].astype(np.float32)
    scene, known = values[bands].astype(np.float32), valid[bands]
    spread = scene.std((1, 2), where=known)
    both = known[:, LAG:] & known[:, :-LAG]
    change = np.sqrt(np.square(scene[:, LAG:] - scene[:, :-LAG]).mean((1, 2), where=both))
    if (piece.std((1, 2)) < spread / 20).any():  # nothing to learn from flat water or saturated snow
        return None
    return piece.reshape(len(bands), recipe.side, factor, recipe.side, factor).mean((2, 4)), change


def _damage(recipe: CropRecipe, rng: Generator, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    kinds = vars(recipe.mix)
    shares = np.array(list(kinds.values()))
    kind = list(kinds)[rng.choice(len(kinds), p=shares / shares.sum())]
    plane = (shape[1], shape[2])
    if kind != "slcoff":
        low, high = {"irregular": (0.08, 0.4), "clouds": (0.1, 0.5), "lines": (0.03, 0.25)}[kind]
        holes = simulate.SIMULATORS[kind](plane, rng, rng.uniform(low, high))
        if kind == "lines" and rng.random() < 0.5:
            holes = holes.T
        return np.broadcast_to(holes, shape)
    holes = simulate.slcoff(
        plane,
        rng,
        offset=rng.uniform(0.15, 1.0),
        tilt=rng.uniform(-16, 16),
        pixel=30.0 * np.exp(rng.uniform(-0.3, 0.15)),
        half_swath=rng.uniform(2900, 3200),
    )
    if rng.random() < recipe.band_jitter:
        return np.stack([np.roll(holes, rng.integers(-1, 2), axis=rng.integers(2)) for _ in range(shape[0])])
    return np.broadcast_to(holes, shape)


def _normalised(
    values: NDArray[np.float32], change: NDArray[np.float32], holes: NDArray[np.bool_], recipe: CropRecipe
) -> Crop | None:
    mean = values.mean((1, 2), keepdims=True, where=~holes)
    std = values.std((1, 2), keepdims=True, where=~holes)
    if (std <= 0).any():
        return None
    truth = (values - mean) / std
    start = GUESSES[recipe.guess](np.where(holes, 0, truth), ~holes, holes, zero)
    weight = np.clip(std.ravel() / np.maximum(change, 1e-9), *WEIGHTS)
    return Crop(truth.astype(np.float32), start.astype(np.float32), np.ascontiguousarray(holes), weight)
