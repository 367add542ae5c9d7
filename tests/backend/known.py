"""Known answers of the published networks: weights by formula, recorded outputs, and the comparison.

The files lie in tests/fixtures/known_answers; what they hold was computed with the authors' own networks.
"""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parents[1] / "fixtures" / "known_answers"
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5}


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


formula = _loaded(FOLDER / "formula.py")


def answers(name: str) -> dict[str, Any]:
    """What is recorded of a network."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="ascii"))


def keys(name: str) -> list[tuple[str, tuple[int, ...], str]]:
    """Key, shape, dtype of each entry of the published state dictionary, in the authors' order."""
    return formula.read_keys(str(FOLDER / "keys" / f"{name}.txt"))


def state(name: str, gain: float) -> dict[str, Tensor]:
    """The state dictionary under the published keys, by formula, in float64."""
    made = formula.state_from_keys(str(FOLDER / "keys" / f"{name}.txt"), gain)
    return {key: torch.from_numpy(np.asarray(value)) for key, value in made.items()}


def renamed(entries: dict[str, Any], ours: Callable[[str], str]) -> dict[str, Any]:
    return {ours(key): value for key, value in entries.items()}


def picture(channels: int, height: int, width: int, dtype: torch.dtype, phase: float = 0.0) -> Tensor:
    return torch.from_numpy(formula.image(channels, height, width, phase))[None].to(dtype)


def mask(height: int, width: int, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(formula.mask(height, width))[None].to(dtype)


def edges(height: int, width: int, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(formula.edges(height, width))[None].to(dtype)


def same(output: Tensor, recorded: dict[str, Any], tolerance: float) -> None:
    """Assert that one sample's plane(s) are what was recorded: shape, statistics, values."""
    found = output.detach().double().numpy()
    assert list(found.shape) == recorded["shape"]
    for statistic in ("mean", "std", "min", "max"):
        if statistic in recorded:
            value = getattr(found, statistic)()
            assert abs(value - recorded[statistic]) <= tolerance, (statistic, value, recorded[statistic])
    values = np.array([found[tuple(place)] for place in recorded["positions"]])
    np.testing.assert_allclose(values, recorded["values"], rtol=0, atol=tolerance)


def watch(network: nn.Module, names: list[str]) -> list[Tensor]:
    """Gets the outputs of the named submodules, in the order in which they are called, when the network runs."""
    seen: list[Tensor] = []
    modules = dict(network.named_modules())
    for name in names:
        modules[name].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    return seen


def same_steps(seen: list[Tensor], recorded: list[dict[str, Any]], tolerance: float) -> None:
    """Assert that the submodules gave what was recorded, one after the other."""
    assert len(seen) == len(recorded)
    for output, step in zip(seen, recorded, strict=True):
        same(output[0], step, tolerance)
