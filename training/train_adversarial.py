"""Train one of the published systems by a recipe; the loop is all here.

    python -m training.train_adversarial --config training/recipes/spa_gan.yaml [--steps N] [--run FOLDER] [--minutes M]

In each step a generator answers a batch, discriminators learn to tell its pictures from real ones, and it learns to
please them and the other loss terms of its recipe. A run is a folder: `last.ckpt` (weights, averaged weights,
discriminators, optimisers, step), `best.ckpt` (the least error over the holes of pictures that are not learnt
from), `log/` (CSV and TensorBoard, with pictures) and `samples/`. Started again with the same folder it goes on from
`last.ckpt`, and ends as an uninterrupted run does.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from jsonargparse import auto_cli
from lightning.fabric import Fabric
from lightning.fabric.loggers import CSVLogger, TensorBoardLogger
from matplotlib.image import imsave
from torch import Tensor
from torchmetrics import MeanMetric

from .adversarial import ADVERSARIAL, gradient_penalty
from .adversarial_recipe import Recipe
from .adversarial_state import State, is_over, open_run, save
from .critics import Critic, penalty_at
from .pictures import Pictures, split
from .samples import Batch, Samples
from .terms import DISTANCES, TERMS, Judged, Lesson, check_terms
from .watch import grid, scores

Running = dict[str, MeanMetric]
"""What is told at the next check, each the mean of the steps since the last one."""


def open_samples(recipe: Recipe) -> tuple[Samples, list[Batch]]:
    """What is learnt from, and the batches that are watched.

    Raises:
        ValueError: there is nothing to learn from or nothing to watch.
    """
    pictures = Pictures.open(recipe.pictures)
    learnt, watched = split(pictures, folds=recipe.folds, fold=recipe.fold, listed=recipe.listed)
    source = pictures
    if recipe.held_out:
        source = Pictures.open(recipe.held_out)
        watched = list(range(len(source)))
    if not watched:
        raise ValueError("nothing to watch, expected `held_out`, `listed`, or `folds` of 2 or more")
    return Samples(recipe.samples, pictures, learnt), Samples(recipe.samples, source, watched).watched(recipe.watched)


def learn_to_judge(recipe: Recipe, fabric: Fabric, state: State, lesson: Lesson, epoch: int, running: Running) -> None:
    """A step of each discriminator, on real pictures and on the ones made, which are cut from the generator's graph."""
    made, real = (picture.detach() for picture in lesson.shown())
    for one, critic, optimiser in zip(recipe.discriminators, state.critics, state.optimisers[1:], strict=True):
        scores_real = critic(real, lesson.image, lesson.holes).scores
        scores_made = critic(made, lesson.image, lesson.holes).scores
        loss = ADVERSARIAL[one.loss].discriminator(scores_real, scores_made)
        penalty = penalty_at(one, epoch)
        if penalty and penalty.weight:
            # not through Fabric: its half precision is too coarse for a second derivative
            judge = partial(_scores, critic.module, lesson)
            loss = loss + penalty.weight * gradient_penalty(judge, real, made, centre=penalty.centre)
        optimiser.zero_grad()
        fabric.backward(loss)
        optimiser.step()
        for name, value in (("judge", loss), ("score_real", scores_real), ("score_made", scores_made)):
            running[name].update(value.detach().mean().cpu())


def _scores(critic: Critic, lesson: Lesson, picture: Tensor) -> Tensor:
    scores: Tensor = critic(picture, lesson.image, lesson.holes).scores
    return scores


def loss_of(recipe: Recipe, state: State, lesson: Lesson, running: Running | None = None) -> Tensor:
    """What the generator pays for a lesson: its terms, weighted."""
    made, real = lesson.shown()
    terms = recipe.stages[state.stage].terms
    lesson.judged = []
    for one, critic in zip(recipe.discriminators, state.critics, strict=True):
        with torch.no_grad():
            steps = critic(real, lesson.image, lesson.holes).steps if "matching" in terms else []
        lesson.judged.append(Judged(one.loss, critic(made, lesson.image, lesson.holes), steps))
    total = made.new_zeros(())
    for name, weight in terms.items():
        term = TERMS[name](lesson)
        total = total + weight * term
        if running is not None:
            running[f"loss_{name}"].update(term.detach().cpu())
    return total


def learn_to_paint(recipe: Recipe, fabric: Fabric, state: State, lesson: Lesson, running: Running) -> None:
    """A step of the generator; discriminators say what they think and do not learn."""
    for critic in state.critics:
        critic.requires_grad_(False)
    loss = loss_of(recipe, state, lesson, running)
    state.optimisers[0].zero_grad()
    fabric.backward(loss)
    if recipe.clip:
        fabric.clip_gradients(state.generator, state.optimisers[0], max_norm=recipe.clip)
    state.optimisers[0].step()
    for critic in state.critics:
        critic.requires_grad_(True)
    state.average.update_parameters(state.generator.module.network)
    running["loss"].update(loss.detach().cpu())


def give_lesson(recipe: Recipe, fabric: Fabric, state: State, batch: Batch, features: Any) -> Lesson:
    """Let the generator answer a batch."""
    batch = batch.on(fabric.device)
    stage = recipe.stages[state.stage]
    return Lesson(
        state.generator.module.wanted(batch),
        state.generator(batch.image, batch.holes),
        stage.shows,
        DISTANCES[stage.distance],
        recipe.mode == "corrected",
        features,
        stage.band_weights,
    )


def check(recipe: Recipe, fabric: Fabric, state: State, watched: Sequence[Batch], running: Running, epoch: int) -> None:
    """Score the averaged weights on what is watched, log, draw, move on; keep the checkpoint if it is the best."""
    low, high = recipe.samples.values.ends
    batches = [batch.on(fabric.device) for batch in watched]
    found = scores(state.part, batches, low=low, high=high)
    told = {name: float(metric.compute()) for name, metric in running.items()} | found
    rates = {f"rate{number}": optimiser.param_groups[0]["lr"] for number, optimiser in enumerate(state.optimisers)}
    fabric.log_dict(told | rates | {"epoch": epoch, "stage": state.stage}, step=state.step)
    drawn = grid(state.part, batches, low=low, high=high).numpy()
    for logger in fabric.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image("pictures", drawn, state.step, dataformats="HWC")
        logger.save()
    (recipe.run / "samples").mkdir(exist_ok=True)
    imsave(recipe.run / "samples" / f"{state.step:07d}.png", drawn)
    for plateau in state.plateaus:
        plateau.step(found["hole_l1"])
    if state.stage + 1 < len(recipe.stages) and is_over(recipe.stages[state.stage], epoch, found["mape"]):
        state.stage += 1
    better = found["hole_l1"] < state.best
    state.best = min(state.best, found["hole_l1"])
    for name in ("last", "best") if better else ("last",):
        save(recipe, fabric, state, name)
    words = " ".join(f"{name} {value:.4g}" for name, value in told.items())
    fabric.print(f"step {state.step} epoch {epoch} stage {state.stage} {words}", flush=True)


def minutes_left(begun: float, now: float, first: int, step: int, steps: int) -> float:
    """Of the run, by the speed of the steps since this process began, at step `first`; times are in seconds."""
    return (now - begun) / max(step - first, 1) * (steps - step) / 60


def train(recipe: Recipe) -> None:
    """Run the recipe to its end, or for `minutes`."""
    torch.set_num_threads(recipe.threads)
    for stage in recipe.stages:
        check_terms(list(stage.terms), stage.distance, [one.loss for one in recipe.discriminators])
    logs = recipe.run / "log"
    fabric = Fabric(
        accelerator="auto",
        devices=1,
        precision=recipe.precision,  # type: ignore[arg-type]
        # a CSV for each time that the run goes on: the logger starts its file anew
        loggers=[CSVLogger(logs, name="csv"), TensorBoardLogger(logs, name="tensorboard", version="")],
    )
    fabric.launch()
    samples, watched = open_samples(recipe)
    state = open_run(recipe, fabric)
    features = fabric.setup_module(recipe.features.open()) if recipe.features else None
    steps = recipe.steps or recipe.epochs * samples.steps_per_epoch
    running: Running = defaultdict(MeanMetric)
    begun, first = time.monotonic(), state.step
    while state.step < steps and time.monotonic() < begun + 60 * recipe.minutes:
        epoch = state.step // samples.steps_per_epoch
        if state.stage + 1 < len(recipe.stages) and is_over(recipe.stages[state.stage], epoch):
            state.stage += 1
        # dropout and random crops too are what they would have been without an interruption
        torch.manual_seed(recipe.seed + state.step)
        lesson = give_lesson(recipe, fabric, state, samples.batch(state.step), features)
        if recipe.discriminator_first:
            learn_to_judge(recipe, fabric, state, lesson, epoch, running)
            learn_to_paint(recipe, fabric, state, lesson, running)
        else:
            learn_to_paint(recipe, fabric, state, lesson, running)
            learn_to_judge(recipe, fabric, state, lesson, epoch, running)
        state.step += 1
        if state.step % recipe.check_every == 0 or state.step == steps:
            check(recipe, fabric, state, watched, running, epoch)
            running.clear()
            left = minutes_left(begun, time.monotonic(), first, state.step, steps)
            fabric.print(f"about {left:.0f} minutes left", flush=True)
    save(recipe, fabric, state, "last")


if __name__ == "__main__":
    train(auto_cli(Recipe, as_positional=False))
