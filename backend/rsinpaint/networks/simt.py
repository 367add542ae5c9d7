"""SIMT, a reconstruction: finds what is missing by itself, then fills it, for pictures in [-1, 1].

Named after Shao, Wang, Zuo, Meng, "Efficient Pyramidal GAN for Versatile Missing Data Reconstruction in Remote
Sensing Images", IEEE TGRS 2022. Neither code nor weights nor layer tables of it are public: the four parts that its
abstract names (mask extraction, unified inpainting, dilated pyramidal convolution, attention fusion) are of our own
design here, on the gated convolutions of the authors' earlier CMUN. No published weights fit, and no published
figure applies.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .blocks import SLOPE, Gated, SelfAttention, crop, gated_decoder, gated_encoder, one_mask, spectral, spectral_ladder

BLOCKS = 4
"""Dilated pyramids in a row, in either network."""
PYRAMID = (1, 2, 4, 8)
"""Dilation and number of groups of the branches of a pyramid: what looks farther is parted finer."""
NORM = (1e-5, 0.1)
SURE = 0.5
"""A pixel that is more surely missing than this is a hole where nobody has told the holes."""


class DilatedPyramid(nn.Module):
    """Four 3 x 3 convolutions side by side, each a quarter of the planes, mixed and added to the input; LReLU.

    Branches have dilations 1, 2, 4, 8 and as many groups, so that the farther ones cost less.

    Args:
        width: planes in and out; divides by 32.
        gated: branches are gated convolutions with batch norm; False: plain ones.
    """

    def __init__(self, width: int, *, gated: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            Gated(width, width // 4, dilation=step, norm=NORM, groups=step)
            if gated
            else nn.Conv2d(width, width // 4, 3, padding=step, dilation=step, groups=step)
            for step in PYRAMID
        )
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        seen = torch.cat([branch(x) for branch in self.branches], dim=1)
        return F.leaky_relu(x + self.mix(seen), SLOPE)


class MaskExtraction(nn.Module):
    """MEN, a reconstruction: one soft mask from the damaged picture alone, whatever damaged it.

    Fills nothing. It looks at the holes, and at no mask: what is told cannot stand in for what it should find.

    Args:
        bands: planes of the picture.
        width: planes after the first layer; divides by 8.

    Raises:
        ValueError: the width does not divide by 8.
    """

    guess_in_holes = False
    sees_holes = True
    multiple = 4
    span = (-1, 1)
    # the pyramids' widest branches at a quarter of the resolution, and what the layers before and after them add
    halo = 4 * BLOCKS * max(PYRAMID) + 12

    def __init__(self, *, bands: int = 3, width: int = 32) -> None:
        super().__init__()
        c, d, e = width, 2 * width, _deepest(width)
        self.full = nn.Conv2d(bands, c, 5, padding=2)
        self.shrink = nn.ModuleList([nn.Conv2d(c, d, 4, 2, 1), nn.Conv2d(d, e, 4, 2, 1)])
        self.pyramids = nn.Sequential(*(DilatedPyramid(e, gated=False) for _ in range(BLOCKS)))
        self.grow = nn.ModuleList([nn.Conv2d(e + d, d, 3, padding=1), nn.Conv2d(d + c, c, 3, padding=1)])
        self.head = nn.Conv2d(c, 1, 3, padding=1)

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        """See `networks` for the contract; `mask` is the answer, `fill` is the image as it came. Ignores `holes`."""
        return {"fill": image, "mask": self.found(image)}

    def found(self, image: Tensor) -> Tensor:
        """(N, 1, rows, columns) in (0, 1): how surely a pixel is missing.

        Args:
            image: (N, bands, rows, columns), finite, with whatever the sensor wrote where it saw nothing.
        """
        x, skips = F.leaky_relu(self.full(image), SLOPE), []
        for shrink in self.shrink:
            skips.append(x)
            x = F.leaky_relu(shrink(x), SLOPE)
        x = self.pyramids(x)
        for grow, skip in zip(self.grow, reversed(skips), strict=True):
            x = torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1)
            x = F.leaky_relu(grow(x), SLOPE)
        return torch.sigmoid(self.head(x))


class AttentionFusion(nn.Module):
    """Adds two attentions to the features, as far as pixels are missing: over pixels, and over planes.

    x + missing * (gamma_1 * mean over like pixels + gamma_2 * planes weighed by what the whole picture shows).
    Both gammas start at 0: `attention.gamma` and `gamma`.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.weigh = nn.Sequential(
            nn.Conv2d(width, width // 8, 1), nn.ReLU(), nn.Conv2d(width // 8, width, 1), nn.Sigmoid()
        )

    def forward(self, x: Tensor, missing: Tensor) -> Tensor:
        """Features (N, width, rows, columns) and the mask at four times the resolution, (N, 1, 4 rows, 4 columns)."""
        over_pixels = self.attention.gamma * self.attention.mixed(x)
        over_planes = self.gamma * (self.weigh(x.mean((2, 3), keepdim=True)) * x)
        return x + F.avg_pool2d(missing, 4) * (over_pixels + over_planes)


class UnifiedInpainting(nn.Module):
    """UIN, a reconstruction: gated convolutions around gated pyramids and attention that the soft mask steers.

    Args:
        bands: planes of the picture.
        width: planes after the first layer; divides by 8.
        limit: answers lie in (-limit, limit); 1 for pictures in [-1, 1].

    Raises:
        ValueError: the width does not divide by 8.
    """

    def __init__(self, *, bands: int = 3, width: int = 32, limit: float = 1.0) -> None:
        super().__init__()
        deepest, self.limit = _deepest(width), limit
        self.encoder = nn.Sequential(*gated_encoder(bands + 2, width, NORM))
        self.pyramids = nn.Sequential(*(DilatedPyramid(deepest, gated=True) for _ in range(BLOCKS)))
        self.fusion = AttentionFusion(deepest)
        # no norm after the last layer: it would tie the answer's spread to the training's pictures, as CMUN's does
        self.decoder = nn.Sequential(*gated_decoder(bands, width, NORM, norm_last=False))

    def forward(self, image: Tensor, holes: Tensor, missing: Tensor) -> Tensor:
        """A whole picture, known pixels drawn anew.

        Args:
            image: (N, bands, rows, columns); what stands in holes is not seen.
            holes: (N, 1, rows, columns), 0 or 1.
            missing: (N, 1, rows, columns) in [0, 1], how surely a pixel is missing.
        """
        x = self.encoder(torch.cat([image * (1 - holes), missing, torch.ones_like(missing)], dim=1))
        x = self.decoder(self.fusion(self.pyramids(x), missing))
        # unlike a clamp, a tanh has a slope everywhere
        picture: Tensor = self.limit * torch.tanh(x / self.limit)
        return picture


class Simt(nn.Module):
    """MEN, then UIN. Attention looks at the whole picture, so there is no halo; attention costs (pixels / 16) ** 2.

    The mask that is given and the one that is found do different things. Given holes are certain: they alone decide
    which pixels UIN is not shown, as they alone decide which pixels are replaced. MEN's soft mask is united with
    them (the larger of the two) and steers the gates and the attention fusion; so pixels that nobody listed but
    that look damaged weigh less, and a hole that does not look like one, drawn by hand on a sound picture, is still
    a hole. Without a given mask, MEN's above 0.5 takes its place.

    Args:
        bands: planes of the picture.
        width: planes after the first layer of either network; divides by 8.
        limit: answers lie in (-limit, limit); 1 for pictures in [-1, 1].

    Raises:
        ValueError: the width does not divide by 8.
    """

    guess_in_holes = False
    sees_holes = True
    """MEN needs what the sensor wrote; UIN does not see it."""
    multiple = 4
    span = (-1, 1)
    halo = None

    def __init__(self, *, bands: int = 3, width: int = 32, limit: float = 1.0) -> None:
        super().__init__()
        self.men = MaskExtraction(bands=bands, width=width)
        self.uin = UnifiedInpainting(bands=bands, width=width, limit=limit)

    def forward(self, image: Tensor, holes: Tensor | None = None) -> dict[str, Tensor]:
        """See `networks` for the contract; `mask` is what MEN alone found. There are no earlier stages.

        Args:
            image: finite, in holes what the sensor wrote.
            holes: None: those that MEN finds.
        """
        found = self.men.found(image)
        hard = (found > SURE).to(image.dtype) if holes is None else one_mask(holes)
        return {"fill": self.uin(image, hard, torch.maximum(found, hard)), "mask": found}


class Discriminator(nn.Module):
    """Scores a picture as a whole, with self-attention, and a square of it, together: one logit.

    As CMUN's, without its faults: the caller says where the square lies (see `blocks.corners`), scores are logits
    that reach the margins of the hinge, and spectral norm bounds every layer, the last one too.

    Args:
        bands: planes of the picture.
        side: of the picture in pixels; divides by 128.
        local_side: of the square in pixels; divides by 64.
        width: planes after the first halving.

    Raises:
        ValueError: a side does not divide so.
    """

    def __init__(self, *, bands: int = 3, side: int = 256, local_side: int = 128, width: int = 64) -> None:
        super().__init__()
        if side % 128 or local_side % 64:
            raise ValueError(f"sides {side} and {local_side}, expected multiples of 128 and 64")
        self.local_side = local_side
        widths = (bands + 2, width, 2 * width, *[4 * width] * 5)
        self.whole = spectral_ladder(widths, attention_after=6)
        self.local = spectral_ladder(widths[:-1])
        self.head = spectral(nn.Linear(4 * width * ((side >> 7) ** 2 + (local_side >> 6) ** 2), 1))

    def forward(self, picture: Tensor, holes: Tensor, places: Sequence[tuple[int, int]]) -> Tensor:
        """Logits (N, 1).

        Args:
            picture: (N, bands, side, side).
            holes: (N, 1, side, side), 1 = made.
            places: first row and column of each sample's square.
        """
        planes = torch.cat([picture, holes, torch.ones_like(holes)], dim=1)
        near, far = self.local(crop(planes, places, self.local_side)), self.whole(planes)
        logits: Tensor = self.head(torch.cat([near.flatten(1), far.flatten(1)], dim=1))
        return logits


def _deepest(width: int) -> int:
    """Planes at a quarter of the resolution, of which a quarter must divide into the pyramid's groups."""
    if width % max(PYRAMID):
        raise ValueError(f"width {width}, expected a multiple of {max(PYRAMID)}")
    return 4 * width
