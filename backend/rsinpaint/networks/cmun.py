"""CMUN: coarse-to-fine gated convolutions with self-attention, for RGB pictures in [-1, 1].

Shao, Wang, Wu, Meng, Luo, IEEE GRSL 19, 2022. Written from the description of the layers.

`as_published` is what the authors' code computes. `corrected` leaves out the batch norm after the last layer of
each stage, which gives every answer the mean and spread of the training's pictures; and its discriminators end in
a linear layer whose logits the hinge loss needs, and look at the hole.
"""

import torch
from torch import Tensor, nn

from .blocks import GatedStages, SelfAttention, corners, crop, is_corrected, one_mask, spectral_ladder

LOCAL_SIDE = 128
"""Pixels of the square that the local discriminator sees."""


class Cmun(GatedStages):
    """The generator. Attention looks at the whole picture, so there is no halo; the published window is 256.

    Args:
        bands: planes of the picture, 3 as published.
        width: planes after the first layer.
        mode: `corrected` or `as_published`.
    """

    guess_in_holes = False
    span = (-1.0, 1.0)
    multiple = 4
    halo = None

    def __init__(self, *, bands: int = 3, width: int = 32, mode: str = "corrected") -> None:
        super().__init__(
            bands + 2,
            bands,
            width,
            norm=(1e-5, 0.1),
            norm_last=not is_corrected(mode),
            attention=SelfAttention(4 * width),
        )

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        """See `networks` for the contract; `fill` is the refined picture, `coarse` the first stage's, for its loss."""
        coarse, refined = self.generate(image, one_mask(holes))
        return {"fill": refined, "coarse": coarse}

    def generate(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The published interface: pictures in [-1, 1], masks (N, 1, rows, columns) -> coarse, refined in [-1, 1]."""
        known, ones = 1 - masks, torch.ones_like(masks)
        coarse = self.coarse(torch.cat([images * known + masks, masks, ones], dim=1)).clamp(-1, 1)
        filled = images * known + coarse * masks
        deep = self.attention(self.refine(torch.cat([filled, masks, ones], dim=1)))
        return coarse, self.upsample(deep).clamp(-1, 1)


class Discriminator(nn.Module):
    """Looks at a whole picture of `side` pixels, or at a square of 128 of it.

    Args:
        bands: planes of the picture.
        side: of the picture that is looked at, in pixels; divides by 128.
        local: one halving less.
        attention: self-attention before the last halving.
        mode: `corrected` answers logits (N, 1); `as_published` the features (N, 256 * (side / 128) ** 2) and
            leaves the linear layer unused; the features of the local one likewise (with side 128).
    """

    def __init__(
        self,
        *,
        bands: int = 3,
        side: int = 256,
        local: bool = False,
        attention: bool = False,
        mode: str = "corrected",
    ) -> None:
        super().__init__()
        self.corrected = is_corrected(mode)
        steps = 6 if local else 7
        widths = (bands + 2, 64, 128, 256, 256, 256, 256, 256)[: steps + 1]
        self.ladder = spectral_ladder(widths, attention_after=6 if attention else None)
        self.linear = nn.Linear(widths[-1] * (side >> steps) ** 2, 1)

    def features(self, picture: Tensor, mask: Tensor) -> Tensor:
        """(N, numbers): what is left after the last halving."""
        flat: Tensor = self.ladder(torch.cat([picture, mask, torch.ones_like(mask)], dim=1)).flatten(1)
        return flat

    def forward(self, picture: Tensor, mask: Tensor) -> Tensor:
        features = self.features(picture, mask)
        return self.linear(features) if self.corrected else features


class MultiDiscriminator(nn.Module):
    """A local and a global view together, for clouds and shadows.

    `as_published`: the local view is always the top left 128 pixels; `mix` gives the local view to both heads;
    scores are sigmoids. `corrected`: the local view follows the hole, each head sees its own view, scores are logits.

    Args:
        mix: scores of the two views are added; False: one score of both.
    """

    def __init__(self, *, bands: int = 3, side: int = 256, mix: bool = False, mode: str = "corrected") -> None:
        super().__init__()
        self.mix, self.corrected = mix, is_corrected(mode)
        self.local = Discriminator(bands=bands, side=LOCAL_SIDE, local=True, mode=mode)
        self.whole = Discriminator(bands=bands, side=side, mode=mode)
        self.both_head = nn.Linear(self.local.linear.in_features + self.whole.linear.in_features, 1)
        self.local_head = nn.Linear(self.local.linear.in_features, 1)
        self.whole_head = nn.Linear(self.whole.linear.in_features, 1)

    def forward(self, picture: Tensor, mask: Tensor) -> Tensor:
        """Scores (N, 1)."""
        places = corners(mask, LOCAL_SIDE) if self.corrected else [(0, 0)] * len(mask)
        near = self.local.features(crop(picture, places, LOCAL_SIDE), crop(mask, places, LOCAL_SIDE))
        far = self.whole.features(picture, mask)
        if self.corrected:
            if self.mix:
                return self.local_head(near) + self.whole_head(far)
            return self.both_head(torch.cat([near, far], dim=1))
        if self.mix:
            return torch.sigmoid(self.local_head(near)) + torch.sigmoid(self.whole_head(near))
        return torch.sigmoid(self.both_head(torch.cat([near, far], dim=1)))
