"""Known answers of the published networks: weights by formula, recorded outputs, and the comparison.

The files lie in tests/fixtures/known_answers; what they hold was computed with the authors' own networks.
"""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parents[1] / "fixtures" / "known_answers"
PIECE = 1 << 20
"""Elements of a weight that are made at once: all of ECEA's largest would need 1 GiB on the way."""
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


def picture(channels: int, height: int, width: int, dtype: torch.dtype, phase: float = 0.0) -> Tensor:
    return torch.from_numpy(formula.image(channels, height, width, phase))[None].to(dtype)


def mask(height: int, width: int, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(formula.mask(height, width))[None].to(dtype)


def edges(height: int, width: int, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(formula.edges(height, width))[None].to(dtype)


def same(output: Tensor, recorded: dict[str, Any], tolerance: float) -> None:
    """Assert that one sample's plane(s) are what was recorded: shape, statistics, values.

    The tolerance is relative to 1, and to the value where that is larger, as in the middle of a network.
    """
    found = output.detach().double().numpy()
    assert list(found.shape) == recorded["shape"]
    for statistic in ("mean", "std", "min", "max"):
        if statistic in recorded:
            value = getattr(found, statistic)()
            assert abs(value - recorded[statistic]) <= tolerance * max(1, abs(value)), (statistic, value)
    values = np.array([found[tuple(place)] for place in recorded["positions"]])
    np.testing.assert_allclose(values, recorded["values"], rtol=tolerance, atol=tolerance)


def watch(network: nn.Module, names: list[str]) -> dict[str, list[Tensor]]:
    """Gets the outputs of the named submodules, call by call, when the network runs."""
    seen: dict[str, list[Tensor]] = {name: [] for name in names}
    modules = dict(network.named_modules())
    for name in names:
        modules[name].register_forward_hook(lambda _module, _inputs, output, name=name: seen[name].append(output))
    return seen


def same_step(output: Tensor, name: str, recorded: list[dict[str, Any]], tolerance: float) -> None:
    """Assert that the submodule gave what was recorded under the name; the message says which deviates."""
    step = next(step for step in recorded if step["module"] == name)
    try:
        same(output[0], step, tolerance)
    except AssertionError as difference:
        raise AssertionError(f"{name}: {difference}") from None


def write(target: Tensor, key: str, shape: tuple[int, ...], k: int, gain: float) -> None:
    """Write a weight by formula into a tensor of the network, large ones piece by piece."""
    if target.numel() <= PIECE:
        target.copy_(torch.from_numpy(np.asarray(formula.tensor(key, shape, k, gain))))
        return
    flat, scale = target.view(-1), gain * np.sqrt(3 / np.prod(shape[1:]))
    for start in range(0, len(flat), PIECE):
        # element i of tensor k is made from i * A + (k + 1) * B modulo 2 ** 32, so that starting later is another k
        later = (k + start * 0x9E3779B1 * pow(0x85EBCA77, -1, 2**32)) % 2**32
        part = flat[start : start + PIECE]
        part.copy_(torch.from_numpy(scale * formula.unit(len(part), later)))
