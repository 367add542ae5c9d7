"""Adversarial training from end to end, small: every shipped recipe learns, resumes, and lacks the published faults.

Faults are numbered as in the description of the published systems: S1.7 ECEA, S2.6 EdgeLearning, S3.9 SpA-GAN,
S4a CMUN, S4b the Sentinel-3 model.
"""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torchmetrics import MeanMetric

from tests.training.small_runs import (
    CUTS,
    adversarial_recipes,
    begun,
    first_batch,
    lesson_of,
    shipped,
    small,
    write_pictures,
)
from training import export, train_adversarial
from training.adversarial_recipe import PlateauRecipe, StageRecipe
from training.adversarial_state import is_over, open_run
from training.critics import CriticRecipe, PenaltyRecipe, penalty_at
from training.samples import Samples
from training.train_adversarial import learn_to_paint, train

CARD = Path("training/cards/anyband-s.json")


def test_every_shipped_recipe_is_tested_here():
    assert adversarial_recipes() == sorted(CUTS)


@pytest.mark.parametrize("name", CUTS)
def test_a_shipped_recipe_runs_and_leaves_what_it_says(name, tmp_path):
    """S4a faults 2 and 3, S2.6 fault 8, S3.9 fault 5: the published programs stop before or at their first step."""
    recipe = small(name, tmp_path)
    train(recipe)
    held = torch.load(recipe.run / "last.ckpt", weights_only=True)
    assert held["step"] == 2 and (recipe.run / "best.ckpt").is_file()
    for weights in (held["network"], held["average"], *held["critics"]):
        assert all(tensor.isfinite().all() for tensor in weights.values())
    assert list((recipe.run / "samples").glob("*.png")) and list((recipe.run / "log").rglob("events*"))
    (metrics,) = (recipe.run / "log").rglob("metrics.csv")
    told = metrics.read_text().splitlines()[0].split(",")
    assert {"loss", "score_real", "score_made", "hole_l1", "psnr", "ssim", "rate0", "rate1"} <= set(told)
    assert {f"loss_{term}" for term in recipe.stages[0].terms} <= set(told)


@pytest.mark.parametrize("name", CUTS)
def test_the_loss_of_a_shipped_recipe_falls_on_a_fixed_batch(name, tmp_path):
    """The Sentinel-3 model so small trembles more than it learns at the recipe's rate."""
    recipe = small(name, tmp_path, **({"rate": 1e-3} if name == "ocean_gated" else {}))
    run, batch, losses = begun(recipe), first_batch(recipe), []
    for _ in range(8):
        running = defaultdict(MeanMetric)
        learn_to_paint(recipe, run[0], run[1], lesson_of(recipe, run, batch), running)
        losses.append(float(running["loss"].compute()))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["ecea", "ocean_gated"])
def test_a_resumed_run_equals_an_uninterrupted_one(name, tmp_path, monkeypatch):
    """With dropout and drop path (ECEA); with random crops, a gradient penalty and a plateau (Sentinel-3)."""
    plateau = PlateauRecipe(factor=0.5, patience=0)
    recipe = small(name, tmp_path, steps=4, watched=1, plateau=plateau, run=tmp_path / "whole")
    train(recipe)
    broken = replace(recipe, run=tmp_path / "broken")
    real = Samples.batch

    def cut_off(self, step):
        if step == 3:
            raise KeyboardInterrupt
        return real(self, step)

    monkeypatch.setattr(Samples, "batch", cut_off)
    with pytest.raises(KeyboardInterrupt):
        train(broken)
    monkeypatch.undo()
    assert torch.load(broken.run / "last.ckpt", weights_only=True)["step"] == 2
    train(broken)
    one, two = (torch.load(each.run / "last.ckpt", weights_only=True) for each in (recipe, broken))
    for name in ("network", "average", "critics", "optimisers"):
        torch.testing.assert_close(one.pop(name), two.pop(name), rtol=0, atol=0)
    assert one == two and one["step"] == 4


def test_stages_follow_each_other_by_epoch_and_by_error_and_for_ever(tmp_path):
    """EdgeLearning's two stages, of which the public code has the second alone."""
    whole, holes = shipped("edge_learning_edges").stages
    assert (whole.shows, whole.distance, holes.shows, holes.distance) == ("fill", "l1", "holes", "l2")
    assert not is_over(whole, 99, 0.1) and is_over(whole, 100) and is_over(whole, 0, 0.0999)
    assert not is_over(holes, 10**6, 0.0)
    recipe = small("edge_learning_edges", tmp_path)
    early = replace(recipe, stages=(replace(whole, until_epoch=None, until_mape=10.0), holes))
    train(early)
    assert torch.load(recipe.run / "last.ckpt", weights_only=True)["stage"] == 1
    assert open_run(replace(recipe, stages=early.stages), begun(recipe)[0]).stage == 1
    by_epoch = replace(recipe, run=tmp_path / "epochs", stages=(replace(whole, until_epoch=1), holes))
    samples = train_adversarial.open_samples(recipe)[0]
    train(replace(by_epoch, steps=samples.steps_per_epoch + 1, check_every=10**6))
    assert torch.load(tmp_path / "epochs" / "last.ckpt", weights_only=True)["stage"] == 1


def test_in_the_second_stage_only_holes_count(tmp_path):
    recipe = small("edge_learning_edges", tmp_path)
    run, batch = begun(recipe), first_batch(recipe)
    lesson = replace(lesson_of(recipe, run, batch), shows="holes")
    made, real = lesson.shown()
    outside = (1 - lesson.holes).bool().expand_as(made)
    assert made[outside].eq(0).all() and real[outside].eq(0).all() and not torch.equal(made, real)


def test_the_image_generator_needs_edges_that_were_learnt(tmp_path):
    """S2.6 fault 8: the default run starts from files that are not there. Here the first recipe starts from nothing,
    the second from what the first one leaves, and says so where that is missing."""
    assert shipped("edge_learning_edges").begin is None
    edges = small("edge_learning_edges", tmp_path, run=tmp_path / "edges")
    image = small("edge_learning_image", tmp_path, begin=edges.run / "best.ckpt", run=tmp_path / "image")
    with pytest.raises(ValueError, match=r"best.ckpt`.*is not there"):
        train(image)
    train(edges)
    train(image)
    drawn, kept = (torch.load(one.run / "best.ckpt", weights_only=True)["average"] for one in (edges, image))
    for name, weight in drawn.items():
        if "edge_generator" in name:
            torch.testing.assert_close(kept[name], weight, rtol=0, atol=0)
    assert any(not torch.equal(kept[name], drawn[name]) for name in drawn if "image_generator" in name)


def test_the_penalty_changes_with_the_epoch():
    schedule = tuple(PenaltyRecipe(weight, from_epoch=epoch) for weight, epoch in ((2, 0), (25, 40), (10, 80)))
    recipe = CriticRecipe("ocean_gated", penalty=schedule)
    found = [penalty_at(recipe, epoch) for epoch in (0, 39, 40, 79, 80, 500)]
    assert [one.weight for one in found if one] == [2, 2, 25, 25, 10, 10]
    assert penalty_at(CriticRecipe("patch"), 3) is None


def test_learning_rates_fall_on_a_plateau(tmp_path):
    recipe = small("spa_gan", tmp_path, steps=3, check_every=1, plateau=PlateauRecipe(factor=0.1, patience=0))
    critic = replace(recipe.discriminators[0], rate=4.0)
    train(replace(recipe, rate=1e-4, discriminators=(critic,), ema=1.0))  # what is watched stays as it is
    held = torch.load(recipe.run / "last.ckpt", weights_only=True)
    rates = [memory["param_groups"][0]["lr"] for memory in held["optimisers"]]
    assert rates == pytest.approx([1e-6, 4e-6])


def test_published_values_stand_in_the_recipes():
    """The figures of the published command lines and configurations."""
    ecea, spa, cmun, ocean = (shipped(name) for name in ("ecea", "spa_gan", "cmun", "ocean_gated"))
    edges, image = shipped("edge_learning_edges"), shipped("edge_learning_image")
    assert (ecea.rate, ecea.betas, ecea.weight_decay, ecea.epochs) == (5e-4, (0.95, 0.9995), 1e-5, 500)
    assert (ecea.samples.batch, ecea.folds, ecea.discriminator_first) == (10, 5, False)
    assert {"adversarial": 1 / 5, "l1": 100 / 5, "edges": 80 / 5}.items() <= ecea.stages[0].terms.items()
    assert (spa.rate, spa.betas, spa.weight_decay, spa.epochs) == (4e-4, (0.5, 0.999), 1e-5, 200)
    assert (spa.samples.batch, spa.samples.side, spa.discriminator_first) == (1, 512, True)
    assert spa.stages[0].terms == {"adversarial": 1, "l1": 100, "attention": 1}
    assert (edges.rate, edges.betas, edges.epochs, edges.samples.batch) == (1e-4, (0.0, 0.9), 202, 2)
    assert edges.discriminators[0].rate * edges.rate == pytest.approx(1e-5)
    assert all(stage.terms == {"structure": 5, "matching": 20, "adversarial": 1} for stage in edges.stages)
    assert (edges.stages[0].until_epoch, edges.stages[0].until_mape) == (100, 0.1)
    assert (image.rate, image.betas, image.stages[0].terms["l1_by_share"]) == (1e-4, (0.0, 0.9), 0.1)
    assert (cmun.rate, cmun.discriminators[0].rate, cmun.samples.batch, cmun.epochs) == (1e-4, 4, 10, 10000)
    for recipe in (cmun, ocean):
        terms = recipe.stages[0].terms
        assert terms["adversarial"] == 0.005
        assert all(terms[f"{where}_l1"] == 1.2 for where in ("hole", "valid", "coarse_hole", "coarse_valid"))
    assert ocean.plateau and ocean.plateau.factor == 0.1 and ocean.samples.holes.share == (0.15, 0.25)
    assert [one.weight for one in ocean.discriminators[0].penalty] == [2, 25, 10]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"part": "half"}, "part `half`, expected one of edges, image, whole"),
        ({"mode": "repaired"}, "mode `repaired`, expected `as_published` or `corrected`"),
        ({"stages": (StageRecipe({"l3": 1}),)}, "loss term `l3`, expected some of adversarial"),
        ({"stages": (StageRecipe({"l1": 1}, distance="l7"),)}, "distance `l7`, expected some of l1, l2"),
        ({"discriminators": (CriticRecipe("patch", loss="hingee"),)}, "loss `hingee`, expected some of absolute"),
        ({"discriminators": ()}, "loss term `adversarial`, expected a discriminator"),
        ({"discriminators": (CriticRecipe("sharp"),)}, "discriminator `sharp`, expected one of cmun"),
        ({"folds": 1}, "nothing to watch, expected"),
    ],
)
def test_a_recipe_that_names_what_is_not_there_is_told_so(change, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        train(replace(small("spa_gan", tmp_path), **change))


def test_a_checkpoint_can_be_exported_with_a_card(tmp_path):
    recipe = small("spa_gan", tmp_path)
    train(recipe)
    card = export.export(recipe.run / "last.ckpt", CARD, tmp_path / "models")
    assert card.network == "spa_gan" and card.config == {"mode": "corrected", "bands": 3}


def test_other_pictures_are_watched_where_they_are_given(tmp_path):
    recipe = small("spa_gan", tmp_path)
    other = write_pictures(tmp_path / "other.npz", 3, count=3)
    learnt, watched = train_adversarial.open_samples(replace(recipe, folds=1, held_out=other, watched=9))
    assert len(learnt.names) == 10 and len(watched) == 3
