"""Begin a run with weights that another run has found, in a network that has since grown."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

ADDS = ("second", "exchange")
"""Layers whose answer is added to the features: without weights a new block leaves its input as it is."""


def weights_in(path: Path) -> dict[str, Tensor]:
    """The weights of a model's safetensors file, or the averaged ones of a run's checkpoint.

    Raises:
        ValueError: the file is not there.
    """
    if not path.is_file():
        raise ValueError(f"`{path}`, whose weights are wanted, is not there; make it first: see the recipe")
    if path.suffix == ".safetensors":
        return load_file(path)
    held = torch.load(path, map_location="cpu", weights_only=True)["average"]
    return {name.removeprefix("module."): tensor for name, tensor in held.items() if name != "n_averaged"}


@torch.no_grad()
def grow(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give `network` the weights of a smaller one so that it answers as the smaller one did, and can learn more.

    Old channels come first. New ones are made by fresh weights and read by zeros, so that both can learn; a new
    block keeps its fresh first convolution, and what it adds starts at nothing.

    Raises:
        ValueError: the weights are of another kind of network, or of a larger one.
    """
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    if stray := sorted(set(weights) - set(own)):
        raise ValueError(f"{len(stray)} weights have no place in the network, for instance {stray[0]}")
    for name, tensor in own.items():
        if name not in weights:
            if name.split(".")[-2] in ADDS:
                tensor.zero_()
            continue
        old = weights[name]
        if old.ndim != tensor.ndim or any(had > has for had, has in zip(old.shape, tensor.shape, strict=True)):
            raise ValueError(f"{name}: weights of shape {tuple(old.shape)}, expected at most {tuple(tensor.shape)}")
        if old.ndim > 1:
            tensor[: old.shape[0], old.shape[1] :] = 0  # old outputs do not read new inputs
        tensor[tuple(slice(size) for size in old.shape)] = old.to(tensor.dtype)
