"""EdgeLearning: draws the edges of what is missing first, then the picture along them.

Two generators in a row, after EdgeConnect (Nazeri et al., arXiv 1901.00212); the satellite version draws black edges
on white from edges and mask alone, its parent white edges on black and looks at the grey picture, too. Two modes:

as_published: edges are taken from the picture as it is given, whatever lies in the holes, and masked afterwards. With
    the truth in the holes (as in its authors' test) something of it leaks to the rim.
corrected: what lies in the holes changes nothing.
"""

import torch
from torch import Tensor, nn

from .blocks import is_corrected, one_mask
from .canny import canny

LUMA = (0.2125, 0.7154, 0.0721)
"""Of red, green and blue in the grey picture from which edges are taken."""
CANNY = {
    "edge_learning": {"sigma": 0.7, "low": 0.05, "high": 0.1},
    "edge_connect": {"sigma": 2.0, "low": 0.1, "high": 0.2},
}


class EdgeLearning(nn.Module):
    """Both generators. Instance norm looks at all of the input: `halo` is None.

    Args:
        bands: planes of the picture.
        layout: `edge_learning` or `edge_connect`: whose edge generator and whose polarity of edges.
        mode: see above.
        width: planes of the first convolution.
        blocks: residual blocks of each generator.
    """

    multiple = 4
    halo = None

    def __init__(
        self,
        *,
        bands: int = 3,
        layout: str = "edge_learning",
        mode: str = "corrected",
        width: int = 64,
        blocks: int = 8,
    ) -> None:
        super().__init__()
        if layout not in CANNY:
            raise ValueError(f"layout {layout!r}, expected one of {', '.join(CANNY)}")
        self.layout, self.corrected = layout, is_corrected(mode)
        inputs = 2 if layout == "edge_learning" else 3
        self.edge_generator = EdgeGenerator(inputs=inputs, width=width, blocks=blocks)
        self.image_generator = ImageGenerator(bands=bands, width=width, blocks=blocks)

    def forward(self, image: Tensor, holes: Tensor, edges: Tensor | None = None) -> dict[str, Tensor]:
        """See `networks` for the contract; `image` in 0 to 1, three bands as red, green, blue.

        Also gives `edges`, (N, 1, rows, columns): drawn in the holes, taken from the picture elsewhere.
        """
        mask = one_mask(holes)
        edges = self.edges(image, holes) if edges is None else edges
        return {"fill": self.image_generator(painted_white(image, mask), edges), "edges": edges}

    def edges(self, image: Tensor, holes: Tensor) -> Tensor:
        """The edges that a picture is painted along, (N, 1, rows, columns)."""
        return self.drawn(image, one_mask(holes))

    def drawn(self, image: Tensor, mask: Tensor) -> Tensor:
        """Edges in the polarity of the layout, as the image generator wants them."""
        grey = luma(image)
        known = 1 - mask if self.corrected else torch.ones_like(mask)
        with torch.no_grad():
            found = canny(grey, known, **CANNY[self.layout]) * (1 - mask)
        if self.layout == "edge_learning":
            kept = 1 - found
            made = self.edge_generator(mask, kept)
        else:
            kept = found
            made = self.edge_generator(painted_white(grey, mask), kept, mask)
        # the published texts cut the edges out of the graph: the generators are trained side by side
        return made.detach() * mask + kept * (1 - mask)


class EdgeGenerator(nn.Module):
    """Edges in 0 to 1 from planes side by side: mask and known edges, or grey picture, known edges and mask."""

    def __init__(self, *, inputs: int = 2, width: int = 64, blocks: int = 8) -> None:
        super().__init__()
        self.encoder = _encoder(inputs, width, bounded=True)
        self.middle = nn.Sequential(*(_Block(4 * width, bounded=True) for _ in range(blocks)))
        self.decoder = _decoder(1, width, bounded=True)
        _fresh(self)

    def forward(self, *planes: Tensor) -> Tensor:
        x: Tensor = self.decoder(self.middle(self.encoder(torch.cat(planes, dim=1))))
        return torch.sigmoid(x)


class ImageGenerator(nn.Module):
    """A picture in 0 to 1 from one with white holes and its edges."""

    def __init__(self, *, bands: int = 3, width: int = 64, blocks: int = 8) -> None:
        super().__init__()
        self.encoder = _encoder(bands + 1, width, bounded=False)
        self.middle = nn.Sequential(*(_Block(4 * width, bounded=False) for _ in range(blocks)))
        self.decoder = _decoder(bands, width, bounded=False)
        _fresh(self)

    def forward(self, image: Tensor, edges: Tensor) -> Tensor:
        x: Tensor = self.decoder(self.middle(self.encoder(torch.cat([image, edges], dim=1))))
        return (torch.tanh(x) + 1) / 2


def painted_white(image: Tensor, mask: Tensor) -> Tensor:
    """1 in the holes, whatever lies there, also what is not finite."""
    return torch.where(mask > 0, 1.0, image)


def luma(image: Tensor) -> Tensor:
    """The grey picture of red, green, blue; of any other number of bands their mean."""
    if image.shape[1] != len(LUMA):
        return image.mean(dim=1, keepdim=True)
    weights = image.new_tensor(LUMA).view(1, -1, 1, 1)
    return (image * weights).sum(dim=1, keepdim=True)


class _Block(nn.Module):
    """Two convolutions, the first with dilation 2, each with instance norm; adds its input."""

    def __init__(self, width: int, *, bounded: bool) -> None:
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            return _bounded(nn.Conv2d(width, width, 3, dilation=dilation, bias=not bounded), bounded)

        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(2),
            conv(2),
            nn.InstanceNorm2d(width),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            conv(1),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def _encoder(inputs: int, width: int, *, bounded: bool) -> nn.Sequential:
    """Down to a quarter of the resolution."""
    steps: list[nn.Module] = [nn.ReflectionPad2d(3)]
    for conv in (
        nn.Conv2d(inputs, width, 7),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
    ):
        steps += [_bounded(conv, bounded), nn.InstanceNorm2d(conv.out_channels), nn.ReLU()]
    return nn.Sequential(*steps)


def _decoder(outputs: int, width: int, *, bounded: bool) -> nn.Sequential:
    """And up again; the last convolution is never bounded."""
    steps: list[nn.Module] = []
    for conv in (nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1), nn.ConvTranspose2d(2 * width, width, 4, 2, 1)):
        steps += [_bounded(conv, bounded), nn.InstanceNorm2d(conv.out_channels), nn.ReLU()]
    return nn.Sequential(*steps, nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7))


def _bounded(conv: nn.Module, bounded: bool) -> nn.Module:
    """With spectral norm, where `bounded`."""
    return nn.utils.spectral_norm(conv, eps=1e-12) if bounded else conv


def _fresh(network: nn.Module) -> None:
    """Fresh weights as published: N(0, 0.02), also under the spectral norm; biases 0."""
    for name, weight in network.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(weight)
        else:
            nn.init.normal_(weight, std=0.02)
