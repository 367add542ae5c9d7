"""What a discriminator and a generator pay for the scores of real and made pictures. All give a scalar.

Scores are logits of any shape, but for `absolute`, whose discriminator ends in a sigmoid. Labels take the shape of
the scores, so that a last, smaller batch is like any other.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

Distance = Callable[[Tensor, Tensor], Tensor]
"""Of two tensors of one shape; a scalar."""


class Adversarial(NamedTuple):
    """A pair of losses."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    """Of the scores of real and of made pictures; the latter made without a graph of the generator."""
    generator: Callable[[Tensor], Tensor]
    """Of the scores of made pictures."""


def _softplus(real: Tensor, made: Tensor) -> Tensor:
    return F.softplus(-real).mean() + F.softplus(made).mean()


def _hinge(real: Tensor, made: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + made).mean()


def _squares(real: Tensor, made: Tensor) -> Tensor:
    return ((real - 1).square().mean() + made.square().mean()) / 2


def _absolute(real: Tensor, made: Tensor) -> Tensor:
    return ((real - 1).abs().mean() + made.abs().mean()) / 2


ADVERSARIAL: dict[str, Adversarial] = {
    "absolute": Adversarial(_absolute, lambda made: (made - 1).abs().mean()),
    "hinge": Adversarial(_hinge, lambda made: -made.mean()),
    "softplus": Adversarial(_softplus, lambda made: F.softplus(-made).mean()),
    "squares": Adversarial(_squares, lambda made: (made - 1).square().mean()),
}
"""Name in recipes -> losses: ECEA's, CMUN's and the Sentinel-3 model's, SpA-GAN's, EdgeLearning's."""


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, made: Tensor, *, centre: float = 1.0
) -> Tensor:
    """Squared distance of the gradient's length from `centre`, on a random blend of each real and made picture.

    Source: Gulrajani et al., arXiv:1704.00028, equation 3; the Sentinel-3 model moves the centre.
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device, dtype=real.dtype)
    blend = (share * real + (1 - share) * made).detach().requires_grad_(True)
    # the attention kernels that save memory have no second derivative
    with sdpa_kernel(SDPBackend.MATH):
        (slope,) = torch.autograd.grad(discriminator(blend).sum(), blend, create_graph=True)
    # not 0: the root has no slope there
    length = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
    return (length - centre).square().mean()


def feature_matching(made: list[Tensor], real: list[Tensor], distance: Distance = F.mse_loss) -> Tensor:
    """Sum over a discriminator's steps of the distance, squared by default; what the real picture gives stays."""
    return torch.stack([distance(ours, theirs.detach()) for ours, theirs in zip(made, real, strict=True)]).sum()
