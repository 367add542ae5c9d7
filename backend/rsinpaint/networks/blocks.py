"""What two or more of the published networks share."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.2
"""Of every leaky ReLU in these networks."""
Norm = tuple[float, float]
"""(eps, momentum) of a batch norm."""
Weighted = TypeVar("Weighted", nn.Conv2d, nn.Linear)


def one_mask(holes: Tensor) -> Tensor:
    """(N, 1, rows, columns), 1 where any band has a hole: the published networks know one mask for all bands."""
    return holes.amax(dim=1, keepdim=True)


def spectral(layer: Weighted) -> Weighted:
    """Bound the gain of a layer: its weight is divided by its largest singular value, one iteration a step."""
    bounded: Weighted = nn.utils.spectral_norm(layer, eps=1e-12)
    return bounded


class PatchDiscriminator(nn.Module):
    """Scores overlapping patches of 70 x 70 pixels: five convolutions 4 x 4 with spectral norm.

    The first block stands under two names, `conv1` and `features`, as in the published files; one storage.

    Args:
        inputs: planes of a picture.
        sigmoid: scores in (0, 1), as published; False: logits.
    """

    def __init__(self, *, inputs: int = 3, sigmoid: bool = True) -> None:
        super().__init__()
        self.sigmoid = sigmoid
        self.conv1 = _patch_step(inputs, 64, 2)
        self.features = self.conv1
        self.conv2 = _patch_step(64, 128, 2)
        self.conv3 = _patch_step(128, 256, 2)
        self.conv4 = _patch_step(256, 512, 1)
        self.conv5 = nn.Sequential(spectral(nn.Conv2d(512, 1, 4, 1, 1, bias=False)))

    def forward(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores, one a patch, and the answers of the five steps (the last one before the sigmoid)."""
        steps: list[Tensor] = []
        for step in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
            steps.append(step(steps[-1] if steps else picture))
        return torch.sigmoid(steps[-1]) if self.sigmoid else steps[-1], steps


def _patch_step(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(spectral(nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False)), nn.LeakyReLU(SLOPE))


class Gated(nn.Module):
    """Gated convolution: LReLU(f(x)) * sigmoid(g(x)), then batch norm on the product.

    Args:
        grow: nearest neighbour x 2 first.
        active: False leaves the LReLU out (output layers).
        norm: of the product; None: none.
        groups: into which planes are parted, in and out.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        *,
        grow: bool = False,
        active: bool = True,
        norm: Norm | None = (1e-5, 0.1),
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.grow, self.active = grow, active
        padding = {5: 2, 4: 1, 3: dilation}[kernel]
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups)
        self.gate = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups)
        self.bn = nn.BatchNorm2d(outputs, *norm) if norm else nn.Identity()
        for conv in (self.conv, self.gate):
            nn.init.kaiming_normal_(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        if self.grow:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        value = self.conv(x)
        if self.active:
            value = F.leaky_relu(value, SLOPE)
        answer: Tensor = self.bn(value * torch.sigmoid(self.gate(x)))
        return answer


def gated_encoder(inputs: int, width: int, norm: Norm) -> list[nn.Module]:
    """From `inputs` planes to 4 * width at a quarter of the resolution."""
    c, d, e = width, 2 * width, 4 * width
    return [
        Gated(inputs, c, 5, norm=norm),
        Gated(c, c, 4, 2, norm=norm),
        Gated(c, d, norm=norm),
        Gated(d, d, 4, 2, norm=norm),
        Gated(d, e, norm=norm),
        Gated(e, e, norm=norm),
        Gated(e, e, norm=norm),
    ]


def gated_decoder(outputs: int, width: int, norm: Norm, *, norm_last: bool) -> list[nn.Module]:
    """From 4 * width planes at a quarter of the resolution to `outputs`; `norm_last`: see GatedStages."""
    c, d, e = width, 2 * width, 4 * width
    return [
        Gated(e, e, norm=norm),
        Gated(e, e, norm=norm),
        Gated(e, d, grow=True, norm=norm),
        Gated(d, d, norm=norm),
        Gated(d, c, grow=True, norm=norm),
        Gated(c, c // 2, norm=norm),
        Gated(c // 2, outputs, active=False, norm=norm if norm_last else None),
    ]


class GatedStages(nn.Module):
    """The layers of a coarse-to-fine generator of gated convolutions: `coarse`, `refine`, `attention`, `upsample`.

    Args:
        inputs: planes into each stage; `outputs`: planes out of each.
        width: planes after the first layer; the deepest have four times as many.
        norm: of the batch norms.
        norm_last: also one after each stage's last layer, which ties the spread of the answer to that of the
            pictures of the training.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, *, norm: Norm, norm_last: bool, attention: nn.Module
    ) -> None:
        super().__init__()
        c, d, e = width, 2 * width, 4 * width

        def dilated() -> list[nn.Module]:
            return [Gated(e, e, dilation=dilation, norm=norm) for dilation in (2, 4, 8, 16)]

        self.coarse = nn.Sequential(
            Gated(inputs, c, 5, norm=norm),
            Gated(c, d, 4, 2, norm=norm),
            Gated(d, d, norm=norm),
            Gated(d, e, 4, 2, norm=norm),
            Gated(e, e, norm=norm),
            Gated(e, e, norm=norm),
            *dilated(),
            *gated_decoder(outputs, width, norm, norm_last=norm_last),
        )
        self.refine = nn.Sequential(*gated_encoder(inputs, width, norm), *dilated())
        self.attention = attention
        self.upsample = nn.Sequential(*gated_decoder(outputs, width, norm, norm_last=norm_last))


class SelfAttention(nn.Module):
    """Adds to each pixel a mean of all pixels, weighted by likeness; `gamma` says how much and starts at 0.

    Softmax of query . key without scaling, as published. The matrix of all pairs is never made.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.query = nn.Conv2d(width, width // 8, 1)
        self.key = nn.Conv2d(width, width // 8, 1)
        self.value = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.gamma * self.mixed(x) + x

    def mixed(self, x: Tensor) -> Tensor:
        """The means alone, shaped like x."""
        query, key, value = (_tokens(part(x)) for part in (self.query, self.key, self.value))
        # zeros change no product; only equal widths and contiguous planes get the kernels that save memory
        short = value.shape[-1] - query.shape[-1]
        query, key = F.pad(query, (0, short)), F.pad(key, (0, short))
        mixed = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return mixed[:, 0].transpose(1, 2).reshape(x.shape)


def _tokens(x: Tensor) -> Tensor:
    """(N, 1, rows * columns, planes): one head."""
    return x.flatten(2).transpose(1, 2).unsqueeze(1).contiguous()


class SpectralDown(nn.Module):
    """Convolution 4 x 4 with stride 2 and spectral norm, LReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = spectral(nn.Conv2d(inputs, outputs, 4, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x), SLOPE)


def spectral_ladder(widths: Sequence[int], attention_after: int | None = None) -> nn.Sequential:
    """Halvings from `widths[0]` planes on; self-attention after that many of them."""
    steps: list[nn.Module] = []
    for count, (fine, coarse) in enumerate(pairwise(widths), start=1):
        steps.append(SpectralDown(fine, coarse))
        if count == attention_after:
            steps.append(SelfAttention(coarse))
    return nn.Sequential(*steps)


def corners(holes: Tensor, side: int) -> list[tuple[int, int]]:
    """Where to crop each sample to a square of `side` pixels so that it shows as much of the hole as can be.

    Args:
        holes: (N, 1, rows, columns), 1 = hole; both sides at least `side`.

    Returns:
        (first row, first column) a sample; a hole that fits into the square lies in it whole. Without holes: (0, 0).
    """
    # sums of ones are exact in float64: equal squares stay equal, and the first of them is taken
    held = F.avg_pool2d(holes.double(), side, stride=1, divisor_override=1).round()
    width = held.shape[-1]
    return [divmod(int(best), width) for best in held.flatten(1).argmax(dim=1)]


def crop(planes: Tensor, places: Sequence[tuple[int, int]], side: int) -> Tensor:
    """(N, planes, side, side): from each sample the square whose first row and column are given."""
    squares = [(slice(None), slice(row, row + side), slice(column, column + side)) for row, column in places]
    return torch.stack([plane[square] for plane, square in zip(planes, squares, strict=True)])


def is_corrected(mode: str) -> bool:
    """True for `corrected`, False for `as_published`: with the faults of the public code that change results.

    Raises:
        ValueError: it is neither.
    """
    if mode not in ("as_published", "corrected"):
        raise ValueError(f"mode `{mode}`, expected `as_published` or `corrected`")
    return mode == "corrected"
