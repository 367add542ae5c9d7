"""Discriminators, and what each of them is shown of a picture."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple

from torch import Tensor, nn

from rsinpaint.networks.blocks import corners, crop


@dataclass(frozen=True)
class PenaltyRecipe:
    """A gradient penalty, until the next one in the list begins."""

    weight: float
    centre: float = 1.0
    from_epoch: int = 0


@dataclass(frozen=True)
class CriticRecipe:
    """One discriminator."""

    kind: str
    """Key of `CRITICS`."""
    config: dict[str, Any] = field(default_factory=dict)
    loss: str = "hinge"
    """Key of `adversarial.ADVERSARIAL`."""
    rate: float = 1.0
    """Learning rate as a multiple of the generator's."""
    crop: int = 0
    """Side in pixels of the square that it is shown, laid so that it holds as much of the hole as can be (a local
    discriminator); 0: the whole picture."""
    penalty: tuple[PenaltyRecipe, ...] = ()


class Judgement(NamedTuple):
    """Scores of pictures, and the features on the way to them where the discriminator tells them."""

    scores: Tensor
    steps: list[Tensor]


class Kind(NamedTuple):
    """How to make a discriminator (module:class of `rsinpaint.networks`), and how to ask it."""

    source: str
    ask: Callable[[nn.Module, Tensor, Tensor, Tensor], Judgement]


def _picture_alone(judge: nn.Module, picture: Tensor, image: Tensor, holes: Tensor) -> Judgement:
    return Judgement(*judge(picture))


def _beside_the_image(judge: nn.Module, picture: Tensor, image: Tensor, holes: Tensor) -> Judgement:
    return Judgement(judge(image, picture), [])


def _with_holes(judge: nn.Module, picture: Tensor, image: Tensor, holes: Tensor) -> Judgement:
    return Judgement(judge(picture, holes), [])


def _with_places(judge: nn.Module, picture: Tensor, image: Tensor, holes: Tensor) -> Judgement:
    return Judgement(judge(picture, holes, corners(holes, int(judge.local_side))), [])  # type: ignore[arg-type]


CRITICS: dict[str, Kind] = {
    "cmun": Kind("cmun:Discriminator", _with_holes),
    "cmun_multi": Kind("cmun:MultiDiscriminator", _with_holes),
    "ocean_gated": Kind("ocean_gated:Discriminator", _with_holes),
    "patch": Kind("blocks:PatchDiscriminator", _picture_alone),
    "simt": Kind("simt:Discriminator", _with_places),
    "spa_gan": Kind("spa_gan:SpaGanDiscriminator", _beside_the_image),
}
"""Name in recipes -> kind."""


class Critic(nn.Module):
    """A discriminator that is given everything and shows its network what that wants.

    Raises:
        ValueError: there is no such kind.
    """

    def __init__(self, recipe: CriticRecipe, mode: str) -> None:
        super().__init__()
        if recipe.kind not in CRITICS:
            raise ValueError(f"discriminator `{recipe.kind}`, expected one of {', '.join(CRITICS)}")
        source, self.ask = CRITICS[recipe.kind]
        module, _, name = source.partition(":")
        make = getattr(import_module(f"rsinpaint.networks.{module}"), name)
        self.crop = recipe.crop
        self.judge: nn.Module = make(**with_mode(make, recipe.config, mode))

    def forward(self, picture: Tensor, image: Tensor, holes: Tensor) -> Judgement:
        """Judge pictures (N, bands, rows, columns) that were made, or might have been, of `image` with `holes`."""
        if self.crop:
            places = corners(holes, self.crop)
            picture, image, holes = (crop(planes, places, self.crop) for planes in (picture, image, holes))
        return self.ask(self.judge, picture, image, holes)


def with_mode(make: Callable[..., nn.Module], config: dict[str, Any], mode: str) -> dict[str, Any]:
    """The configuration, with the recipe's mode for networks that know modes."""
    knows = "mode" in inspect.signature(make).parameters
    return {"mode": mode, **config} if knows else config


def penalty_at(recipe: CriticRecipe, epoch: int) -> PenaltyRecipe | None:
    """The gradient penalty of an epoch: the last one in the list that has begun."""
    begun = [penalty for penalty in recipe.penalty if penalty.from_epoch <= epoch]
    return begun[-1] if begun else None
