"""Losses of a network that finds holes by itself: (N, 1, rows, columns) in [0, 1], 1 = hole. All give a scalar.

And the share by which what it found overlaps with what is missing, for choosing a checkpoint.
"""

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

FADE = 4.0
"""Pixels over which the soft target falls by e."""


def soft_target(holes: Tensor) -> Tensor:
    """1 in holes, exp(-d / 4) at d pixels from the nearest one; 0 everywhere where there is none."""
    flags = holes.detach().cpu().numpy() > 0
    out = np.zeros(flags.shape, np.float32)
    for place in np.ndindex(flags.shape[:2]):
        if flags[place].any():
            out[place] = np.exp(-ndimage.distance_transform_edt(~flags[place]) / FADE)
    return torch.from_numpy(out).to(holes)


def dice(found: Tensor, holes: Tensor) -> Tensor:
    """1 - 2 |both| / (|found| + |holes|), each sample counting alike; 0 where nothing is found and nothing missing."""
    both, either = (found * holes).sum((1, 2, 3)), (found + holes).sum((1, 2, 3))
    return (1 - (2 * both + 1) / (either + 1)).mean()  # 1 pixel more on both sides: no division by 0


def mask_loss(found: Tensor, holes: Tensor, *, soft_weight: float = 1.0, dice_weight: float = 0.5) -> Tensor:
    """Cross-entropy, plus the absolute distance from the soft target, plus Dice.

    Args:
        found: in (0, 1), after the sigmoid.
        holes: 0 or 1.
    """
    soft = F.l1_loss(found, soft_target(holes))
    return F.binary_cross_entropy(found, holes) + soft_weight * soft + dice_weight * dice(found, holes)


def iou(found: Tensor, holes: Tensor, *, threshold: float = 0.5) -> Tensor:
    """Pixels found and missing by pixels found or missing, each sample counting alike; 1 where there are neither.

    Args:
        found: in [0, 1]; above `threshold` counts as found.
        holes: 0 or 1.
    """
    ours, theirs = found > threshold, holes > 0
    both, either = (ours & theirs).sum((1, 2, 3)), (ours | theirs).sum((1, 2, 3))
    return torch.where(either > 0, both / either.clamp(min=1), 1.0).mean()
