"""What the feature network can tell of places that it has not seen, and whether its distances make sense."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from ..crops import Packed
from .views import Plane, ViewRecipe, blurred, make_views, noisy

BATCHES = 4
"""Of the views on which the pretext is scored."""
STEPS: dict[str, tuple[float, ...]] = {"blur": (0.5, 1.0, 2.0, 4.0), "noise": (0.05, 0.1, 0.2, 0.4)}
"""Rising strengths: deviation of the blur in pixels, of the noise in deviations of the crop."""


@torch.no_grad()
def pretext(pupil: Callable[[Tensor], tuple[Tensor, Tensor]], packed: Packed, views: ViewRecipe) -> dict[str, float]:
    """Shares of crops, 0 to 1: `ground`, whose nearest other crop of the batch is the partner; `damage`, whose damage
    is named right. By chance: 1 / (2 * pairs - 1), and 1 / 5."""
    found, named = [], []
    for number in range(BATCHES):
        batch = make_views(packed, replace(views, seed=views.seed + 1), number)
        vectors, logits = pupil(batch.crops)
        likeness = (vectors @ vectors.T).fill_diagonal_(-2)
        partners = torch.arange(len(vectors)).roll(len(vectors) // 2)
        found.append((likeness.argmax(1) == partners).float().mean())
        named.append((logits.argmax(1) == batch.damages).float().mean())
    return {"ground": float(torch.stack(found).mean()), "damage": float(torch.stack(named).mean())}


@torch.no_grad()
def distance(network: nn.Module, made: Tensor, truth: Tensor) -> Tensor:
    """(N,): mean absolute difference of the features, mean over the taps."""
    steps = [(a - b).abs().mean((1, 2, 3)) for a, b in zip(network(made), network(truth), strict=True)]
    return torch.stack(steps).mean(0)


def distances(
    network: nn.Module, packed: Packed, views: ViewRecipe, damage: str, strengths: tuple[float, ...]
) -> Tensor:
    """Distance of each crop from its damaged self, (crops, strengths); `damage`: key of `STEPS`."""
    rng, truth = np.random.default_rng([views.seed, 1]), clean(packed, views)
    changes = [
        partial(blurred, sigma=strength) if damage == "blur" else partial(noisy, deviation=strength, rng=rng)
        for strength in strengths
    ]
    return torch.stack([distance(network, _every(truth, change), truth) for change in changes], dim=1)


def order(network: nn.Module, packed: Packed, views: ViewRecipe) -> dict[str, float]:
    """Shares of crops, 0 to 1, whose distances are in a sensible order.

    `order_blur`, `order_noise`: the distance rises with every one of `STEPS`. The other two pair changes of the
    same root mean squared error, which pixels cannot tell apart: `blur_beyond_offset`, a blur is farther than an
    offset; `noise_beyond_shift`, noise is farther than a shift by a pixel.
    """
    shares = {}
    for damage, strengths in STEPS.items():
        found = distances(network, packed, views, damage, strengths)
        shares[f"order_{damage}"] = _share((found.diff(dim=1) > 0).all(dim=1))
    truth = clean(packed, views)
    smooth = _every(truth, partial(blurred, sigma=1.5))
    offset = truth + _rms(smooth - truth)
    shares["blur_beyond_offset"] = _share(distance(network, smooth, truth) > distance(network, offset, truth))
    near, far = truth[..., 1:], truth[..., :-1]
    grain = torch.randn(near.shape, generator=torch.Generator().manual_seed(views.seed))
    rough = near + grain * _rms(far - near) / _rms(grain)
    shares["noise_beyond_shift"] = _share(distance(network, rough, near) > distance(network, far, near))
    return shares


def _share(right: Tensor) -> float:
    return float(right.float().mean())


def _rms(planes: Tensor) -> Tensor:
    return planes.square().mean((2, 3), keepdim=True).sqrt()


def _every(crops: Tensor, change: Callable[[Plane], Plane]) -> Tensor:
    return torch.from_numpy(np.stack([change(crop) for crop in crops[:, 0].numpy()]))[:, None]


def clean(packed: Packed, views: ViewRecipe) -> Tensor:
    """Crops without damage, (crops, 1, side, side)."""
    plain = replace(views, seed=views.seed + 2, gain=0.0, offset=0.0, damages=("none",))
    return make_views(packed, plain, 0).crops
