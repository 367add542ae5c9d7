"""ImageNet weights of VGG from a file with torchvision's key names, which the user names."""

from pathlib import Path

import torch

from rsinpaint.errors import JobError
from rsinpaint.models.importers.contract import State, read_state

from .vgg import VGG16, VGG19, Vgg

REMEDY = "Name a file of ImageNet weights saved with torchvision's key names (`vgg16_bn-....pth`, `vgg19-....pth`)"
COUNTER = "num_batches_tracked"
"""Ends the keys that older files lack and that nothing depends on."""


def load_vgg16_bn(weights: Path | None) -> Vgg:
    """VGG16 with batch norms. Raises JobError, see `load`."""
    return load(_empty(VGG16, norm=True), "vgg16_bn", weights)


def load_vgg19(weights: Path | None) -> Vgg:
    """VGG19. Raises JobError, see `load`."""
    return load(_empty(VGG19, norm=False), "vgg19", weights)


def load(network: Vgg, name: str, weights: Path | None) -> Vgg:
    """Give the network the weights of the file; what follows the convolutions (`classifier.`) is left out.

    Raises:
        JobError: no file is named (code `model_missing`), it cannot be read, or its convolutions are not exactly
            those of the network (`model_corrupt`). Nothing but tensors is unpickled.
    """
    if weights is None:
        raise JobError(f"Feature network `{name}` comes without weights", remedy=REMEDY, code="model_missing")
    if not weights.is_file():
        what = f"The weights file `{weights}` of feature network `{name}` is missing"
        raise JobError(what, remedy=REMEDY, code="model_missing")
    try:
        state = read_state(weights)
    except JobError as problem:
        raise JobError(problem.what, problem.expected, REMEDY, code="model_corrupt") from None
    found = {key: tensor for key, tensor in state.items() if key.startswith("features.") and not key.endswith(COUNTER)}
    wanted = {key: tensor for key, tensor in network.state_dict().items() if not key.endswith(COUNTER)}
    _check(weights, name, found, wanted)
    network.load_state_dict(found, strict=False)  # what is missing are the counters
    return network


def _empty(blocks: tuple[int, ...], *, norm: bool) -> Vgg:
    """Without fresh weights, which take seconds to draw; every tensor is then written by `load`."""
    with torch.device("meta"):
        network = Vgg(blocks=blocks, norm=norm)
    network.to_empty(device="cpu")
    for name, counter in network.named_buffers():
        if name.endswith(COUNTER):
            counter.zero_()
    return network


def _check(path: Path, name: str, found: State, wanted: State) -> None:
    """Raise JobError unless both have the same keys and shapes."""
    if found.keys() != wanted.keys():
        shared = len(found.keys() & wanted.keys())
        odd = sorted(found.keys() ^ wanted.keys(), key=lambda key: (int(key.split(".")[1]), key))
        first = f", the first difference at `{odd[0]}`" if found else ""
        what = f"`{path.name}` has {shared} of the {len(wanted)} tensors of `{name}` and {len(found) - shared} others"
        raise JobError(what + first, "exactly those", REMEDY, code="model_corrupt")
    for key, tensor in found.items():
        if tensor.shape != wanted[key].shape:
            what = f"`{path.name}`: tensor `{key}` has the shape {list(tensor.shape)}"
            raise JobError(what, f"{list(wanted[key].shape)} for `{name}`", REMEDY, code="model_corrupt")
