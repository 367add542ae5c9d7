"""Perceptual and style losses over feature networks, by the convention of each published system."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..structure import perceptual_loss, style_loss

FIRSTS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LATER = ("relu2_2", "relu3_4", "relu4_4", "relu5_2")
EARLY = ("relu2_1", "relu2_2", "relu3_1")
SCALES = ("scale1", "scale2", "scale4", "scale8")


@dataclass(frozen=True)
class Convention:
    """How a system compares pictures by their features."""

    features: str
    """Key of `training.features.FEATURES`."""
    perceptual: float
    style: float
    """Weights of the two losses; 0 leaves a loss out."""
    perceptual_taps: tuple[str, ...]
    style_taps: tuple[str, ...]
    gram_by_planes: bool = True
    """Gram matrices are divided by planes and pixels; False: by pixels alone."""
    by_band: bool = False
    """Each band is a picture of its own, repeated as often as the network has inputs; the loss is the mean of bands."""
    scaling: Literal["none", "span", "deviation"] = "none"
    """Of each band of each sample: none; minimum 0 and maximum 1; mean 0 and deviation 1. See `scaled`."""
    side: int | None = None
    """Pictures are brought to so many rows and columns first."""
    enlarge: Literal["nearest", "bilinear"] = "nearest"


CONVENTIONS: dict[str, Convention] = {
    # S1.4 of the description: [0, 1]; the trainer divides the sum of all its losses by 5
    "ecea": Convention("vgg19", 0.5, 10000.0, FIRSTS, LATER),
    "edge_learning": Convention("vgg19", 0.1, 250.0, FIRSTS, LATER),
    # weights 5 and 120, both by 0.001; pictures in [-1, 1]; once for the refined, once for the composited picture
    "cmun": Convention("vgg16_bn", 0.005, 0.12, EARLY, EARLY, gram_by_planes=False, side=224),
    # 5/11 and 120/11 for each of 11 bands, by 0.001: the mean of any number of bands has the weights of CMUN
    "ocean_gated": Convention(
        "vgg16_bn",
        0.005,
        0.12,
        EARLY,
        EARLY,
        gram_by_planes=False,
        by_band=True,
        scaling="span",
        side=224,
        enlarge="bilinear",
    ),
    # both terms are about equal for crops that are blurred by a pixel, and 1 together
    "strata": Convention("strata", 0.5, 30.0, SCALES, SCALES, by_band=True, scaling="deviation"),
}
"""Name in recipes -> convention: the published systems', and that of the feature network of our own."""


def scaled(picture: Tensor, truth: Tensor, scaling: str) -> Tensor:
    """The picture with each band of each sample shifted and divided by what the *truth* has there.

    Both pictures of a pair are scaled alike: were each scaled by its own numbers, as one may read the description
    of the Sentinel-3 model, an error of gain or offset would cost nothing. Bands without a span are only shifted.

    Args:
        picture, truth: (N, bands, rows, columns).
        scaling: as in `Convention`.
    """
    if scaling == "none":
        return picture
    if scaling == "span":
        low = truth.amin((2, 3), keepdim=True)
        size = truth.amax((2, 3), keepdim=True) - low
    else:
        low, size = truth.mean((2, 3), keepdim=True), truth.std((2, 3), keepdim=True, correction=0)
    return (picture - low) / torch.where(size > 0, size, torch.ones_like(size))


class FeatureLoss(nn.Module):
    """Weighted sum of perceptual and style loss.

    Args:
        features: the network, as `training.features.build(convention.features, ...)` gives it.
        convention: whose; see `CONVENTIONS`, and `dataclasses.replace` for other weights.

    Source: Johnson et al., arXiv:1603.08155, equations 2 to 4, with absolute in place of squared differences, as the
    published systems have it.
    """

    def __init__(self, features: nn.Module, convention: Convention) -> None:
        super().__init__()
        self.convention = convention
        self.features = features

    def forward(self, made: Tensor, truth: Tensor) -> Tensor:
        """The loss of (N, bands, rows, columns), a scalar; the truth has no slope."""
        perceptual, style = self.terms(made, truth)
        return self.convention.perceptual * perceptual + self.convention.style * style

    def terms(self, made: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Perceptual and style loss before they are weighted; 0 for one whose weight is 0.

        Raises:
            ValueError: the pictures have another number of bands than the network, and are not taken band by band.
        """
        rule = self.convention
        near = rule.perceptual_taps if rule.perceptual else ()
        far = rule.style_taps if rule.style else ()
        taps = tuple(dict.fromkeys((*near, *far)))
        ours = dict(zip(taps, self._steps(made, truth, taps), strict=True))
        with torch.no_grad():
            theirs = dict(zip(taps, self._steps(truth, truth, taps), strict=True))
        zero = made.new_zeros(())
        perceptual = perceptual_loss([ours[tap] for tap in near], [theirs[tap] for tap in near]) if near else zero
        pair = [ours[tap] for tap in far], [theirs[tap] for tap in far]
        return perceptual, style_loss(*pair, by_planes=rule.gram_by_planes) if far else zero

    def _steps(self, picture: Tensor, truth: Tensor, taps: tuple[str, ...]) -> list[Tensor]:
        rule, planes = self.convention, int(self.features.planes)  # type: ignore[arg-type]
        x = scaled(picture, truth, rule.scaling)
        if rule.by_band:
            x = x.flatten(0, 1).unsqueeze(1).expand(-1, planes, -1, -1)
        if x.shape[1] != planes:
            raise ValueError(f"pictures of {x.shape[1]} bands, expected {planes} for `{rule.features}`, or `by_band`")
        if rule.side:
            x = F.interpolate(x, size=(rule.side, rule.side), mode=rule.enlarge)
        steps: list[Tensor] = self.features(x, taps)
        return steps
