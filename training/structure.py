"""Losses of structure: SSIM, edges, attention, and what feature networks see. All give a scalar."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

KERNEL, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
FLOOR = 0.1
"""SSIM below which the logarithm goes on as a straight line."""


def ssim(made: Tensor, truth: Tensor, *, peak: float = 1.0) -> Tensor:
    """Structural similarity of each sample, (N,), one window a pixel; pictures go on beyond their border mirrored.

    Args:
        made, truth: (N, bands, rows, columns), at least 6 pixels on a side.
        peak: width of the range of values.

    Source: Wang et al., IEEE TIP 13(4), 2004: Gaussian window of 11 pixels, sigma 1.5, K1 0.01, K2 0.03.
    """
    offset = torch.arange(KERNEL, dtype=truth.dtype, device=truth.device) - KERNEL // 2
    line = torch.exp(-0.5 * (offset / SIGMA) ** 2)
    window = torch.outer(line, line).view(1, 1, KERNEL, KERNEL) / line.sum() ** 2

    def mean(planes: Tensor) -> Tensor:
        around = F.pad(planes.flatten(0, 1).unsqueeze(1), [KERNEL // 2] * 4, mode="reflect")
        return F.conv2d(around, window).view(*planes.shape[:2], -1)

    centre, other = mean(made), mean(truth)
    spread = mean(made * made) - centre**2 + mean(truth * truth) - other**2
    common = mean(made * truth) - centre * other
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    likeness = (2 * centre * other + c1) * (2 * common + c2) / ((centre**2 + other**2 + c1) * (spread + c2))
    return likeness.mean((1, 2))


def structure_loss(made: Tensor, truth: Tensor) -> Tensor:
    """-ln SSIM, as EdgeLearning has it for edge maps in [0, 1]; below 0.1 its tangent.

    As published the logarithm is NaN for pictures that are unlike, where the loss matters most.
    """
    likeness = ssim(made, truth)
    tangent = -math.log(FLOOR) + (FLOOR - likeness) / FLOOR
    return torch.where(likeness > FLOOR, -likeness.clamp(min=FLOOR).log(), tangent).mean()


def edge_loss(drawn: Tensor, target: Tensor, holes: Tensor | None = None) -> Tensor:
    """Mean absolute difference of edge maps, (N, 1, rows, columns): everywhere, or in holes alone."""
    error = (drawn - target).abs()
    if holes is None:
        return error.mean()
    return ((error * holes).sum((1, 2, 3)) / holes.sum((1, 2, 3)).clamp(min=1)).mean()


def attention_target(truth: Tensor, cloudy: Tensor, *, corrected: bool = True) -> Tensor:
    """SpA-GAN's target, (N, 1, rows, columns): 1 where the pictures differ by a grey level of 8 bits or more.

    Args:
        truth, cloudy: (N, bands, rows, columns) in [0, 1].
        corrected: of the difference summed over bands, the size; False, as published: truth - cloudy, so that
            0 stands under white cloud and 1 in shadow.
    """
    # whole levels: a rounding error must not count as a difference
    difference = ((truth * 255).round() - (cloudy * 255).round()).sum(1, keepdim=True)
    return (difference.abs() if corrected else difference).clamp(0, 1)


def attention_loss(attention: Tensor, truth: Tensor, cloudy: Tensor, *, corrected: bool = True) -> Tensor:
    """Mean squared difference of an attention map, (N, 1, rows, columns), from its target."""
    return F.mse_loss(attention, attention_target(truth, cloudy, corrected=corrected))


def gram(features: Tensor, *, by_planes: bool = True) -> Tensor:
    """(N, planes, planes): products of planes, summed over pixels, by the number of planes and pixels.

    Args:
        features: (N, planes, rows, columns).
        by_planes: False divides by the number of pixels alone, as CMUN and the Sentinel-3 model do.

    Source: Gatys et al., arXiv:1508.06576, equation 3; Johnson et al., arXiv:1603.08155, equation 3.
    """
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[2] * (flat.shape[1] if by_planes else 1))


def style_loss(made: list[Tensor], truth: list[Tensor], *, by_planes: bool = True) -> Tensor:
    """Sum over a feature network's steps of the mean absolute difference of Gram matrices; `by_planes`: see `gram`."""
    pairs = zip(made, truth, strict=True)
    return torch.stack([F.l1_loss(gram(a, by_planes=by_planes), gram(b, by_planes=by_planes)) for a, b in pairs]).sum()


def perceptual_loss(made: list[Tensor], truth: list[Tensor]) -> Tensor:
    """Sum over a feature network's steps of the mean absolute difference.

    Source: Johnson et al., arXiv:1603.08155, equation 2, with absolute differences as in ECEA and EdgeLearning.
    """
    return torch.stack([F.l1_loss(a, b) for a, b in zip(made, truth, strict=True)]).sum()
