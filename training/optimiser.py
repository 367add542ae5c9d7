"""Muon: momentum whose matrix updates are made orthogonal, for inner convolutions; AdamW for the rest.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks". torch.optim.Muon takes
matrices only; here a convolution counts as the matrix outputs x (inputs x height x width).
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

_QUINTIC = (3.4445, -4.7750, 2.0315)  # slopes of the iteration towards singular values of 1


class Muon(Optimizer):
    """Momentum with Nesterov's look-ahead, orthogonalised by Newton-Schulz steps."""

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, steps: int = 4) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "steps": steps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = closure() if closure else None
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(momentum, group["momentum"])
                update = orthogonal(ahead.flatten(1), group["steps"])
                gain = max(1.0, update.shape[0] / update.shape[1]) ** 0.5
                weight.add_(update.view_as(weight), alpha=-group["lr"] * gain)
        return loss


def orthogonal(matrix: Tensor, steps: int) -> Tensor:
    """The orthogonal matrix near `matrix` (all singular values about 1), by Newton-Schulz iteration."""
    a, b, c = _QUINTIC
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


def optimisers(network: nn.Module, muon: float, adamw: float) -> list[Optimizer]:
    """Muon for every inner weight of two or more dimensions; AdamW for `stem`, `head` and biases."""
    inner: list[Tensor] = []
    rest: list[Tensor] = []
    for name, weight in network.named_parameters():
        outer = name.split(".")[0] in ("stem", "head")
        (rest if weight.ndim < 2 or outer else inner).append(weight)
    return [Muon(inner, lr=muon), AdamW(rest, lr=adamw, betas=(0.9, 0.98), weight_decay=1e-4)]
