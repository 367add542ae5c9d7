"""What the feature network is taught with: pairs of crops that share their ground, each with a damage of its own."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..crops import Packed

DAMAGES = ("none", "blur", "noise", "blocks", "rows")
"""What may have been done to a crop; `rows`: stripes of rows that were interpolated, as in a bad SLC-off fill."""
_TRIES = 200

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class ViewRecipe:
    pairs: int = 24
    """Pairs of a batch: each crop has one partner among 2 * pairs - 1 others."""
    side: int = 32
    shift: int = 16
    """Pixels, at most, between the two crops of a pair, down and across."""
    half_resolution: float = 0.3
    """Share of pairs that are averaged over 2 x 2 pixels, so that coarser sensors are known, too."""
    gain: float = 0.3
    """Spread of the logarithm of a gain."""
    offset: float = 0.3
    """Spread of an offset, in deviations."""
    damages: tuple[str, ...] = DAMAGES
    """Drawn from, each as often as the others."""
    seed: int = 0


@dataclass(frozen=True)
class Views:
    """Crops, (2 * pairs, 1, side, side): crop i and crop i + pairs show the same ground."""

    crops: Tensor
    damages: Tensor
    """Of each crop, its index in `DAMAGES`."""


def make_views(packed: Packed, recipe: ViewRecipe, step: int) -> Views:
    """The batch of `step`: the same one whenever it is asked for.

    Raises:
        ValueError: no usable piece was found, for instance because scenes are smaller than crop and shift.
    """
    rng = np.random.default_rng([recipe.seed, step])
    pairs = [_pair(packed, recipe, rng) for _ in range(recipe.pairs)]
    crops, damages = [], []
    for which in range(2):
        for pair in pairs:
            kind = recipe.damages[rng.integers(len(recipe.damages))]
            crops.append(damaged(pair[which], kind, rng) * _gain(recipe, rng) + rng.normal(0, recipe.offset))
            damages.append(DAMAGES.index(kind))
    planes = np.stack(crops)[:, None].astype(np.float32)
    return Views(torch.from_numpy(planes), torch.tensor(damages))


def damaged(plane: Plane, kind: str, rng: Generator) -> Plane:
    """A plane (rows, columns), mean 0 and deviation 1, after the damage at a random strength.

    Raises:
        KeyError: there is no such damage.
    """
    if kind == "none":
        return plane
    if kind == "blur":
        return blurred(plane, float(rng.uniform(0.6, 2.0)))
    if kind == "noise":
        return noisy(plane, float(rng.uniform(0.1, 0.5)), rng)
    if kind == "blocks":
        return _blocks(plane, int(rng.integers(2, 5)))
    if kind == "rows":
        return _rows(plane, int(rng.integers(2, 7)), rng)
    raise KeyError(f"damage `{kind}`, expected one of {', '.join(DAMAGES)}")


def blurred(plane: Plane, sigma: float) -> Plane:
    """Gaussian blur; sigma in pixels."""
    return ndimage.gaussian_filter(plane, sigma, mode="reflect")


def noisy(plane: Plane, deviation: float, rng: Generator) -> Plane:
    """With white noise added."""
    return plane + rng.normal(0, deviation, plane.shape).astype(np.float32)


def _blocks(plane: Plane, side: int) -> Plane:
    """Every block of side x side pixels has the value of one of them, as after a nearest neighbour enlargement."""
    rows, columns = (np.arange(size) // side * side for size in plane.shape)
    return plane[np.ix_(rows, columns)]


def _rows(plane: Plane, thickness: int, rng: Generator) -> Plane:
    """Stripes of rows are replaced by straight lines between the rows above and below."""
    out, start = plane.copy(), int(rng.integers(1, 4))
    while start + thickness < len(plane):
        share = np.arange(1, thickness + 1, dtype=np.float32)[:, None] / (thickness + 1)
        out[start : start + thickness] = (1 - share) * plane[start - 1] + share * plane[start + thickness]
        start += thickness + int(rng.integers(6, 14))
    return out


def _gain(recipe: ViewRecipe, rng: Generator) -> float:
    return float(np.exp(rng.normal(0, recipe.gain)))


def _pair(packed: Packed, recipe: ViewRecipe, rng: Generator) -> tuple[Plane, Plane]:
    """Two crops that overlap, of two bands that are drawn alone and may be the same; turned and mirrored alike."""
    for _ in range(_TRIES):
        area = _area(packed, recipe, rng)
        if area is None:
            continue
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        area = np.rot90(area, turns, axes=(1, 2))
        area = area[:, :, ::-1] if mirrored else area
        places = [tuple(int(start) for start in rng.integers(recipe.shift + 1, size=2)) for _ in range(2)]
        first, other = (
            np.ascontiguousarray(plane[row : row + recipe.side, column : column + recipe.side])
            for plane, (row, column) in zip(area, places, strict=True)
        )
        return first, other
    raise ValueError(f"no usable piece of {recipe.side + recipe.shift} px in {_TRIES} tries, expected larger scenes")


def _area(packed: Packed, recipe: ViewRecipe, rng: Generator) -> Plane | None:
    """Two bands of a piece of a scene, (2, side + shift, side + shift), each of mean 0 and deviation 1."""
    scenes = packed.places[rng.integers(len(packed.places))]
    values, valid = scenes[rng.integers(len(scenes))]
    wanted = recipe.side + recipe.shift
    factor = 2 if rng.random() < recipe.half_resolution else 1
    factor = factor if min(values.shape[1:]) >= factor * wanted else 1
    side = factor * wanted
    if min(values.shape[1:]) < side:
        return None
    row, column = (int(rng.integers(size - side + 1)) for size in values.shape[1:])
    window = np.s_[row : row + side, column : column + side]
    bands = rng.integers(len(values), size=2)
    if not valid[bands][(slice(None), *window)].all():
        return None
    piece = values[bands][(slice(None), *window)].astype(np.float32)
    piece = piece.reshape(2, wanted, factor, wanted, factor).mean((2, 4))
    spread = piece.std((1, 2), keepdims=True)
    mean = piece.mean((1, 2), keepdims=True)
    # nothing to learn from flat water or saturated snow: a hundredth of the level is rounding or noise
    if (spread <= 0.01 * np.abs(mean)).any() or (spread <= 0).any():
        return None
    return (piece - mean) / spread
