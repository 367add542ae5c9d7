"""What a generator pays, term by term: `TERMS` by the names that recipes give weights to. All give a scalar.

A lesson is one batch and what was made of it. Terms compare at the finest resolution that the generator answers in,
to which truth and holes are enlarged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from rsinpaint.networks.cshe import edge_target

from . import features
from .adversarial import ADVERSARIAL, Distance, feature_matching
from .critics import Judgement
from .features.losses import CONVENTIONS, FeatureLoss
from .losses import weighted_l1
from .mask_losses import mask_loss
from .samples import Batch
from .structure import attention_loss, edge_loss, structure_loss

DISTANCES: dict[str, Distance] = {"l1": F.l1_loss, "l2": F.mse_loss}
SHOWS = ("fill", "blended", "holes")


@dataclass(frozen=True)
class FeatureRecipe:
    """The feature network of perceptual and style loss."""

    convention: str = "strata"
    """Key of `features.losses.CONVENTIONS`: `strata` is our own and needs nothing; the published systems' need VGG."""
    weights: Path | None = None
    """Of the feature network; none: the bundled ones, which only `strata` has."""

    def open(self) -> FeatureLoss:
        """The loss, with its network.

        Raises:
            ValueError: there is no such convention.
            JobError: there are no weights.
        """
        if self.convention not in CONVENTIONS:
            raise ValueError(f"features of `{self.convention}`, expected one of {', '.join(CONVENTIONS)}")
        rule = CONVENTIONS[self.convention]
        return FeatureLoss(features.build(rule.features, self.weights), rule)


class Judged(NamedTuple):
    """What a discriminator says of the pictures that were made."""

    loss: str
    """Key of `adversarial.ADVERSARIAL`."""
    made: Judgement
    real_steps: list[Tensor]
    """Features of the real pictures, where they are wanted and told."""


@dataclass
class Lesson:
    """One batch and what a generator made of it."""

    batch: Batch
    answer: dict[str, Tensor]
    shows: str = "fill"
    """What discriminators see: `fill`, as the generator gives it; `blended`, with the truth where there are no holes;
    `holes`, 0 where there are none."""
    distance: Distance = F.mse_loss
    corrected: bool = True
    features: FeatureLoss | None = None
    band_weights: tuple[float, ...] = ()
    """What the error of each band counts in `l1`, which divides by their sum; none: all alike."""

    def __post_init__(self) -> None:
        if self.shows not in SHOWS:
            raise ValueError(f"discriminators are shown `{self.shows}`, expected one of {', '.join(SHOWS)}")
        self.judged: list[Judged] = []
        """What each discriminator says; empty until they were asked."""

    @property
    def picture(self) -> Tensor:
        """At the finest resolution."""
        return self.answer.get("refined", self.answer["fill"])

    @cached_property
    def truth(self) -> Tensor:
        return self._enlarged(self.batch.truth)

    @cached_property
    def image(self) -> Tensor:
        return self._enlarged(self.batch.image)

    @cached_property
    def holes(self) -> Tensor:
        return self._enlarged(self.batch.holes)

    def _enlarged(self, planes: Tensor) -> Tensor:
        size = self.picture.shape[2:]
        return planes if planes.shape[2:] == size else F.interpolate(planes, size=size, mode="nearest")

    @cached_property
    def blended(self) -> Tensor:
        return self.picture * self.holes + self.truth * (1 - self.holes)

    def shown(self) -> tuple[Tensor, Tensor]:
        """The made and the real picture, as discriminators see them."""
        if self.shows == "holes":
            return self.picture * self.holes, self.truth * self.holes
        return (self.blended if self.shows == "blended" else self.picture), self.truth


def _adversarial(lesson: Lesson) -> Tensor:
    return torch.stack([ADVERSARIAL[one.loss].generator(one.made.scores) for one in lesson.judged]).sum()


def _matching(lesson: Lesson) -> Tensor:
    return torch.stack(
        [feature_matching(one.made.steps, one.real_steps, lesson.distance) for one in lesson.judged if one.made.steps]
    ).sum()


def _l1(lesson: Lesson) -> Tensor:
    error = (lesson.picture - lesson.truth).abs()
    if not lesson.band_weights:
        return error.mean()
    if len(lesson.band_weights) != error.shape[1]:
        raise ValueError(f"{len(lesson.band_weights)} weights of bands, expected {error.shape[1]}, one a band")
    weights = error.new_tensor(lesson.band_weights)
    return (error.mean((0, 2, 3)) * weights).sum() / weights.sum()


def _l1_by_share(lesson: Lesson) -> Tensor:
    """As published by the mean of the mask; without holes that is infinite, so each sample has a pixel at least."""
    error = (lesson.picture - lesson.truth).abs().mean((1, 2, 3))
    share = lesson.holes.mean((1, 2, 3))
    if lesson.corrected:
        return (error / share.clamp(min=1 / lesson.holes[0].numel())).mean()
    return error.mean() / share.mean()


def _features(lesson: Lesson, picture: Tensor) -> Tensor:
    if lesson.features is None:
        raise ValueError("a loss on features, expected `features` in the recipe to name a convention")
    loss: Tensor = lesson.features(picture, lesson.truth)
    return loss


def _coarse(lesson: Lesson, *, hole: float, valid: float) -> Tensor:
    batch = lesson.batch
    return weighted_l1(lesson.answer["coarse"], batch.truth, batch.holes, hole=hole, valid=valid)


Term = Callable[[Lesson], Tensor]
TERMS: dict[str, Term] = {
    "adversarial": _adversarial,
    "attention": lambda lesson: attention_loss(
        lesson.answer["attention"], lesson.batch.truth, lesson.batch.image, corrected=lesson.corrected
    ),
    "coarse_hole_l1": lambda lesson: _coarse(lesson, hole=1, valid=0),
    "coarse_valid_l1": lambda lesson: _coarse(lesson, hole=0, valid=1),
    "edges": lambda lesson: edge_loss(lesson.answer["edges"], edge_target(lesson.batch.truth)),
    "features": lambda lesson: _features(lesson, lesson.picture),
    "features_blended": lambda lesson: _features(lesson, lesson.blended),
    "hole_l1": lambda lesson: weighted_l1(lesson.picture, lesson.truth, lesson.holes, hole=1, valid=0),
    "l1": _l1,
    "l1_by_share": _l1_by_share,
    "mask": lambda lesson: mask_loss(lesson.answer["mask"], lesson.batch.holes),
    "matching": _matching,
    "structure": lambda lesson: structure_loss(*lesson.shown()),
    "valid_l1": lambda lesson: weighted_l1(lesson.picture, lesson.truth, lesson.holes, hole=0, valid=1),
}
"""Name in recipes -> term. `hole_` and `valid_` count holes and the rest alone, `coarse_` the first stage's picture,
`_blended` the picture with the truth around its holes. `features` is perceptual and style loss, by a convention."""


def check_terms(names: Sequence[str], distance: str, losses: Sequence[str]) -> None:
    """Raise ValueError unless all names are known and there is somebody to judge where that is wanted.

    Args:
        names: of terms.
        distance: between features of discriminators.
        losses: one a discriminator, keys of `ADVERSARIAL`.
    """
    every = (("loss term", names, TERMS), ("distance", [distance], DISTANCES), ("loss", losses, ADVERSARIAL))
    for what, asked, known in every:
        if stray := sorted(set(asked) - set(known)):
            raise ValueError(f"{what} `{stray[0]}`, expected some of {', '.join(known)}")
    if not losses and (lacking := {"adversarial", "matching"} & set(names)):
        raise ValueError(f"loss term `{min(lacking)}`, expected a discriminator in the recipe to judge")
