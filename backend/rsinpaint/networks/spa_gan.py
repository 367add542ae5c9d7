"""SpA-GAN: removes cloud from pictures of three bands without being told where it lies.

Spatial attention in four directions steers a chain of residual blocks (Pan, arXiv 2009.13015). Two modes:

as_published: what the published program computes and its weights were trained for. The weights that should decide
    between the four directions are in the file, but their products are thrown away.
corrected: the directions are weighted. The same tensors, so published weights load, but they were not trained so.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import SLOPE, is_corrected

WIDTH = 32
BLOCKS = 17
ATTENTION_BEFORE = (4, 7, 10, 13)
"""The map is made anew before these blocks, and holds for three; the last two blocks have none."""
STRIP = 64
"""Rows that a block works on at once: what lies between its steps then stays in the processor's cache. Measured at
512 x 512: attention 3.8 -> 0.8, block 0.65 -> 0.4 CPU seconds per Mpx."""


class SpaGan(nn.Module):
    """The generator. Looks at the holes: what lies under them is the cloud that it removes.

    Attributes have the names of the published files, less their `gen.gen.` in front.

    Args:
        bands: planes of a picture.
        mode: see above.
    """

    multiple = 1
    sees_holes = True
    """The values in the holes must be the scene's own, not a guess."""

    def __init__(self, *, bands: int = 3, mode: str = "corrected") -> None:
        super().__init__()
        corrected = is_corrected(mode)
        # a convolution 3 x 3 at both ends, two pixels a block; where directions are weighted, the weights of the
        # four maps look one pixel farther than the maps themselves
        self.halo = 2 + 2 * BLOCKS + (len(ATTENTION_BEFORE) if corrected else 0)
        self.conv_in = nn.Sequential(nn.Conv2d(bands, WIDTH, 3, padding=1, bias=False), nn.ReLU())
        self.SAM1 = _Attention(corrected)
        for number in range(1, BLOCKS + 1):
            setattr(self, f"res_block{number}", _Block())
        self.conv_out = nn.Sequential(nn.Conv2d(WIDTH, bands, 3, padding=1, bias=False))
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=0.02)

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        """See `networks` for the contract; `image` as red, green, blue in 0 to 1, `holes` are not looked at.

        Also gives `attention`, (N, 1, rows, columns) in 0 to 1: no cloud mask. The published weights were trained to
        mark what is darker than the truth.
        """
        attention, picture = self.restored(image.flip(1))
        return {"fill": picture.flip(1), "attention": attention}

    def restored(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The attention map and the picture without cloud, for a picture in the published order: blue, green, red."""
        x = self.conv_in(picture)
        attention = x.new_ones(())
        for number in range(1, BLOCKS + 1):
            if number in ATTENTION_BEFORE:
                attention = self.SAM1(x)
            block = self.get_submodule(f"res_block{number}")
            weighted = ATTENTION_BEFORE[0] <= number < ATTENTION_BEFORE[-1] + 3
            x = torch.addcmul(x, block(x), attention if weighted else x.new_ones(())).relu_()
        return attention, self.conv_out(x)


def _in_strips(step: Callable[[Tensor], Tensor], x: Tensor, reach: int) -> Tensor:
    """`step(x)`, computed strip by strip where that is faster; a row of it needs `reach` rows around."""
    rows = x.shape[2]
    if torch.is_grad_enabled() or x.device.type != "cpu" or rows <= STRIP:
        return step(x)
    parts = []
    for start in range(0, rows, STRIP):
        first, stop = max(start - reach, 0), min(start + STRIP, rows)
        part = step(x[:, :, first : min(stop + reach, rows)])
        parts.append(part[:, :, start - first : stop - first])
    return torch.cat(parts, dim=2)


class _Block(nn.Module):
    """1 x 1, 3 x 3 with dilation 2, 1 x 1; the caller adds the input."""

    def __init__(self) -> None:
        super().__init__()
        self.group1 = nn.Sequential()
        for number, (kernel, dilation) in enumerate(((1, 1), (3, 2), (1, 1)), start=1):
            padding = dilation * (kernel // 2)
            conv = nn.Conv2d(WIDTH, WIDTH, kernel, padding=padding, dilation=dilation, bias=False)
            self.group1.add_module(f"conv{number}", conv)
            if number < 3:
                self.group1.add_module(f"relu{number}", nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return _in_strips(self.group1, x, reach=2)


class _Attention(nn.Module):
    """One map in 0 to 1 from features that look one pixel in four directions, twice.

    `conv_in` does nothing in either mode; it is kept because the published files hold it.
    """

    def __init__(self, weighted: bool) -> None:
        super().__init__()
        self.weighted = weighted
        self.irnn1, self.irnn2 = _FourDirections(), _FourDirections()
        self.conv_in = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False)
        self.conv1 = nn.Conv2d(WIDTH, WIDTH, 1)
        self.conv2 = nn.Conv2d(4 * WIDTH, WIDTH, 1)
        self.conv3 = nn.Conv2d(4 * WIDTH, WIDTH, 1)
        self.attention_layer = _DirectionWeights()
        self.conv_out = nn.Conv2d(WIDTH, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return _in_strips(self._map, x, reach=3 if self.weighted else 2)

    def _map(self, x: Tensor) -> Tensor:
        shares = self.attention_layer(x) if self.weighted else None
        x = self.irnn1(self.conv1(x), self.conv2, shares)
        x = F.relu(self.irnn2(x, self.conv3, shares))
        return torch.sigmoid(self.conv_out(x))


class _FourDirections(nn.Module):
    """Each pixel takes over from its neighbour above, right, below and left: one step, not a sweep."""

    def __init__(self) -> None:
        super().__init__()
        for direction in ("left", "right", "up", "down"):
            setattr(self, f"{direction}_weight", nn.Conv2d(WIDTH, WIDTH, 1, groups=WIDTH))

    def forward(self, z: Tensor, mix: nn.Conv2d, shares: Tensor | None) -> Tensor:
        """`mix` of the four directions side by side, each weighted by its share where there are shares."""
        parts = []
        for number, (direction, axis, from_before) in enumerate(_STEPS):
            conv: nn.Conv2d = getattr(self, f"{direction}_weight")
            weight, bias = conv.parameters()
            part = _stepped(z, weight, bias, axis, from_before)
            parts.append(part if shares is None else part * shares[:, number : number + 1])
        answer: Tensor = mix(torch.cat(parts, dim=1))
        return answer


_STEPS = (("up", 2, True), ("right", 3, False), ("down", 2, False), ("left", 3, True))
"""Direction, its axis, and whether a pixel takes over from the one before it."""


def _stepped(z: Tensor, weight: Tensor, bias: Tensor, axis: int, from_before: bool) -> Tensor:
    """relu(z + weight * neighbour + bias); the line that has no neighbour stays as it is, without ReLU.

    The convolutions that hold weight and bias are not called: with one input a plane they are slow.
    """
    size = z.shape[axis] - 1
    weight, bias = weight.view(1, -1, 1, 1), bias.view(1, -1, 1, 1)
    rest, source = z.narrow(axis, int(from_before), size), z.narrow(axis, int(not from_before), size)
    moved = torch.addcmul(rest + bias, source, weight).relu_()
    raw = z.narrow(axis, 0 if from_before else size, 1)
    return torch.cat([raw, moved] if from_before else [moved, raw], dim=axis)


class _DirectionWeights(nn.Module):
    """Four maps in 0 to 1, one a direction: up, right, down, left."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(WIDTH, WIDTH // 2, 3, padding=1)
        self.conv2 = nn.Conv2d(WIDTH // 2, WIDTH // 2, 3, padding=1)
        self.conv3 = nn.Conv2d(WIDTH // 2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))))


class SpaGanDiscriminator(nn.Module):
    """Logits, one a 16 x 16 pixels, that say whether the candidate is the cloudless picture of the cloudy one.

    Attributes have the names of the published program, less their `dis.dis.` in front.
    """

    def __init__(self, *, bands: int = 3) -> None:
        super().__init__()
        self.c0_0, self.c0_1 = _Half(bands, 32, norm=False), _Half(bands, 32, norm=False)
        self.c1, self.c2, self.c3 = _Half(64, 128), _Half(128, 256), _Half(256, 512)
        self.c4 = nn.Conv2d(512, 1, 3, padding=1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.normal_(part.weight, std=0.02)

    def forward(self, cloudy: Tensor, candidate: Tensor) -> Tensor:
        """(N, 1, rows / 16, columns / 16) for two pictures (N, bands, rows, columns)."""
        x = torch.cat([self.c0_0(cloudy), self.c0_1(candidate)], dim=1)
        answer: Tensor = self.c4(self.c3(self.c2(self.c1(x))))
        return answer


class _Half(nn.Module):
    """Halves the sides: convolution 4 x 4, batch norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, *, norm: bool = True) -> None:
        super().__init__()
        self.c = nn.Conv2d(inputs, outputs, 4, 2, 1)
        self.batchnorm = nn.BatchNorm2d(outputs) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.batchnorm(self.c(x)), SLOPE)
