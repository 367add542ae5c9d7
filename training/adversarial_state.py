"""What an adversarial run holds, how it begins, and how it is kept."""

import math
from dataclasses import dataclass
from typing import Any

from lightning.fabric import Fabric
from torch import nn
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rsinpaint.networks import build, kind

from .adversarial_recipe import Recipe, StageRecipe
from .begin import weights_in
from .critics import Critic, with_mode
from .parts import PARTS, Whole


@dataclass
class State:
    """What a checkpoint holds. Fabric has wrapped the modules; they themselves are `.module`."""

    generator: Any
    average: AveragedModel
    critics: list[Any]
    optimisers: list[Any]
    """The generator's, then one for each critic."""
    plateaus: list[ReduceLROnPlateau]
    step: int = 0
    stage: int = 0
    best: float = math.inf

    @property
    def part(self) -> Whole:
        """The part that learns, on the averaged weights."""
        return type(self.generator.module)(self.average.module)


def open_run(recipe: Recipe, fabric: Fabric) -> State:
    """A fresh state, or the one that the run's folder holds.

    Raises:
        ValueError: the recipe names a part, a discriminator, a mode or weights to begin with that are not there.
    """
    if recipe.part not in PARTS:
        raise ValueError(f"part `{recipe.part}`, expected one of {', '.join(PARTS)}")
    fabric.seed_everything(recipe.seed, verbose=False)
    network = build(recipe.network, with_mode(kind(recipe.network), recipe.network_config, recipe.mode))
    last = recipe.run / "last.ckpt"
    if recipe.begin and not last.exists():
        network.load_state_dict(weights_in(recipe.begin))
    part = PARTS[recipe.part](network).train()
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema))
    judges = [Critic(one, recipe.mode).train() for one in recipe.discriminators]
    optimisers: list[Optimizer] = [_adam(recipe, part, 1.0)]
    optimisers += [_adam(recipe, judge, one.rate) for one, judge in zip(recipe.discriminators, judges, strict=True)]
    falls = recipe.plateau
    plateaus = [ReduceLROnPlateau(o, factor=falls.factor, patience=falls.patience) for o in optimisers] if falls else []
    set_up = [fabric.setup(*pair) for pair in zip([part, *judges], optimisers, strict=True)]
    modules, wrapped = [pair[0] for pair in set_up], [pair[1] for pair in set_up]
    state = State(modules[0], average.to(fabric.device), modules[1:], wrapped, plateaus)
    if last.exists():
        _restore(state, fabric.load(last))
    return state


def _adam(recipe: Recipe, module: nn.Module, factor: float) -> Adam:
    learning = [weight for weight in module.parameters() if weight.requires_grad]
    return Adam(learning, lr=recipe.rate * factor, betas=recipe.betas, weight_decay=recipe.weight_decay)


def _restore(state: State, held: dict[str, Any]) -> None:
    state.generator.module.network.load_state_dict(held["network"])
    state.average.load_state_dict(held["average"])
    for name in ("critics", "optimisers", "plateaus"):
        for one, memory in zip(getattr(state, name), held[name], strict=True):
            (one.module if name == "critics" else one).load_state_dict(memory)
    state.step, state.stage, state.best = held["step"], held["stage"], held["best"]


def save(recipe: Recipe, fabric: Fabric, state: State, name: str) -> None:
    """Write a checkpoint under its name at once or not at all; `training.export` reads it."""
    path = recipe.run / f"{name}.ckpt"
    config = with_mode(kind(recipe.network), recipe.network_config, recipe.mode)
    content = {
        "network": state.generator.module.network.state_dict(),
        "average": state.average.state_dict(),
        "critics": [critic.module.state_dict() for critic in state.critics],
        "optimisers": [optimiser.state_dict() for optimiser in state.optimisers],
        "plateaus": [plateau.state_dict() for plateau in state.plateaus],
        "step": state.step,
        "stage": state.stage,
        "best": state.best,
        "recipe": {"network": recipe.network, "config": config, "guess": None},
    }
    fabric.save(path.with_suffix(".part"), content)
    path.with_suffix(".part").replace(path)


def is_over(stage: StageRecipe, epoch: int, mape: float | None = None) -> bool:
    """True when the next stage should begin: by the epoch, or by the relative error where one was measured."""
    late = stage.until_epoch is not None and epoch >= stage.until_epoch
    return late or (stage.until_mape is not None and mape is not None and mape < stage.until_mape)
