"""The Sentinel-3 reflectance model: coarse-to-fine gated convolutions for the bands of an ocean colour scene.

RS-ML-Hub/cloud-ML-data-recovery; eleven OLCI bands there, any fixed number here. Written from the description of
the layers. The second stage works at twice the resolution and its answer is shrunk to the scene's.

`as_published` computes what the authors' code does. `corrected`: attention sums over the axis along which it is
normalised and keeps samples apart; the answer takes the mean and spread of the known pixels, not of the
picture with zeros in its holes (a bias that grows with the hole); it is shrunk by averages, not by maxima.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import GatedStages, SelfAttention, crop, is_corrected, one_mask, spectral_ladder

LOCAL_SIDE = 128
"""Pixels of the square that the local discriminator sees, at twice the scene's resolution."""


class OceanGated(GatedStages):
    """The generator. Attention and statistics look at the whole picture, so there is no halo; published window 256.

    Args:
        bands: of the scene, 11 as published.
        width: planes after the first layer.
        mode: `corrected` or `as_published`.
    """

    guess_in_holes = False
    multiple = 4
    halo = None

    def __init__(self, *, bands: int = 11, width: int = 32, mode: str = "corrected") -> None:
        self_attention = SelfAttention(4 * width) if is_corrected(mode) else MixingAttention(4 * width)
        # 0.01: what Keras calls a momentum of 0.99
        super().__init__(bands + 1, bands, width, norm=(1e-3, 0.01), norm_last=True, attention=self_attention)
        self.bands, self.corrected = bands, is_corrected(mode)

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        """See `networks` for the contract; each band of each sample is scaled by the span of its known pixels.

        Beside `fill`: `coarse` (shaped like image) and `refined` (twice the rows and columns), for the losses;
        all three in the units of `image`.
        """
        mask = one_mask(holes)
        low, span = _span(image, mask)
        scaled = (image - low) / span * (1 - mask)
        coarse, refined, small = self.generate(torch.cat([scaled, mask], dim=1))
        return {"fill": small * span + low, "coarse": coarse * span + low, "refined": refined * span + low}

    def generate(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The published interface: (bands scaled to [0, 1] and 0 in holes, mask) -> coarse, refined x 2, refined."""
        bands, mask = x[:, : self.bands], x[:, self.bands :]
        coarse = self.coarse(x)
        complete = torch.cat([coarse * mask + bands * (1 - mask), mask], dim=1)
        deep = self.attention(self.refine(_doubled(complete)))
        refined = self._like_input(self.upsample(deep), _doubled(bands), _doubled(mask))
        return coarse, refined, F.avg_pool2d(refined, 2) if self.corrected else F.max_pool2d(refined, 2)

    def _like_input(self, refined: Tensor, bands: Tensor, mask: Tensor) -> Tensor:
        """Give each band the mean and spread that the input has."""
        trusted = (1 - mask if self.corrected else torch.ones_like(mask)).expand_as(bands)
        mean, spread = _statistics(bands, trusted)
        own_mean, own_spread = _statistics(refined, trusted)
        return (refined - own_mean) * spread / (own_spread + 1e-4) + mean


class MixingAttention(SelfAttention):
    """Self-attention as published: the sums run over the wrong axis, and in a batch samples are mixed."""

    def forward(self, x: Tensor) -> Tensor:
        count, width, rows, columns = x.shape
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        likeness = torch.softmax(query.transpose(1, 2) @ key, dim=-1)
        mixed = (value @ likeness).permute(2, 0, 1).reshape(count, rows, columns, width).permute(0, 3, 1, 2)
        return self.gamma * mixed + x


class Discriminator(nn.Module):
    """A local and a global view of the enlarged picture, one score.

    `as_published`: the local view is one crop for ever (here the top left one), the score a tanh.
    `corrected`: in training each step crops anew, anywhere; the score is a logit.

    Args:
        side: of the enlarged picture, in pixels; divides by 128.
    """

    def __init__(self, *, bands: int = 11, side: int = 512, width: int = 8, mode: str = "corrected") -> None:
        super().__init__()
        self.corrected = is_corrected(mode)
        widths = (bands + 1, width, 2 * width, *[4 * width] * 5)
        self.local = spectral_ladder(widths[:-1], attention_after=6)
        self.whole = spectral_ladder(widths, attention_after=7)
        self.head = nn.Linear(4 * width * ((LOCAL_SIDE >> 6) ** 2 + (side >> 7) ** 2), 1)

    def forward(self, picture: Tensor, mask: Tensor) -> Tensor:
        """Scores (N, 1) of pictures (N, bands, side, side) with masks (N, 1, side, side)."""
        planes = torch.cat([picture, mask], dim=1)
        near = self.local(crop(planes, self.places(planes), LOCAL_SIDE)).flatten(1)
        score: Tensor = self.head(torch.cat([near, self.whole(planes).flatten(1)], dim=1))
        return score if self.corrected else torch.tanh(score)

    def places(self, planes: Tensor) -> list[tuple[int, int]]:
        """First row and column of each sample's local view."""
        count, _, rows, columns = planes.shape
        if not (self.corrected and self.training):
            return [(0, 0)] * count
        row = torch.randint(rows - LOCAL_SIDE + 1, (count,)).tolist()
        column = torch.randint(columns - LOCAL_SIDE + 1, (count,)).tolist()
        return list(zip(row, column, strict=True))


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _span(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Least known value and width of the known values, (N, bands, 1, 1); a band without a span gets the width 1."""
    hole = mask.expand_as(image) > 0
    low = image.masked_fill(hole, torch.inf).amin((2, 3), keepdim=True)
    high = image.masked_fill(hole, -torch.inf).amax((2, 3), keepdim=True)
    empty = ~torch.isfinite(low) | ~torch.isfinite(high)
    span = (high - low).masked_fill(empty, 0)
    return low.masked_fill(empty, 0), torch.where(span > 0, span, torch.ones_like(span))


def _statistics(planes: Tensor, trusted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation over the trusted pixels, (N, bands, 1, 1); finite where there are none."""
    count = trusted.sum((2, 3), keepdim=True).clamp(min=1)
    mean = (planes * trusted).sum((2, 3), keepdim=True) / count
    variance = ((planes - mean).square() * trusted).sum((2, 3), keepdim=True) / count
    return mean, (variance + 1e-12).sqrt()  # not 0: its root has no slope there
