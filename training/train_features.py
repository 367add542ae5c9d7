"""Teach the feature network of our own by a recipe, and pack its weights; the loop is all here.

    python -m training.train_features --config training/recipes/features.yaml [--steps N] [--run FOLDER] [--minutes M]
    python -m training.train_features --config training/recipes/features.yaml --pack true

A run is a folder: `last.ckpt` (weights, heads, optimiser, step) and `log.csv` (a line a check). Started again with
the same folder it goes on from `last.ckpt` and ends with the same weights as an uninterrupted run. With `--pack
true` nothing is taught: the weights of the run are levelled, scored on the places held out, and written with their
card into `training/features/`.
"""

import csv
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jsonargparse import auto_cli
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from .crops import Packed
from .features.packing import pack
from .features.scores import pretext
from .features.strata import Strata
from .features.views import DAMAGES, ViewRecipe, Views, make_views


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on."""

    run: Path
    packed: Path
    """Scenes to learn from, made by `training.pack`."""
    held_out: Path
    """Other places, for the scores."""
    widths: tuple[int, ...] = (16, 32, 64, 96)
    views: ViewRecipe = field(default_factory=ViewRecipe)
    steps: int = 600
    warm_up: int = 50
    rate: float = 0.002
    decay: float = 0.01
    temperature: float = 0.1
    """Of the contrastive loss."""
    numbers: int = 64
    """That the contrastive head makes of a crop."""
    clip: float = 1.0
    seed: int = 0
    threads: int = 1
    check_every: int = 100
    minutes: float = math.inf
    """Stop after so many minutes; the run can be resumed."""
    pack: bool = False
    """Teach nothing; write the weights and their card."""


class Pupil(nn.Module):
    """The network with the two heads that teach it and are thrown away."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.network = Strata(widths=recipe.widths)
        self.ground = nn.Linear(2 * sum(recipe.widths), recipe.numbers)
        self.damage = nn.Linear(2 * sum(recipe.widths), len(DAMAGES))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (N, numbers) that say which ground a crop shows, and logits (N, damages)."""
        steps = self.network(crops)
        means = [step.mean((2, 3)) for step in steps]
        spreads = [(step.var((2, 3)) + 1e-4).sqrt() for step in steps]  # not 0: the root has no slope there
        summary = torch.cat(means + spreads, dim=1)
        return F.normalize(self.ground(summary), dim=1), self.damage(summary)


def contrastive(vectors: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of finding each crop's partner among all others of the batch. Scalar.

    Args:
        vectors: (2 * pairs, numbers), of length 1; i and i + pairs belong together.

    Source: van den Oord et al., arXiv:1807.03748, equation 4; symmetric as in Chen et al., arXiv:2002.05709,
    equation 1.
    """
    likeness = vectors @ vectors.T / temperature
    likeness = likeness.masked_fill(torch.eye(len(vectors), dtype=torch.bool, device=vectors.device), -torch.inf)
    partners = torch.arange(len(vectors), device=vectors.device).roll(len(vectors) // 2)
    return F.cross_entropy(likeness, partners)


def loss_of(recipe: Recipe, pupil: Pupil, views: Views) -> Tensor:
    """Both lessons, weighing alike: which ground, and what was done to it."""
    vectors, logits = pupil(views.crops)
    return contrastive(vectors, recipe.temperature) + F.cross_entropy(logits, views.damages)


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step: linear rise, cosine fall to nothing."""
    fall = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
    return recipe.rate * min(1.0, (step + 1) / max(recipe.warm_up, 1)) * fall


def open_run(recipe: Recipe) -> tuple[Pupil, AdamW, int]:
    """Pupil, optimiser and step: fresh, or as the run's folder holds them."""
    torch.manual_seed(recipe.seed)
    pupil = Pupil(recipe)
    optimiser = AdamW(pupil.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    last = recipe.run / "last.ckpt"
    if not last.exists():
        return pupil, optimiser, 0
    held = torch.load(last, map_location="cpu", weights_only=True)
    pupil.load_state_dict(held["pupil"])
    optimiser.load_state_dict(held["optimiser"])
    return pupil, optimiser, held["step"]


def check(recipe: Recipe, pupil: Pupil, optimiser: AdamW, step: int, losses: list[float]) -> None:
    """Score on the places held out, add a line to the log, and keep the state."""
    pupil.eval()
    scores = pretext(pupil, Packed.read(recipe.held_out), recipe.views)
    pupil.train()
    row = {"step": step, "loss": f"{np.mean(losses):.4f}"} | {name: f"{value:.4f}" for name, value in scores.items()}
    log, kept = recipe.run / "log.csv", []
    if log.exists():  # lines beyond the step come from a run that ended before it could keep its state
        with log.open(newline="") as file:
            kept = [line for line in csv.DictReader(file) if int(line["step"]) < step]
    with log.open("w", newline="") as file:
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerows([*kept, row])
    state = {"pupil": pupil.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    torch.save(state, recipe.run / "last.part")
    (recipe.run / "last.part").replace(recipe.run / "last.ckpt")
    print(" ".join(f"{name} {value}" for name, value in row.items()), flush=True)


def train(recipe: Recipe) -> None:
    """Run the recipe to its end, or for `minutes`."""
    torch.set_num_threads(recipe.threads)
    recipe.run.mkdir(parents=True, exist_ok=True)
    packed = Packed.read(recipe.packed)
    pupil, optimiser, step = open_run(recipe)
    losses: list[float] = []
    until = time.monotonic() + 60 * recipe.minutes
    while step < recipe.steps and time.monotonic() < until:
        for group in optimiser.param_groups:
            group["lr"] = rate(recipe, step)
        loss = loss_of(recipe, pupil, make_views(packed, recipe.views, step))
        loss.backward()
        nn.utils.clip_grad_norm_(pupil.parameters(), recipe.clip)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
        step += 1
        if step % recipe.check_every == 0 or step == recipe.steps:
            check(recipe, pupil, optimiser, step, losses)
            losses.clear()
    if losses:  # out of time
        check(recipe, pupil, optimiser, step, losses)


def main(recipe: Recipe) -> None:
    """Teach, or pack what was taught."""
    if not recipe.pack:
        return train(recipe)
    pupil, _, step = open_run(recipe)
    if not step:
        raise FileNotFoundError(f"{recipe.run / 'last.ckpt'} is not there: nothing was taught yet")
    card = pack(pupil, Packed.read(recipe.packed), Packed.read(recipe.held_out), recipe.views, step)
    print(card)


if __name__ == "__main__":
    main(auto_cli(Recipe, as_positional=False))
