"""Feature networks for perceptual and style losses. None of them learns while it is used.

The contract: `planes`, how many planes of a picture it takes (1 or 3); `taps`, the names of the places where features
can be taken, in order; `forward(picture, taps) -> list`, features (N, width, rows, columns) at the named taps.

Adding a feature network is a file and a line here.
"""

from importlib import import_module
from pathlib import Path

from torch import nn

FEATURES: dict[str, str] = {
    "strata": "strata_file:load",
    "vgg16_bn": "vgg_file:load_vgg16_bn",
    "vgg19": "vgg_file:load_vgg19",
}
"""name -> module:function of the weights file, below this package."""


def build(name: str, weights: Path | None = None) -> nn.Module:
    """A feature network with its weights, frozen.

    Args:
        name: key of `FEATURES`.
        weights: file of the weights; None: the bundled ones, which only `strata` has. For VGG a file of ImageNet
            weights with the key names of torchvision (`features.0.weight`), `.pth` or `.safetensors`.

    Raises:
        KeyError: there is no such network.
        JobError: there are no weights, or the file holds others.
    """
    module, _, function = FEATURES[name].partition(":")
    network: nn.Module = getattr(import_module(f".{module}", __name__), function)(weights)
    return network.requires_grad_(False).eval()
