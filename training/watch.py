"""How well a network does on pictures that it does not learn from, and pictures of that.

This is for choosing checkpoints and for the eye; what is published comes from `bench/`. Networks are in evaluation:
a score depends neither on the other pictures of a batch nor on when it was asked for, and changes nothing.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .mask_losses import iou
from .parts import Whole
from .samples import Batch
from .structure import ssim

FLOOR = 1e-6
"""Truth nearer to 0 has no relative error."""
SHOWN = 6
"""Pictures in a grid."""


@contextmanager
def at_rest(network: nn.Module) -> Iterator[None]:
    """Evaluation without gradients; afterwards every module is in the mode that it was in."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def psnr(made: Tensor, truth: Tensor, holes: Tensor, *, peak: float) -> float:
    """Decibels over the holes; infinite for a perfect answer and where there is nothing to answer."""
    where = holes.expand_as(truth)
    square = float(((made - truth).square() * where).double().sum() / where.sum().clamp(min=1))
    return 10 * math.log10(peak**2 / square) if square > 0 else math.inf


def mape(made: Tensor, truth: Tensor) -> float:
    """Mean absolute error as a share of the truth, 1 = 100 %, over the pixels whose truth is not 0.

    As published pixels of 0 count, too, divided by 1.17e-6: edge maps hold zeros, so that no network could ever
    come below 0.1.
    """
    counted = truth.abs() > FLOOR
    share = (made - truth).abs() / truth.abs().clamp(min=FLOOR)
    return float((share * counted).sum() / counted.sum().clamp(min=1))


def score(part: Whole, batch: Batch, *, low: float, high: float) -> dict[str, float]:
    """Of one batch, the fill kept to [low, high] and known pixels left alone: what a user would be given.

    `hole_l1` and `psnr` over holes; `ssim` of the whole picture; `mape` of the fill itself, everywhere; `iou` of the
    mask that the network found, where it looks for one.
    """
    answer = part(batch.image, batch.holes)
    batch = part.wanted(batch)
    fill = answer["fill"].clamp(low, high)
    blended = torch.where(batch.holes > 0, fill, batch.truth)
    count = (batch.holes.sum() * fill.shape[1]).clamp(min=1)
    scores = {
        "hole_l1": float(((blended - batch.truth).abs()).sum() / count),
        "psnr": psnr(blended, batch.truth, batch.holes, peak=high - low),
        "ssim": float(ssim(blended, batch.truth, peak=high - low).mean()),
        "mape": mape(fill, batch.truth),
    }
    return scores | ({"iou": float(iou(answer["mask"], batch.holes))} if "mask" in answer else {})


def scores(part: Whole, batches: Sequence[Batch], *, low: float, high: float) -> dict[str, float]:
    """Mean over all batches, each counting alike."""
    with at_rest(part):
        each = [score(part, batch, low=low, high=high) for batch in batches]
    return {name: sum(one[name] for one in each) / len(each) for name in each[0]}


def grid(part: Whole, batches: Sequence[Batch], *, low: float, high: float) -> Tensor:
    """A picture a row: what is shown with white holes, the fill in its place, the truth, and planes drawn on the way.

    Returns:
        (rows, columns, 3) in 0 to 255, uint8.
    """
    rows = []
    with at_rest(part):
        for batch in batches[:SHOWN]:
            answer, batch = part(batch.image, batch.holes), part.wanted(batch)
            fill = torch.where(batch.holes > 0, answer["fill"], batch.truth)
            everything = bool((batch.holes > 0).all())
            shown = batch.image if everything else torch.where(batch.holes > 0, high, batch.image)
            panels = [(panel[0] - low) / (high - low) for panel in (shown, fill, batch.truth)]
            panels += [answer[name][0] for name in ("edges", "attention", "mask") if name in answer]
            rows.append(torch.cat([_framed(panel) for panel in panels], dim=2))
    return torch.cat(rows, dim=1).permute(1, 2, 0).cpu()


def _framed(panel: Tensor) -> Tensor:
    """Three planes of bytes with a black rim: the first three bands, or the first one in grey."""
    colours = panel[:3] if len(panel) >= 3 else panel[:1].expand(3, -1, -1)
    return F.pad((colours.float().clamp(0, 1) * 255).round().to(torch.uint8), (1, 1, 1, 1))
