"""Spectral norm and spectral regularisation: how much a layer's kernel can stretch what goes through it.

The gain of a kernel is the largest singular value of its matrix (outputs, inputs * rows * columns), as both papers
have it; the gain of the convolution itself may be larger. The discriminators in `rsinpaint.networks` bound their
kernels themselves, under the names of the published files; `bound` is for networks that do not, and `gains` looks
at either. Published fault of the Sentinel-3 model: neither ran there, since the layers never learnt that they were
being trained.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, parametrize

TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, *TRANSPOSED)
"""Those that have a kernel, `weight`."""
EPS = 1e-12


def kernels(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and layer of everything in the network that has a kernel."""
    return ((name, layer) for name, layer in network.named_modules() if isinstance(layer, LAYERS))


def is_bounded(layer: nn.Module) -> bool:
    """True where spectral norm acts on the layer's kernel, in either of torch's two forms."""
    if hasattr(layer, "weight_orig"):  # torch.nn.utils.spectral_norm, the form of the published files
        return True
    if not parametrize.is_parametrized(layer, "weight"):
        return False
    steps = layer.get_submodule("parametrizations.weight").children()
    # the class has no public name in torch
    return any(type(step).__name__ == "_SpectralNorm" for step in steps)


def bound(network: nn.Module) -> nn.Module:
    """Spectral norm on every kernel of the network that has none yet; changes the network and gives it back.

    The kernel is divided by its gain. The gain follows the kernel by one power iteration for each call in training;
    calls in evaluation change nothing.

    Source: Miyato et al., arXiv:1802.05957, equation 8 and algorithm 1.
    """
    for _, layer in list(kernels(network)):
        if not is_bounded(layer):
            parametrizations.spectral_norm(layer, eps=EPS)
    return network


@torch.no_grad()
def gains(network: nn.Module) -> dict[str, float]:
    """Largest singular value of each kernel, exact, by the layer's name: of the kernel as the layer uses it.

    Bounded kernels are divided by what was known of their gain at the last call. Nothing in the network changes.
    """
    modes = {module: module.training for module in network.modules()}
    network.eval()  # in training, looking at a bounded kernel is a call
    found = {name: float(torch.linalg.matrix_norm(_matrix(layer).double(), 2)) for name, layer in kernels(network)}
    for module, mode in modes.items():
        module.training = mode
    return found


class SpectralPenalty(nn.Module):
    """Spectral regularisation: half the sum over kernels of (gain - target) squared. Bounded kernels are left out.

    The gain is followed by one power iteration for each call in training, from where the last one ended; in
    evaluation the vectors stay. Its slope is the product of the two vectors, so each step of an optimiser shrinks
    (or, below the target, stretches) a kernel along one direction.

    Args:
        network: it is watched, not owned: its weights are no weights of this module.
        target: 0 as in the paper; 1: kernels are drawn to a gain of 1, as spectral norm forces them.

    Source: Yoshida and Miyato, arXiv:1705.10941, equation 4.
    """

    def __init__(self, network: nn.Module, *, target: float = 0.0) -> None:
        super().__init__()
        self.target = target
        # in a tuple: a module in an attribute would be a part of this one
        self.layers = tuple(layer for _, layer in kernels(network) if not is_bounded(layer))
        for number, layer in enumerate(self.layers):
            matrix = _matrix(layer).detach()
            start = F.normalize(torch.randn(matrix.shape[1], dtype=matrix.dtype, device=matrix.device), dim=0, eps=EPS)
            self.register_buffer(f"direction{number}", start)

    def forward(self) -> Tensor:
        """The penalty, a scalar; a network without free kernels costs nothing."""
        terms = [torch.zeros(())]
        for number, layer in enumerate(self.layers):
            matrix, inner = _matrix(layer), self.get_buffer(f"direction{number}")
            with torch.no_grad():
                outer = F.normalize(matrix @ inner, dim=0, eps=EPS)
                if self.training:
                    inner.copy_(F.normalize(matrix.T @ outer, dim=0, eps=EPS))
                    outer = F.normalize(matrix @ inner, dim=0, eps=EPS)
            # a copy: the next call changes the vector, perhaps before this one's slope is asked for
            gain = outer @ matrix @ inner.clone()
            terms.append((gain - self.target).square().to(terms[0]) / 2)
        return torch.stack(terms).sum()


def _matrix(layer: nn.Module) -> Tensor:
    """The kernel as (outputs, all the rest)."""
    kernel = layer.weight
    assert isinstance(kernel, Tensor)
    return (kernel.transpose(0, 1) if isinstance(layer, TRANSPOSED) else kernel).flatten(1)
