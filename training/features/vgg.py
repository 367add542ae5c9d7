"""VGG16 with batch norms and VGG19, the convolutional part: Simonyan and Zisserman, arXiv:1409.1556, table 1, D and E.

Layers are numbered as in torchvision's `features`, so that its weights fit: convolution, batch norm where there is
one, ReLU, and a pooling at the end of each block.
"""

from collections.abc import Sequence

from torch import Tensor, nn

VGG16, VGG19 = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)
"""Convolutions of each block."""


class Vgg(nn.Module):
    """Features of pictures (N, 3, rows, columns); no ImageNet normalisation is done here.

    Args:
        blocks: convolutions of each block.
        norm: batch norms; they always use the statistics in the file, never those of the batch.
        width: planes of the first block, 64 as published; the next ones have 2, 4, 8, 8 times as many.
    """

    planes = 3
    """Planes of a picture that it takes."""

    def __init__(self, *, blocks: Sequence[int], norm: bool, width: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.places: dict[str, int] = {}
        fine = 3
        for block, count in enumerate(blocks, start=1):
            coarse = width * min(1 << (block - 1), 8)
            for number in range(1, count + 1):
                layers.append(nn.Conv2d(fine, coarse, 3, 1, 1))
                layers += [nn.BatchNorm2d(coarse)] if norm else []
                self.places[f"relu{block}_{number}"] = len(layers)
                layers.append(nn.ReLU())  # not in place: features taken before it would be rectified
                fine = coarse
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.taps = tuple(self.places)
        """`relu1_1`: after the first ReLU of the first block, and so on."""
        self.train()

    def forward(self, picture: Tensor, taps: Sequence[str] | None = None) -> list[Tensor]:
        """Features at the named taps, in their order; None: at all. Layers beyond the last one are not run."""
        taps = self.taps if taps is None else taps
        wanted = {self.places[tap] for tap in taps}
        steps: dict[int, Tensor] = {}
        x = picture
        for number in range(max(wanted, default=-1) + 1):
            x = self.features[number](x)
            if number in wanted:
                steps[number] = x
        return [steps[self.places[tap]] for tap in taps]

    def train(self, mode: bool = True) -> "Vgg":
        """Stays in evaluation, also as a part of something that is trained."""
        return super().train(False)
