"""The shipped adversarial recipes, cut down to pictures and networks that a CPU learns from in seconds."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from jsonargparse import auto_cli
from lightning.fabric import Fabric
from safetensors.torch import save_file

from rsinpaint.masks.simulate import fractal
from training.adversarial_recipe import Recipe
from training.adversarial_state import State, open_run
from training.features.strata import Strata
from training.samples import Batch
from training.terms import FeatureRecipe, Lesson
from training.train_adversarial import give_lesson, open_samples

FOLDER = Path("training/recipes")
PLACES = 10
EDGES = {"bands": 3, "layout": "edge_learning", "width": 8, "blocks": 1}
CUTS: dict[str, dict[str, Any]] = {
    "cmun": {"side": 128, "network": {"bands": 3, "width": 4}, "judge": {"bands": 3, "side": 128}},
    "ecea": {"side": 64, "network": {"size": 64, "embed": 16}, "judge": {}},
    "edge_learning_edges": {"side": 32, "network": EDGES, "judge": {}},
    "edge_learning_image": {"side": 32, "network": EDGES, "judge": {}, "begin": None},
    "ocean_gated": {
        "side": 64,
        "network": {"bands": 4, "width": 4},
        "judge": {"bands": 4, "side": 128, "width": 4},
    },
    "simt": {
        "side": 128,
        "network": {"bands": 3, "width": 8},
        "judge": {"bands": 3, "side": 128, "local_side": 64, "width": 8},
    },
    "spa_gan": {"side": 32, "network": {"bands": 3}, "judge": {}},
}
"""Name of a recipe -> side of its pictures, network, what changes in discriminators, and other fields."""


def adversarial_recipes() -> list[str]:
    """Names of the shipped recipes that have discriminators."""
    every = {path.stem: yaml.safe_load(path.read_text()) for path in FOLDER.glob("*.yaml")}
    return sorted(name for name, fields in every.items() if "discriminators" in fields)


def write_pictures(path: Path, bands: int, *, side: int = 136, taller: int = 8, count: int = PLACES) -> Path:
    """An .npz like `training.prepare`'s: 8-bit pictures of as many places, higher than wide, and hazy partners."""
    arrays: dict[str, np.ndarray] = {}
    for number in range(count):
        rng = np.random.default_rng([bands, number])
        planes = np.stack([fractal((side + taller, side), rng, slope=1.4) for _ in range(bands)])
        values = (120 + 40 * planes / planes.std()).clip(0, 255).astype(np.uint8)
        arrays[f"values_{number}"], arrays[f"valid_{number}"] = values, np.ones(values.shape, bool)
        arrays[f"cloudy_{number}"] = (values // 2 + 110).astype(np.uint8)
    index = [{"name": f"P{number}_a", "place": f"P{number}"} for number in range(count)]
    np.savez(path, scenes=np.array(json.dumps(index)), **arrays)
    return path


def shipped(name: str) -> Recipe:
    """A recipe as the command line reads it from its file."""
    recipe: Recipe = auto_cli(Recipe, as_positional=False, args=["--config", str(FOLDER / f"{name}.yaml")])
    return recipe


def small(name: str, folder: Path, **changes: Any) -> Recipe:
    """The shipped recipe with its losses, rates and schedules, on small pictures in a folder."""
    recipe, cut = shipped(name), dict(CUTS[name])
    side, network, judge = cut.pop("side"), cut.pop("network"), cut.pop("judge")
    critics = tuple(replace(one, config=one.config | judge) for one in recipe.discriminators)
    features = FeatureRecipe(weights=_feature_weights(folder)) if recipe.features else None
    fields = {
        "run": folder / "run",
        "pictures": write_pictures(folder / "pictures.npz", network.get("bands", 3)),
        "network_config": recipe.network_config | network,
        "samples": replace(recipe.samples, side=side, batch=2),
        "discriminators": critics,
        "features": features,
        "steps": 2,
        "check_every": 2,
        "watched": 2,
    }
    return replace(recipe, **(fields | cut | changes))


def _feature_weights(folder: Path) -> Path:
    torch.manual_seed(0)
    save_file(Strata(widths=(4, 4, 4, 4)).state_dict(), folder / "strata.safetensors")
    return folder / "strata.safetensors"


def begun(recipe: Recipe) -> tuple[Fabric, State, Any]:
    """A run that is about to make its first step, and its loss on features."""
    fabric = Fabric(accelerator="cpu", devices=1)
    features = fabric.setup_module(recipe.features.open()) if recipe.features else None
    return fabric, open_run(recipe, fabric), features


def first_batch(recipe: Recipe) -> Batch:
    return open_samples(recipe)[0].batch(0)


def lesson_of(recipe: Recipe, run: tuple[Fabric, State, Any], batch: Batch, seed: int = 0) -> Lesson:
    """A lesson in which chance (dropout, crops) falls as the seed says."""
    torch.manual_seed(seed)
    return give_lesson(recipe, run[0], run[1], batch, run[2])
