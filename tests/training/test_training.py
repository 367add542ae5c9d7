"""Training from end to end, small: pack, crops, steps, resume, export."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from jsonargparse import ArgumentParser

from rsinpaint.masks.simulate import fractal
from rsinpaint.models import registry
from training import crops, export, losses, optimiser, pack, train
from training.batches import make_batch
from training.store import Store

RECIPE = Path("training/recipes/anyband.yaml")
CARD = Path("training/cards/anyband-s.json")


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    """A folder of small scenes of three places, one with nodata."""
    folder = tmp_path_factory.mktemp("scenes")
    for number, (place, bands) in enumerate((("Alpha", 3), ("Beta", 1), ("Gamma", 4))):
        rng = np.random.default_rng(number)
        planes = np.stack([fractal((130, 150), rng, slope=1.3) for _ in range(bands)])
        values = (1000 + 300 * planes / planes.std()).astype(np.int16)
        if place == "Gamma":
            values[:, :3, :3] = -999
        profile = {"driver": "GTiff", "height": 130, "width": 150, "count": bands, "dtype": "int16", "nodata": -999}
        with rasterio.open(folder / f"{place}_X_1.tif", "w", **profile) as file:
            file.write(values)
    return folder


@pytest.fixture(scope="session")
def packed(scenes, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("packed") / "scenes.npz"
    assert pack.pack([scenes], output, frozenset({"Beta"})) == 2
    return output


@pytest.fixture
def recipe(packed, tmp_path) -> train.Recipe:
    """The shipped recipe, cut down to a few steps of a small network."""
    parser = ArgumentParser()
    parser.add_class_arguments(train.Recipe, None)
    parser.add_argument("--config", action="config")
    shipped = parser.instantiate_classes(parser.parse_args(["--config", str(RECIPE)]))
    fields = {name: value for name, value in vars(shipped).items() if name != "config"}
    small = {
        "run": tmp_path / "run",
        "packed": packed,
        "held_out": packed,
        "network_config": {"widths": [8, 8], "blocks": [1, 1]},
        "crops": replace(fields["crops"], side=64),
        "store": 24,
        "batches": replace(fields["batches"], planes=4, first_crops=8, fresh=1),
        "steps": 4,
        "check_every": 4,
        "threads": 1,
    }
    return train.Recipe(**(fields | small))


def test_a_pack_holds_the_scenes_and_what_is_valid(packed):
    with np.load(packed) as file:
        index = json.loads(str(file["scenes"]))
        assert [scene["place"] for scene in index] == ["Alpha", "Gamma"]
        assert file["values_0"].shape == (3, 130, 150) and file["values_0"].dtype == np.int16
        assert not file["valid_1"][:, :3, :3].any() and file["valid_1"].sum() == 4 * (130 * 150 - 9)


def test_a_crop_depends_on_its_number_alone_and_keeps_known_pixels(packed, recipe):
    scenes = crops.Packed.read(packed)
    first, again, other = (crops.make_crop(scenes, recipe.crops, number) for number in (3, 3, 4))
    np.testing.assert_array_equal(first.start, again.start)
    assert first.truth.shape != other.truth.shape or (first.truth != other.truth).any()
    np.testing.assert_array_equal(first.start[~first.holes], first.truth[~first.holes])
    assert first.holes.any() and (first.start != first.truth)[first.holes].any()


def test_a_batch_depends_on_its_step_alone(recipe):
    store = Store(recipe.run / "crops", recipe.packed, recipe.crops, recipe.store)
    store.fill()
    first, again = make_batch(recipe.batches, store, 5), make_batch(recipe.batches, store, 5)
    torch.testing.assert_close(first.truth, again.truth, rtol=0, atol=0)
    known = first.holes == 0
    torch.testing.assert_close(first.start[known], first.truth[known])
    with pytest.raises(ValueError, match="another recipe"):
        Store(recipe.run / "crops", recipe.packed, replace(recipe.crops, seed=9), recipe.store)


def test_a_resumed_run_equals_an_uninterrupted_one_and_leaves_its_logs(recipe, tmp_path):
    train.train(recipe)
    interrupted = tmp_path / "interrupted"
    _stopped_after(2, replace(recipe, run=interrupted))
    train.train(replace(recipe, run=interrupted))
    one, two = (torch.load(run / "last.ckpt", weights_only=True) for run in (recipe.run, interrupted))
    assert one["step"] == two["step"] == recipe.steps
    for name, weight in one["network"].items():
        torch.testing.assert_close(two["network"][name], weight, rtol=0, atol=0)
    assert list((recipe.run / "log").rglob("metrics.csv")) and list((recipe.run / "log").rglob("events*"))
    assert list((recipe.run / "samples").glob("*.png"))


def _stopped_after(steps: int, recipe: train.Recipe) -> None:
    """Run a recipe and break off after some steps, as a power cut at a checkpoint would."""
    seen = 0
    real = train.make_batch

    def counted(*arguments):
        nonlocal seen
        if seen == steps:
            raise KeyboardInterrupt
        seen += 1
        return real(*arguments)

    train.make_batch = counted
    try:
        with pytest.raises(KeyboardInterrupt):
            train.train(replace(recipe, check_every=steps))
    finally:
        train.make_batch = real


def test_the_shipped_recipe_s_loss_falls(recipe):
    short = replace(recipe, steps=60, check_every=1000, warm_up=5, store=24, squared_from=2.0)
    store = Store(short.run / "crops", short.packed, short.crops, short.store)
    store.fill()
    batch = make_batch(short.batches, store, 0)
    from lightning.fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1)
    state = train.open_run(short, fabric)
    first = float(train.loss_of(short, state.network, batch, 0))
    for _ in range(25):
        loss = train.loss_of(short, state.network, batch, 0)
        fabric.backward(loss)
        for one in state.optimisers:
            one.step()
            one.zero_grad()
    assert float(train.loss_of(short, state.network, batch, 0)) < 0.97 * first


def test_an_exported_model_is_found_verified_and_used(recipe, tmp_path, monkeypatch):
    train.train(recipe)
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path / "models"))
    card = export.export(recipe.run / "last.ckpt", CARD, tmp_path / "models")
    assert registry.find("anyband-s").weights == card.weights
    registry.verify(card)
    assert card.trained_on.endswith("4 steps")
    again = export.export(recipe.run / "last.ckpt", CARD, tmp_path / "models")
    assert again.weights == card.weights


def test_the_rate_rises_and_falls(recipe):
    longer = replace(recipe, steps=1000, warm_up=10)
    assert train.rate(longer, 0) == pytest.approx(0.1, rel=0.01)
    assert train.rate(longer, 10) > train.rate(longer, 500) > train.rate(longer, 999)
    assert train.rate(longer, 999) == pytest.approx(longer.last_rate, rel=0.05)


def test_losses_by_hand():
    truth = torch.zeros(1, 1, 2, 2)
    fill = torch.tensor([[[[3.0, 4.0], [100.0, 0.0]]]])
    holes = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    assert losses.hole_l1(fill, truth, holes).item() == pytest.approx(3.5)
    assert losses.hole_rmse(fill, truth, holes).item() == pytest.approx(math.sqrt(12.5), rel=1e-4)
    # scale 2: |e| / 2 + log 2, mean of 3 and 4
    log_scale = torch.full_like(fill, math.log(2))
    assert losses.laplace_nll(log_scale, fill, holes).item() == pytest.approx(1.75 + math.log(2))


def test_the_laplace_score_is_least_at_the_mean_absolute_error_and_bends_no_fill():
    fill = torch.tensor([[[[3.0, 5.0]]]], requires_grad=True)
    holes = torch.ones(1, 1, 1, 2)
    scores = [float(losses.laplace_nll(torch.full((1, 1, 1, 2), math.log(s)), fill, holes)) for s in (3.5, 4.0, 4.5)]
    assert scores[1] < min(scores[0], scores[2])
    log_scale = torch.zeros(1, 1, 1, 2, requires_grad=True)
    losses.laplace_nll(log_scale, fill, holes).backward()
    assert fill.grad is None and log_scale.grad is not None


def test_muon_s_update_is_nearly_orthogonal():
    matrix = torch.randn(12, 40, generator=torch.Generator().manual_seed(0))
    singular = torch.linalg.svdvals(optimiser.orthogonal(matrix, steps=5))
    assert singular.min() > 0.5 and singular.max() < 1.5
    torch.testing.assert_close(optimiser.orthogonal(matrix.T, 5), optimiser.orthogonal(matrix, 5).T)


def test_every_weight_has_exactly_one_optimiser():
    from rsinpaint.networks import build

    network = build("anyband", {"widths": (8, 8), "blocks": (1, 1)})
    both = optimiser.optimisers(network, 0.01, 0.002)
    held = [id(weight) for one in both for group in one.param_groups for weight in group["params"]]
    assert sorted(held) == sorted(id(weight) for weight in network.parameters())
    assert all(weight.ndim >= 2 for weight in both[0].param_groups[0]["params"])
