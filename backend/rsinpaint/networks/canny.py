"""Edges of a plane that is not known everywhere: Canny, IEEE PAMI 8(6), 1986, doi:10.1109/TPAMI.1986.4767851."""

import torch
from torch import Tensor
from torch.nn import functional as F


def canny(plane: Tensor, known: Tensor, *, sigma: float, low: float, high: float) -> Tensor:
    """Thin lines where a plane changes fastest.

    Values that are not known change nothing, and no edge stands on them, beside them or at the border.

    Args:
        plane: (N, 1, rows, columns).
        known: likewise, 1 = known, 0 = not.
        sigma: of the smoothing, in pixels.
        low: length of the Sobel gradient (eight times the slope a pixel) from which a line goes on.
        high: likewise, which a line must reach somewhere.

    Returns:
        (N, 1, rows, columns) of 0 and 1.
    """
    known = known.to(plane.dtype)
    weight = _smoothed(known, sigma) + torch.finfo(plane.dtype).eps
    smooth = _smoothed(torch.where(known > 0, plane, 0.0), sigma) / weight
    down, right = _sobel(smooth)
    length = torch.hypot(down, right)
    inner = -F.max_pool2d(F.pad(-known, (1, 1, 1, 1)), 3, stride=1) > 0
    line = _crest(down, right, length) & inner & (length >= low)
    return grown(line & (length >= high), line).to(plane.dtype)


def grown(seed: Tensor, line: Tensor) -> Tensor:
    """The pixels of `line` that are joined to a seed by pixels of `line`, corners included.

    Args:
        seed, line: bool (N, 1, rows, columns); seeds lie on lines.
    """
    while True:
        wider = (F.max_pool2d(seed.float(), 3, stride=1, padding=1) > 0) & line
        if torch.equal(wider, seed):
            return seed
        seed = wider


def _smoothed(plane: Tensor, sigma: float) -> Tensor:
    """Gaussian, cut at four sigma; 0 beyond the border."""
    reach = int(4 * sigma + 0.5)
    offset = torch.arange(-reach, reach + 1, dtype=plane.dtype, device=plane.device)
    kernel = torch.exp(-0.5 * (offset / sigma) ** 2)
    kernel /= kernel.sum()
    columns = F.conv2d(plane, kernel.view(1, 1, -1, 1), padding=(reach, 0))
    return F.conv2d(columns, kernel.view(1, 1, 1, -1), padding=(0, reach))


def _sobel(plane: Tensor) -> tuple[Tensor, Tensor]:
    """Change down the rows and along the columns; the border goes on as it is."""
    step = torch.tensor([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], dtype=plane.dtype, device=plane.device)
    around = F.pad(plane, (1, 1, 1, 1), mode="replicate")
    down, right = F.conv2d(around, torch.stack([step, step.T]).unsqueeze(1)).split(1, dim=1)
    return down, right


def _crest(down: Tensor, right: Tensor, length: Tensor) -> Tensor:
    """True where the gradient is no shorter than one pixel up and down its own direction.

    The direction hits the ring of eight neighbours between a straight and a diagonal one:

        . | s | d        s: straight, along the larger part of the gradient
        --+---+--        d: diagonal
        . | o | .        value between them by the share of the smaller part
    """
    steep, flat = down.abs(), right.abs()
    upright = steep >= flat
    share = torch.minimum(steep, flat) / torch.maximum(steep, flat).clamp(min=torch.finfo(length.dtype).tiny)
    turned = (down >= 0) != (right >= 0)  # down and to the left, or up and to the right
    rows, columns = length.shape[2:]
    around = F.pad(length, (1, 1, 1, 1))

    def neighbour(row: int, column: int) -> Tensor:
        return around[..., 1 + row : 1 + row + rows, 1 + column : 1 + column + columns]

    crest = torch.ones_like(turned)
    for way in (1, -1):
        # along the rows: `way` up or down; along the columns, the diagonal lies on the same side or the other
        across = torch.where(turned, neighbour(-way, way), neighbour(way, way))
        diagonal = torch.where(upright & turned, neighbour(way, -way), across)
        straight = torch.where(upright, neighbour(way, 0), neighbour(0, way))
        crest &= straight * (1 - share) + diagonal * share <= length
    return crest
