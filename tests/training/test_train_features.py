"""How the feature network of our own is taught, from views to the files that are shipped."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser

from tests.training.made_places import made_places
from training import train_features
from training.crops import Packed
from training.features import build
from training.features.packing import level, pack
from training.features.strata import Strata
from training.features.views import DAMAGES, ViewRecipe, damaged, make_views

RECIPE = Path("training/recipes/features.yaml")


@pytest.fixture(scope="module")
def scenes() -> Packed:
    return made_places()


def test_views_depend_on_the_step_alone_and_partners_share_their_ground(scenes):
    recipe = ViewRecipe(pairs=6, side=32, shift=0, half_resolution=0, gain=0, offset=0, damages=("none",))
    views, again, other = (make_views(scenes, recipe, step) for step in (5, 5, 6))
    assert torch.equal(views.crops, again.crops) and not torch.equal(views.crops, other.crops)
    assert views.crops.shape == (12, 1, 32, 32) and views.damages.eq(0).all()
    flat = views.crops.flatten(1)
    likeness = torch.corrcoef(flat).abs()
    partners = torch.arange(12).roll(6)
    assert float(likeness[torch.arange(12), partners].min()) > 0.9  # bands of one ground, whatever their sign
    assert float(likeness.median()) < 0.5


def test_damages_do_what_they_say(scenes):
    plane = make_views(scenes, ViewRecipe(pairs=1, damages=("none",)), 0).crops[0, 0].numpy()
    for kind in DAMAGES:
        made = damaged(plane, kind, np.random.default_rng(0))
        assert made.shape == plane.shape and (kind == "none") == np.array_equal(made, plane)
    rough = {kind: np.diff(damaged(plane, kind, np.random.default_rng(0))).std() for kind in ("none", "blur", "noise")}
    assert rough["blur"] < rough["none"] < rough["noise"]
    rows = damaged(plane, "rows", np.random.default_rng(0))
    changed = (rows != plane).any(axis=1)
    assert 0.1 < changed.mean() < 0.6 and not changed[0]
    with pytest.raises(KeyError, match="damage `fire`"):
        damaged(plane, "fire", np.random.default_rng(0))


def test_the_contrastive_loss_by_hand():
    """Two pairs of equal vectors at right angles: e^(1/t) against two of e^0."""
    vectors = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert float(train_features.contrastive(vectors, 0.5)) == pytest.approx(expected)
    assert float(train_features.contrastive(vectors.roll(1, 0)[[0, 1, 3, 2]], 0.5)) > expected


def test_levelled_features_have_a_mean_square_of_one_and_tell_the_same():
    torch.manual_seed(0)
    network, crops = Strata(widths=(4, 6, 8)), torch.randn(5, 1, 24, 24)
    before = network(crops)
    level(network, crops)
    for old, new in zip(before, network(crops), strict=True):
        assert float(new.detach().square().mean()) == pytest.approx(1, rel=1e-4)
        torch.testing.assert_close(new, old / old.square().mean().sqrt(), rtol=1e-3, atol=1e-4)


@pytest.fixture
def recipe(scenes, tmp_path) -> train_features.Recipe:
    """The shipped recipe, cut down to a few steps of a small network."""
    parser = ArgumentParser()
    parser.add_class_arguments(train_features.Recipe, None)
    parser.add_argument("--config", action="config")
    shipped = parser.instantiate_classes(parser.parse_args(["--config", str(RECIPE)]))
    fields = {name: value for name, value in vars(shipped).items() if name != "config"}
    packed = tmp_path / "scenes.npz"
    index, arrays = [], {}
    for number, ((values, valid),) in enumerate(scenes.places):
        index.append({"place": f"place{number}"})
        arrays |= {f"values_{number}": values, f"valid_{number}": valid}
    np.savez(packed, scenes=np.array(json.dumps(index)), **arrays)
    views = replace(fields["views"], pairs=6, side=24, shift=8)
    small = {"run": tmp_path / "run", "packed": packed, "held_out": packed, "widths": (4, 8), "views": views}
    return train_features.Recipe(**(fields | small | {"steps": 6, "warm_up": 2, "check_every": 2}))


def test_a_resumed_run_equals_an_uninterrupted_one(recipe, tmp_path, monkeypatch):
    train_features.train(recipe)
    real, stopped = train_features.make_views, replace(recipe, run=tmp_path / "stopped")

    def until(packed, views, step):
        if views.seed == recipe.views.seed and step == 3:  # past the last check: step 2 is done again
            raise KeyboardInterrupt
        return real(packed, views, step)

    monkeypatch.setattr(train_features, "make_views", until)
    with pytest.raises(KeyboardInterrupt):
        train_features.train(stopped)
    monkeypatch.setattr(train_features, "make_views", real)
    train_features.train(stopped)
    one, two = (torch.load(run / "last.ckpt", weights_only=True) for run in (recipe.run, stopped.run))
    assert one["step"] == two["step"] == 6
    for name, weight in one["pupil"].items():
        torch.testing.assert_close(two["pupil"][name], weight, rtol=0, atol=0)
    logs = [(run / "log.csv").read_text() for run in (recipe.run, stopped.run)]
    assert logs[0].splitlines()[0] == "step,loss,ground,damage" and logs[0].count("\n") == 4
    assert [line.split(",")[0] for line in logs[1].splitlines()] == ["step", "2", "4", "6"]


def test_the_shipped_recipe_s_loss_falls(recipe, scenes):
    pupil, optimiser, _ = train_features.open_run(recipe)
    views = make_views(scenes, recipe.views, 0)
    first = float(train_features.loss_of(recipe, pupil, views).detach())
    for _ in range(30):
        optimiser.zero_grad()
        train_features.loss_of(recipe, pupil, views).backward()
        optimiser.step()
    assert float(train_features.loss_of(recipe, pupil, views).detach()) < 0.9 * first


def test_what_is_packed_is_what_was_taught(recipe, scenes, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing was taught yet"):
        train_features.main(replace(recipe, pack=True))
    train_features.main(recipe)
    pupil, _, step = train_features.open_run(recipe)
    card = json.loads(pack(pupil, scenes, scenes, recipe.views, step, tmp_path).read_text())
    assert card["trained_on"].startswith("3 places") and "6 steps of 12 crops of 24 px" in card["trained_on"]
    network = build("strata", tmp_path / card["weights"]["file"])
    crops = make_views(scenes, recipe.views, 9).crops
    for ours, theirs in zip(network(crops), pupil.network(crops), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.01, atol=0.01)  # half precision
