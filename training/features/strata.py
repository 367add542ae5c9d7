"""Strata: a small feature network of our own, for one band at four scales, self-supervised on satellite scenes.

It stands in for VGG where no ImageNet weights are to be had, and looks at one band at a time, so that pictures with
any number of bands have features. How it is taught: `views` and `training.train_features`.

Why this pretext. A distance for filled pictures must see two things: which ground it is (structure), and what was
done to it (blur, noise, blocks, interpolated rows: what bad fills look like). So it learns both at once: to tell
which two crops of a batch share their ground, though they come from other bands of the scene and are shifted and
scaled (contrastive: van den Oord et al., arXiv:1807.03748, equation 4); and to name the damage that each crop has
(classification). Both answers are linear in means and deviations of all four scales, so that each scale learns.
There is no normalisation inside: a picture's features do not depend on the rest of its batch.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.1
"""Of the leaky ReLUs."""


class Strata(nn.Module):
    """Features of a band, (N, 1, rows, columns), scaled to about mean 0 and deviation 1.

    Args:
        widths: planes at each scale; each has half the rows and columns of the one before.
    """

    planes = 1
    """Planes of a picture that it takes."""

    def __init__(self, *, widths: Sequence[int] = (16, 32, 64, 96)) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.taps = tuple(f"scale{1 << level}" for level in range(len(widths)))
        """`scale1` at the full resolution, `scale2` at half of it, and so on."""
        self.first = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, 1 if level == 0 else 2, 1)
            for level, (fine, coarse) in enumerate(pairwise((1, *widths)))
        )
        self.second = nn.ModuleList(nn.Conv2d(width, width, 3, 1, 1) for width in widths)
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.kaiming_normal_(weight, a=SLOPE)
            else:
                nn.init.zeros_(weight)

    def forward(self, picture: Tensor, taps: Sequence[str] | None = None) -> list[Tensor]:
        """Features at the named taps, in their order; None: at all."""
        steps: dict[str, Tensor] = {}
        x = picture
        for tap, first, second in zip(self.taps, self.first, self.second, strict=True):
            x = F.leaky_relu(second(F.leaky_relu(first(x), SLOPE)), SLOPE)
            steps[tap] = x
        return [steps[tap] for tap in (self.taps if taps is None else taps)]
