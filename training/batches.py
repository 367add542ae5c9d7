"""Batches of crops, each a pure function of the step's number, with flips, turns, gains and band choice."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .store import Store


@dataclass(frozen=True)
class BatchRecipe:
    planes: int = 12
    """Bands of all samples of a batch together."""
    bands: tuple[float, ...] = (0.15, 0.2, 0.35, 0.3)
    """How often a batch has 1, 2, 3 and 4 bands."""
    gain: float = 0.4
    """Spread of the logarithm of a gain: a crop of a whole scene has another contrast than the scene."""
    offset: float = 0.5
    negative: float = 0.1
    """Share of bands that are turned round."""
    first_crops: int = 256
    """Crops that must be there before step 0."""
    fresh: int = 2
    """Crops that each step may see beyond those of the step before."""
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Tensors (samples, bands, side, side); `weight` (samples, bands, 1, 1) is what an error counts in the loss: it
    undoes the gain, and weighs the crop within its scene (see `crops.Crop`)."""

    truth: Tensor
    start: Tensor
    holes: Tensor
    weight: Tensor


def crops_seen(recipe: BatchRecipe, store: Store, step: int) -> int:
    """How many crops of the store the batch of `step` may draw from."""
    return min(store.size, recipe.first_crops + recipe.fresh * step)


def make_batch(recipe: BatchRecipe, store: Store, step: int, rank: int = 0) -> Batch:
    """The batch of `step` for the process `rank`: the same one whenever it is asked for."""
    rng = np.random.default_rng([recipe.seed, step, rank] if rank else [recipe.seed, step])
    wanted = int(rng.choice(len(recipe.bands), p=recipe.bands)) + 1
    seen = crops_seen(recipe, store, step)
    truth: list[np.ndarray] = []
    start: list[np.ndarray] = []
    holes: list[np.ndarray] = []
    weight: list[np.ndarray] = []
    while len(truth) < max(1, recipe.planes // wanted):
        number = int(rng.integers(seen))
        if store.bands[number] < wanted:
            continue
        chosen = rng.permutation(int(store.bands[number]))[:wanted]
        turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))

        def turned(planes: np.ndarray, turns: int = turns, mirrored: bool = mirrored) -> np.ndarray:
            planes = np.rot90(planes, turns, axes=(1, 2))
            return planes[:, :, ::-1] if mirrored else planes

        sign = np.where(rng.random((wanted, 1, 1)) < recipe.negative, -1.0, 1.0)
        gain = np.exp(rng.normal(0, recipe.gain, (1, 1, 1)) + rng.normal(0, recipe.gain / 4, (wanted, 1, 1)))
        offset = rng.normal(0, recipe.offset, (wanted, 1, 1))
        truth.append(turned(store.truth[number][chosen].astype(np.float32)) * (sign * gain) + offset)
        start.append(turned(store.start[number][chosen].astype(np.float32)) * (sign * gain) + offset)
        holes.append(turned(store.holes[number][chosen]))
        weight.append(store.weight[number][chosen][:, None, None] / gain)
    return Batch(_tensor(truth), _tensor(start), _tensor(holes), _tensor(weight))


def _tensor(planes: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(planes).astype(np.float32))
