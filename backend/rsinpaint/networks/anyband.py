"""anyband: one set of weights for any number of bands.

Each band goes through the same U-Net and sees the others through the mean over bands, so the order of the
bands does not matter and their number is free. The network starts from a classical guess in the holes and
predicts what the guess misses (the residual), and how far off it expects to be.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LOG_SCALE_LIMITS = (-6.0, 4.0)


class Anyband(nn.Module):
    """U-Net over half-resolution features, exchanging the mean over bands at every scale.

    Args:
        widths: features at 1/2, 1/4, 1/8 ... of the resolution.
        blocks: residual blocks on each way down at these scales; as many on the way up but at the coarsest.
    """

    guess_in_holes = True

    def __init__(self, *, widths: tuple[int, ...] = (24, 32, 48), blocks: tuple[int, ...] = (1, 1, 2)) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ValueError(f"{len(widths)} widths and {len(blocks)} blocks, expected as many of each")
        self.multiple = 2 ** len(widths)
        self.halo = _reach(blocks)
        self.stem = nn.Conv2d(2 * 4, widths[0], 3, padding=1)
        self.down = nn.ModuleList(Blocks(width, count) for width, count in zip(widths, blocks, strict=True))
        steps = list(pairwise(widths))
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in steps)
        self.grow = nn.ModuleList(nn.Conv2d(coarse, fine * 4, 1) for fine, coarse in steps)
        self.up = nn.ModuleList(Blocks(width, count) for width, count in zip(widths[:-1], blocks[:-1], strict=True))
        self.head = nn.Conv2d(widths[0], 2 * 4, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        if self.head.bias is not None:
            nn.init.zeros_(self.head.bias)

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        """See `networks` for the contract; the output has `fill` and `log_scale`, both shaped like `image`."""
        count, bands = image.shape[:2]
        x = self.stem(_halved(image, holes))
        skips = []
        for level, down in enumerate(self.down):
            x = down(x, bands)
            if level < len(self.shrink):
                skips.append(x)
                x = self.shrink[level](x)
        for level in reversed(range(len(self.up))):
            x = skips[level] + F.pixel_shuffle(self.grow[level](x), 2)
            x = self.up[level](x, bands)
        out = F.pixel_shuffle(self.head(x), 2).unflatten(0, (count, bands))
        return {"fill": image + out[:, :, 0], "log_scale": out[:, :, 1].clamp(*LOG_SCALE_LIMITS)}


def _halved(image: Tensor, holes: Tensor) -> Tensor:
    """Image and holes of each band at half the resolution, (N x bands, 8, rows / 2, columns / 2)."""
    planes = torch.stack([image, holes.expand_as(image)], dim=2).flatten(0, 1)
    return F.pixel_unshuffle(planes.contiguous(memory_format=torch.channels_last), 2)


class Blocks(nn.Module):
    """Residual blocks in a row, each followed by what the bands tell each other."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(count))

    def forward(self, x: Tensor, bands: int) -> Tensor:
        for block in self.blocks:
            x = block(x, bands)
        return x


class Block(nn.Module):
    """conv, GELU, conv, plus a 1 x 1 convolution of the mean over bands that every band gets."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.exchange = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, bands: int) -> Tensor:
        hidden = F.gelu(self.first(x))
        # sums in place and one by one: a mean over a strided axis costs as much as a convolution on a CPU
        mean = hidden[0::bands].clone()
        for band in range(1, bands):
            mean += hidden[band::bands]
        shared = self.exchange(mean / bands)
        step = self.second(hidden)
        step.unflatten(0, (-1, bands)).add_(shared.unsqueeze(1))
        return step.add_(x)


def _reach(blocks: tuple[int, ...]) -> int:
    """Pixels from which a pixel of the fill can be reached: two 3 x 3 convolutions a block, both ways."""
    reach = 2 + 2  # stem and head at half resolution
    for level, count in enumerate(blocks):
        ways = 1 if level == len(blocks) - 1 else 2
        reach += ways * count * 2 * 2 ** (level + 1)
    return reach + 2 ** len(blocks)  # and where the pixel lies in its coarsest cell
