"""Torch modules and nothing else: no files, no rasters.

The contract of `forward(image, holes) -> dict`:

image: float (N, bands, rows, columns), normalised; anything in the holes, or a classical guess there when the
    class says `guess_in_holes = True`.
holes: float, 1 = fill, 0 = known, (N, 1 or bands, rows, columns).
Rows and columns divide by `multiple`; a pixel of the answer depends on nothing farther than `halo` pixels away
(`halo = None`: it depends on all of the input).
Answer: `fill`, shaped like image; `log_scale` (optional): logarithm of the expected absolute error, likewise; other
planes that a network draws on its way (`edges`, `attention`), (N, 1, rows, columns); pictures of earlier stages
(`coarse`, `refined`), for losses.
`mask` (optional), (N, 1, rows, columns) in [0, 1]: how surely the network takes a pixel for a hole, found by itself.
A class may say `span`, the values of the pictures that it was made for (else 0 to 1), and `bytes_a_pixel`, its need
of memory a pixel and band (else anyband's).
A class with a method `edges(image, holes)` paints along them, and takes them as a third argument of `forward`: where a
scene is shown to it three bands at a time, all get the edges of the mean over bands.
A class that says `sees_holes = True` wants the scene's own values in the holes: what lies there is what it removes.

Adding a network is a file and a line here.
"""

from importlib import import_module
from typing import Any

from torch import nn

NETWORKS: dict[str, str] = {
    "anyband": "anyband:Anyband",
    "cmun": "cmun:Cmun",
    "ecea": "ecea:Ecea",
    "edge_learning": "edge_learning:EdgeLearning",
    "ocean_gated": "ocean_gated:OceanGated",
    "simt": "simt:Simt",
    "simt_men": "simt:MaskExtraction",
    "spa_gan": "spa_gan:SpaGan",
}
"""name -> module:class, below this package."""


def build(name: str, config: dict[str, Any]) -> nn.Module:
    """A network with fresh weights.

    Raises:
        KeyError: there is no such network.
        TypeError: the config has a key that the network does not know, or lacks one.
    """
    network: nn.Module = kind(name)(**config)
    return network


def kind(name: str) -> type[nn.Module]:
    """The class of a network.

    Raises:
        KeyError: there is no such network.
    """
    module, _, called = NETWORKS[name].partition(":")
    found: type[nn.Module] = getattr(import_module(f".{module}", __name__), called)
    return found
