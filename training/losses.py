"""Losses over holes. All take (N, bands, rows, columns) tensors; `holes` is 1 in holes."""

import torch
from torch import Tensor


def hole_l1(fill: Tensor, truth: Tensor, holes: Tensor) -> Tensor:
    """Mean absolute error over holes, each band of each sample counting alike. Scalar."""
    error = ((fill - truth).abs() * holes).sum((2, 3)) / holes.sum((2, 3)).clamp(min=1)
    return error.mean()


def hole_rmse(fill: Tensor, truth: Tensor, holes: Tensor) -> Tensor:
    """Root of the mean squared error over the holes of the batch, each band of each sample counting alike. Scalar."""
    square = ((fill - truth).square() * holes).sum((2, 3)) / holes.sum((2, 3)).clamp(min=1)
    return (square.mean() + 1e-8).sqrt()


def laplace_nll(log_scale: Tensor, error: Tensor, holes: Tensor) -> Tensor:
    """Negative log-likelihood of absolute errors under Laplace distributions of scale exp(log_scale). Scalar.

    A proper score: it is least where the scale is the expected absolute error. The error is taken as given
    (no gradient), so that the head for uncertainty does not bend the fill.
    """
    score = error.detach().abs() * torch.exp(-log_scale) + log_scale
    return (score * holes).sum() / holes.sum().clamp(min=1)


def weighted_l1(fill: Tensor, truth: Tensor, holes: Tensor, *, hole: float = 1.0, valid: float = 1.0) -> Tensor:
    """Mean absolute error over holes and over the rest, weighted; each sample counts alike. Scalar.

    Args:
        holes: (N, 1 or bands, rows, columns). Without any, or with nothing else, the term that is empty is 0.
    """
    error, holes = (fill - truth).abs(), holes.expand_as(fill)

    def over(where: Tensor) -> Tensor:
        return ((error * where).sum((1, 2, 3)) / where.sum((1, 2, 3)).clamp(min=1)).mean()

    return hole * over(holes) + valid * over(1 - holes)
