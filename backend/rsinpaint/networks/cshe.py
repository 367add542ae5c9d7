"""The edge maps of ECEA: the mean of Canny's lines and the length of Sobel derivatives, in whole grey levels.

The lines are those of OpenCV's Canny (thresholds 50 and 120, sum of absolute derivatives), worked out from its
documented steps: other definitions of Canny give other maps, and the published weights know these.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from .canny import grown

LOW, HIGH = 50, 120
TAN_22, SHIFT = 13573, 15
"""tan(22.5 degrees) as a whole number over 2 ** 15, with which OpenCV chooses between directions."""


def edge_map(image: Tensor, mask: Tensor) -> Tensor:
    """What the network is shown: edges where the picture is known, 0 in holes.

    Args:
        image: (N, 3, rows, columns) red, green, blue in [0, 1]; holes hold a guess, or the truth in training.
        mask: (N, 1, rows, columns), 1 = hole.

    Returns:
        (N, 1, rows, columns) in [0, 1]; all 0 for a flat picture or where nothing is known.
    """
    return scaled(cshe(grey(image)).to(image.dtype) * (1 - mask))


def edge_target(truth: Tensor) -> Tensor:
    """What the network should draw, (N, 1, rows, columns) in [0, 1], for the truth (N, 3, rows, columns)."""
    return scaled(cshe(grey(truth)).to(truth.dtype))


def grey(image: Tensor) -> Tensor:
    """Luma of ITU-R 601 in whole levels 0 to 255, (N, 1, rows, columns) int32, rounded as in 8-bit pictures."""
    red, green, blue = (image.clamp(0, 1) * 255).round().to(torch.int32).split(1, dim=1)
    return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def scaled(edges: Tensor) -> Tensor:
    """Each sample from its least to its greatest value onto [0, 1]; a flat one becomes 0."""
    low, high = edges.amin((1, 2, 3), keepdim=True), edges.amax((1, 2, 3), keepdim=True)
    span = high - low
    return (edges - low) / torch.where(span > 0, span, torch.ones_like(span))


def cshe(level: Tensor) -> Tensor:
    """Mean of Canny's lines (0 or 255) and the length of three Sobel derivatives, float64, of whole grey levels."""
    right, down, across = _derivatives(level, "reflect")
    length = (right.double() ** 2 + down.double() ** 2 + across.double() ** 2).sqrt()
    return (canny_lines(level) * 255 + length) / 2


def canny_lines(level: Tensor) -> Tensor:
    """True on lines, (N, 1, rows, columns), of whole grey levels."""
    right, down, _ = _derivatives(level, "replicate")
    length = right.abs() + down.abs()
    crest = _crest(right, down, length) & (length > LOW)
    return grown(crest & (length > HIGH), crest)


def _derivatives(level: Tensor, border: str) -> tuple[Tensor, Tensor, Tensor]:
    """Sobel 3 x 3 along columns, along rows, and along both, whole numbers."""
    around = F.pad(level.double(), (1, 1, 1, 1), mode=border).to(torch.int32)
    rows, columns = level.shape[2:]

    def at(row: int, column: int) -> Tensor:
        return around[..., row : row + rows, column : column + columns]

    right = at(0, 2) + 2 * at(1, 2) + at(2, 2) - at(0, 0) - 2 * at(1, 0) - at(2, 0)
    down = at(2, 0) + 2 * at(2, 1) + at(2, 2) - at(0, 0) - 2 * at(0, 1) - at(0, 2)
    across = at(0, 0) + at(2, 2) - at(0, 2) - at(2, 0)
    return right, down, across


def _crest(right: Tensor, down: Tensor, length: Tensor) -> Tensor:
    """True where the derivative is longest along its own direction, one of four; nothing lies beyond the border."""
    around = F.pad(length, (1, 1, 1, 1))
    rows, columns = length.shape[2:]

    def longer_than(row: int, column: int) -> Tensor:
        return length > around[..., 1 + row : 1 + row + rows, 1 + column : 1 + column + columns]

    def no_shorter_than(row: int, column: int) -> Tensor:
        return length >= around[..., 1 + row : 1 + row + rows, 1 + column : 1 + column + columns]

    flat, steep = right.abs() * TAN_22, down.abs() << SHIFT
    steepest = flat + (right.abs() << (SHIFT + 1))  # tan(67.5 degrees) = tan(22.5 degrees) + 2
    along_columns = longer_than(0, -1) & no_shorter_than(0, 1)
    along_rows = longer_than(-1, 0) & no_shorter_than(1, 0)
    falling = longer_than(-1, -1) & longer_than(1, 1)
    rising = longer_than(-1, 1) & longer_than(1, -1)
    diagonal = torch.where((right ^ down) < 0, rising, falling)
    return torch.where(steep < flat, along_columns, torch.where(steep > steepest, along_rows, diagonal))
