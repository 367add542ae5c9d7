"""Batches of pictures with holes, each a pure function of the step's number."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from rsinpaint.classical import GUESSES
from rsinpaint.classical.contract import zero

from .holes import HoleRecipe, HoleSource
from .pictures import Picture, Pictures

_TRIES = 20


@dataclass(frozen=True)
class Values:
    """How a file's values become what networks work on."""

    by: str = "levels"
    """`levels`: low to high of the type; `range`: the 0.1 to 99.9 percentile span of each picture and band;
    `known_span`: least to greatest known value of each crop and band, so that truth in holes may leave [0, 1]."""
    low: float | None = None
    """What becomes 0, for `levels`; none: what the file says, or 0."""
    high: float | None = None
    """What becomes 1, for `levels`; none: what the file says, or the greatest value of an integer type, 1 of a real
    one."""
    signed: bool = False
    """Networks want [-1, 1] instead of [0, 1]."""

    @property
    def ends(self) -> tuple[float, float]:
        """Least and greatest value of pictures."""
        return (-1.0, 1.0) if self.signed else (0.0, 1.0)


@dataclass(frozen=True)
class SampleRecipe:
    """What batches are made of."""

    side: int = 256
    batch: int = 8
    """Pictures; the last batch of an epoch may have fewer."""
    bands: tuple[int, ...] | None = None
    """Bands in the network's order, from 1; none: all."""
    values: Values = field(default_factory=Values)
    holes: HoleRecipe = field(default_factory=HoleRecipe)
    held: str = "zero"
    """What the network finds in the holes: `zero`; `constant`, a level drawn for each sample, as sensors write it;
    `truth`; `cloudy`, and then also what the cloudy picture of the pair has around them; or a guess by its name."""
    turns: bool = False
    """Quarter turns and mirror images."""
    visits: int = 1
    """Crops that an epoch takes of each picture."""
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """Tensors are (samples, bands, side, side), `holes` (samples, 1, side, side) with 1 = hole: a hole in one band is
    one in all. `image` is what the network is shown, `names` says which pictures these are."""

    truth: Tensor
    image: Tensor
    holes: Tensor
    names: tuple[str, ...]

    def on(self, device: torch.device) -> "Batch":
        return Batch(self.truth.to(device), self.image.to(device), self.holes.to(device), self.names)


class Samples:
    """Some pictures of a source, cut and damaged as the recipe has it.

    Raises:
        ValueError: the recipe names something that is not there, or there is no picture.
    """

    def __init__(self, recipe: SampleRecipe, pictures: Pictures, numbers: Sequence[int]) -> None:
        if not numbers:
            raise ValueError("no picture, expected at least one: are there enough places, is the list the right one?")
        if recipe.held not in (contents := ("zero", "constant", "truth", "cloudy", *GUESSES)):
            raise ValueError(f"holes hold `{recipe.held}`, expected one of {', '.join(contents)}")
        if recipe.values.by not in ("levels", "range", "known_span"):
            raise ValueError(f"values by `{recipe.values.by}`, expected levels, range or known_span")
        self.recipe, self.pictures, self.numbers = recipe, pictures, list(numbers)
        self.draw = HoleSource(recipe.holes)

    @property
    def names(self) -> list[str]:
        """Of the pictures that are drawn from, in the source's or the list's order."""
        return [self.pictures.names[number] for number in self.numbers]

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.numbers) * self.recipe.visits // self.recipe.batch)

    def batch(self, step: int) -> Batch:
        """The batch of a step: the same one whenever it is asked for. Each epoch shuffles the pictures anew."""
        epoch, place = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.numbers) * self.recipe.visits)
        first = place * self.recipe.batch
        members = order[first : first + self.recipe.batch]
        count = len(self.numbers)
        return self._stacked([self._sample(int(m) % count, [self.recipe.seed, epoch, int(m)]) for m in members])

    def watched(self, count: int) -> list[Batch]:
        """The first pictures, one a batch, always with the same holes."""
        return [
            self._stacked([self._sample(index, [self.recipe.seed, index])])
            for index in range(min(count, len(self.numbers)))
        ]

    def _sample(self, index: int, seed: Sequence[int]) -> tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]:
        rng = np.random.default_rng(seed)
        # where one picture has no piece without nodata the next one takes its place
        for step in range(len(self.numbers)):
            picture = self.pictures.read(self.numbers[(index + step) % len(self.numbers)])
            window = self._window(picture, rng)
            if window is not None:
                return picture.name, *self._made(picture, window, rng)
        raise ValueError(f"no picture has a piece of {self.recipe.side} px without nodata, expected larger whole areas")

    def _window(self, picture: Picture, rng: Generator) -> tuple[slice, slice] | None:
        side, shape = self.recipe.side, picture.clear.shape[1:]
        if min(shape) < side:
            raise ValueError(f"{picture.name} has {shape[0]} x {shape[1]} px, expected at least {side} on each side")
        for _ in range(_TRIES):
            row, column = (int(rng.integers(size - side + 1)) for size in shape)
            window = slice(row, row + side), slice(column, column + side)
            if picture.valid[(slice(None), *window)].all():
                return window
        return None

    def _made(
        self, picture: Picture, window: tuple[slice, slice], rng: Generator
    ) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """(truth, image, holes) of one sample."""
        bands = self._bands(picture)
        cut = (bands, *window)
        own = None if picture.holes is None else picture.holes[window]
        holes = self.draw(self.recipe.side, rng, own)
        turn = _turning(rng) if self.recipe.turns else _as_it_is
        clear, holes = turn(picture.clear[cut].astype(np.float64)), turn(holes[None])
        low, high = self._span(picture, bands, clear, holes)
        truth = self._scaled(clear, low, high)
        if self.recipe.held == "cloudy":
            if picture.cloudy is None:
                raise ValueError(f"{picture.name} has no cloudy partner, expected pairs where holes hold `cloudy`")
            image = self._scaled(turn(picture.cloudy[cut].astype(np.float64)), low, high)
        else:
            image = self._held(truth, np.broadcast_to(holes, truth.shape), rng)
        return truth, image, holes

    def _bands(self, picture: Picture) -> list[int]:
        count = len(picture.clear)
        bands = self.recipe.bands or tuple(range(1, count + 1))
        if not all(1 <= band <= count for band in bands):
            raise ValueError(f"bands {', '.join(map(str, bands))} of {picture.name}, expected some of 1 to {count}")
        return [band - 1 for band in bands]

    def _span(
        self, picture: Picture, bands: list[int], clear: NDArray[Any], holes: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """What becomes 0 and what becomes 1, (bands, 1, 1); a band without a span gets the width 1."""
        values = self.recipe.values
        if values.by == "levels":
            kind = picture.clear.dtype
            default = picture.span or (0.0, np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1.0)
            given = (values.low, values.high)
            ends = np.array([[d if g is None else g for g, d in zip(given, default, strict=True)]] * len(bands))
        elif values.by == "range":
            ends = np.array([np.percentile(picture.clear[b][picture.valid[b]], (0.1, 99.9)) for b in bands])
        else:
            known = ~holes[0] if not holes.all() else np.ones_like(holes[0])
            ends = np.array([(plane[known].min(), plane[known].max()) for plane in clear])
        low, high = ends.T[..., None, None].astype(np.float64)
        return low, np.where(high > low, high, low + 1)

    def _scaled(self, planes: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> NDArray[Any]:
        share = (planes - low) / (high - low)
        if self.recipe.values.by != "known_span":
            share = share.clip(0, 1)  # networks whose answers end there could learn nothing beyond
        return 2 * share - 1 if self.recipe.values.signed else share

    def _held(self, truth: NDArray[Any], holes: NDArray[np.bool_], rng: Generator) -> NDArray[Any]:
        if self.recipe.held == "truth":
            return truth
        if self.recipe.held == "constant":
            level = rng.choice([0.0, 1.0, rng.random()])
            return np.where(holes, 2 * level - 1 if self.recipe.values.signed else level, truth)
        if self.recipe.held == "zero" or holes.all():
            return np.where(holes, 0, truth)
        mean = truth.mean((1, 2), keepdims=True, where=~holes)  # far from anything known a guess goes to 0
        centred = np.where(holes, 0, truth - mean).astype(np.float32)
        return np.where(holes, GUESSES[self.recipe.held](centred, ~holes, holes, zero) + mean, truth)

    def _stacked(self, made: list[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]]) -> Batch:
        names, *planes = zip(*made, strict=True)
        truth, image, holes = (torch.from_numpy(np.stack(one).astype(np.float32)) for one in planes)
        return Batch(truth, image, holes, tuple(names))


def _as_it_is(planes: NDArray[Any]) -> NDArray[Any]:
    return planes


def _turning(rng: Generator) -> Any:
    """A function that turns and mirrors planes, always in the same way."""
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def turn(planes: NDArray[Any]) -> NDArray[Any]:
        planes = np.rot90(planes, turns, axes=(1, 2))
        return planes[:, :, ::-1] if mirrored else planes

    return turn
