"""All that an adversarial run depends on, as recipes say it."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .critics import CriticRecipe
from .samples import SampleRecipe
from .terms import FeatureRecipe


@dataclass(frozen=True)
class StageRecipe:
    """What is learnt, until the stage is over."""

    terms: dict[str, float]
    """Name of a loss term (key of `terms.TERMS`) -> weight."""
    shows: str = "fill"
    """What discriminators see of a picture: `fill`, `blended` or `holes` (see `terms.Lesson`)."""
    band_weights: tuple[float, ...] = ()
    """What the error of each band counts in the term `l1`; none: all alike."""
    distance: str = "l2"
    """Of features of discriminators: `l1` or `l2`."""
    until_epoch: int | None = None
    until_mape: float | None = None
    """The next stage begins with this epoch, or when the relative error on the pictures that are watched falls below
    this; none of both: never."""


@dataclass(frozen=True)
class PlateauRecipe:
    """The learning rates fall when the watched error has not for a while."""

    factor: float = 0.1
    patience: int = 10
    """Checks without a new best before that."""


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on."""

    run: Path
    pictures: Path
    """What is learnt from: see `pictures`."""
    network: str
    network_config: dict[str, Any]
    stages: tuple[StageRecipe, ...]
    discriminators: tuple[CriticRecipe, ...]
    mode: str = "corrected"
    """`corrected`, or `as_published` with the faults of the public code that change results."""
    part: str = "whole"
    """What of the network learns, key of `parts.PARTS`."""
    begin: Path | None = None
    """Weights of the whole network to begin with: a checkpoint of a run of its like, or safetensors."""
    held_out: Path | None = None
    """Pictures to watch; none: those of the fold that is held out, or that are not listed."""
    listed: Path | None = None
    """Names of the pictures to learn from, one a line."""
    folds: int = 1
    fold: int = 0
    """By place; see `pictures.split`."""
    samples: SampleRecipe = field(default_factory=SampleRecipe)
    features: FeatureRecipe | None = None
    epochs: int = 100
    steps: int | None = None
    """Stop after so many steps instead."""
    rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    discriminator_first: bool = True
    """In each step; both learn from the same pictures."""
    plateau: PlateauRecipe | None = None
    ema: float = 0.999
    clip: float | None = None
    """Greatest length of the generator's gradient."""
    watched: int = 16
    """Pictures that are watched, at most."""
    check_every: int = 1000
    precision: str = "32-true"
    """As Fabric names it; on a GPU `bf16-mixed` halves time and memory."""
    seed: int = 0
    threads: int = 1
    minutes: float = math.inf
    """Stop after so many minutes; the run can be resumed."""
