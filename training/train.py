"""Train a network by a recipe; the loop is all here.

    python -m training.train --config training/recipes/anyband.yaml [--steps N] [--run FOLDER] [--minutes M]

A run is a folder: `last.ckpt` (weights, averaged weights, optimisers, step), `best.ckpt` (averaged weights with
the least error on the places held out), `log/` (CSV and TensorBoard) and `samples/` (pictures). Started again
with the same folder it goes on from `last.ckpt`, and sees what an uninterrupted run sees.
"""

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from lightning.fabric import Fabric
from lightning.fabric.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics import MeanMetric

from rsinpaint.networks import build

from .batches import Batch, BatchRecipe, crops_seen, make_batch
from .begin import grow, weights_in
from .crops import CropRecipe
from .evaluate import evaluate, picture
from .losses import hole_l1, hole_rmse, laplace_nll
from .optimiser import optimisers
from .store import Store


@dataclass(frozen=True)
class Recipe:
    """All that a run depends on."""

    run: Path
    packed: Path
    """Scenes to learn from, made by `training.pack`."""
    held_out: Path
    """Other places, for choosing the best checkpoint; never graded scenes."""
    network: str
    network_config: dict[str, Any]
    begin: Path | None = None
    """Weights of a smaller or equal network to begin with, safetensors or a checkpoint (see `begin.grow`); None: from
    nothing."""
    crops: CropRecipe = field(default_factory=CropRecipe)
    store: int = 12000
    """Crops made in all."""
    batches: BatchRecipe = field(default_factory=BatchRecipe)
    steps: int = 30000
    warm_up: int = 100
    muon: float = 0.01
    adamw: float = 0.002
    last_rate: float = 0.02
    """Fraction of the learning rate that is left at the end of the cosine."""
    squared_from: float = 0.8
    """Fraction of the steps after which the squared error takes over from the absolute one."""
    nll: float = 0.1
    ema: float = 0.999
    clip: float = 1.0
    precision: str = "32-true"
    seed: int = 0
    threads: int = 1
    """Of each device; on a CPU a process for each core learns faster than threads do."""
    devices: int = 1
    """GPUs, or processes on a CPU; each takes a batch of its own in each step."""
    check_every: int = 1000
    minutes: float = math.inf
    """Stop after so many minutes; the run can be resumed."""


@dataclass
class State:
    """What a checkpoint holds."""

    network: Any
    """As Fabric wraps it; the network itself is `.module`."""
    average: AveragedModel
    optimisers: list[Optimizer]
    step: int = 0
    best: float = math.inf


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate of a step as a fraction of its peak: linear rise, cosine fall."""
    rise = min(1.0, (step + 1) / max(recipe.warm_up, 1))
    fall = 0.5 + 0.5 * math.cos(math.pi * step / recipe.steps)
    return rise * (recipe.last_rate + (1 - recipe.last_rate) * fall)


def loss_of(recipe: Recipe, network: nn.Module, batch: Batch, step: int) -> Tensor:
    """The training loss: error over the holes, and how well the error was foreseen."""
    answer = network(batch.start, batch.holes)
    squared = step >= recipe.squared_from * recipe.steps
    error = (hole_rmse if squared else hole_l1)(answer["fill"] * batch.weight, batch.truth * batch.weight, batch.holes)
    if "log_scale" in answer:
        error = error + recipe.nll * laplace_nll(answer["log_scale"], answer["fill"] - batch.truth, batch.holes)
    return error


def open_run(recipe: Recipe, fabric: Fabric) -> State:
    """A fresh state, or the one that the run's folder holds."""
    fabric.seed_everything(recipe.seed, verbose=False)
    network = build(recipe.network, recipe.network_config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    last = recipe.run / "last.ckpt"
    if recipe.begin and not last.exists():
        grow(network, weights_in(recipe.begin))
    chosen = optimisers(network, recipe.muon, recipe.adamw)
    network, *chosen = fabric.setup(network, *chosen)
    average = AveragedModel(network.module, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    state = State(network, average, chosen)
    if last.exists():
        held = fabric.load(last)
        network.module.load_state_dict(held["network"])
        average.load_state_dict(held["average"])
        for optimiser, memory in zip(chosen, held["optimisers"], strict=True):
            optimiser.load_state_dict(memory)
        state.step, state.best = held["step"], held["best"]
    return state


def save(recipe: Recipe, fabric: Fabric, state: State, name: str) -> None:
    """Write a checkpoint under its name at once or not at all."""
    path = recipe.run / f"{name}.ckpt"
    content = {
        "network": state.network.module.state_dict(),
        "average": state.average.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in state.optimisers],
        "step": state.step,
        "best": state.best,
        "recipe": {"network": recipe.network, "config": recipe.network_config, "guess": recipe.crops.guess},
    }
    fabric.save(path.with_suffix(".part"), content)
    if fabric.is_global_zero:
        path.with_suffix(".part").replace(path)


def check(recipe: Recipe, fabric: Fabric, state: State, loss: float) -> None:
    """Score the averaged weights on the places held out, log, draw, and keep the checkpoint if it is the best."""
    scores = evaluate(state.average.module, recipe.held_out, recipe.crops)
    fabric.log_dict({"loss": loss, "rate": rate(recipe, state.step), **scores}, step=state.step)
    for logger in fabric.loggers:
        logger.save()
    if fabric.is_global_zero:
        picture(state.average.module, recipe.held_out, recipe.crops, recipe.run / "samples" / f"{state.step:07d}.png")
    better = -scores["gain"] < state.best
    if better:
        state.best = -scores["gain"]
    save(recipe, fabric, state, "last")
    if better:
        save(recipe, fabric, state, "best")
    told = " ".join(f"{name} {value:.3f}" for name, value in scores.items())
    fabric.print(f"step {state.step} loss {loss:.4f} {told}", flush=True)


def train(recipe: Recipe) -> None:
    """Run the recipe to its end, or for `minutes`."""
    torch.set_num_threads(recipe.threads)
    logs = recipe.run / "log"
    fabric = Fabric(
        accelerator="auto",
        devices=recipe.devices,
        precision=recipe.precision,  # type: ignore[arg-type]
        # a CSV for each time that the run goes on: the logger starts its file anew
        loggers=[CSVLogger(logs, name="csv"), TensorBoardLogger(logs, name="tensorboard", version="")],
    )
    fabric.launch()
    store = Store(recipe.run / "crops", recipe.packed, recipe.crops, recipe.store)
    maker = store.start_filling() if fabric.is_global_zero else None
    state = open_run(recipe, fabric)
    running, until = MeanMetric(), time.monotonic() + 60 * recipe.minutes
    while state.step < recipe.steps and time.monotonic() < until:
        store.wait_for(crops_seen(recipe.batches, store, state.step), maker)
        batch = make_batch(recipe.batches, store, state.step, fabric.global_rank)
        batch = Batch(*(fabric.to_device(tensor) for tensor in vars(batch).values()))
        for optimiser in state.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate(recipe, state.step) * group.setdefault("peak", group["lr"])
        loss = loss_of(recipe, state.network, batch, state.step)
        fabric.backward(loss)
        nn.utils.clip_grad_norm_(state.network.parameters(), recipe.clip)
        for optimiser in state.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        state.average.update_parameters(state.network.module)
        running.update(loss.detach().cpu())
        state.step += 1
        if state.step % recipe.check_every == 0 or state.step == recipe.steps:
            check(recipe, fabric, state, float(running.compute()))
            running.reset()
    save(recipe, fabric, state, "last")
    if maker:
        maker.terminate()


if __name__ == "__main__":
    train(auto_cli(Recipe, as_positional=False))
