"""Spectral norm and spectral regularisation: that they act, and on what."""

import pytest
import torch
from torch import nn

from rsinpaint.networks import ocean_gated
from rsinpaint.networks.blocks import PatchDiscriminator
from training.spectral import SpectralPenalty, bound, gains, is_bounded


def layers() -> nn.Sequential:
    """One of each kind of layer, with gains far from 1."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.Conv2d(4, 4, 3, groups=2), nn.Flatten()
    ).append(nn.Linear(4 * 14 * 14, 2))
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(7)
    return network


def test_gains_are_the_largest_singular_values_with_outputs_as_rows():
    network = nn.Sequential(nn.Linear(2, 2), nn.ConvTranspose2d(2, 3, 1), nn.ReLU())
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[0.0, -3.0], [2.0, 0.0]]))
        network[1].weight.copy_(torch.tensor([[1.0, 2, 2], [0, 0, 0]]).view(2, 3, 1, 1))
    assert gains(network) == {"0": pytest.approx(3), "1": pytest.approx(3)}
    network = layers()
    kernel = network[1].weight.detach()
    matrix = kernel.permute(1, 0, 2, 3).reshape(4, -1)
    assert gains(network)["1"] == pytest.approx(float(torch.linalg.svdvals(matrix)[0]), rel=1e-5)


def test_after_training_calls_every_bounded_kernel_has_a_gain_of_one():
    """Published fault of the Sentinel-3 model: the wrapper never learnt that it was trained, and did nothing."""
    network = bound(layers())
    assert all(is_bounded(network[number]) for number in (0, 1, 2, 4)) and bound(network) is network
    with torch.no_grad():  # as a large step of an optimiser would
        for name, weight in network.named_parameters():
            if name.endswith("original"):
                weight.copy_(torch.randn_like(weight))
    picture = torch.rand(1, 3, 8, 8)
    network.eval()
    for _ in range(60):
        network(picture)
    assert max(abs(gain - 1) for gain in gains(network).values()) > 0.1  # evaluation looks for nothing
    network.train()
    for _ in range(60):
        network(picture)
    assert network.training and network[0].training
    assert list(gains(network).values()) == pytest.approx([1] * 4, abs=0.02)


def test_looking_at_gains_changes_nothing():
    network = bound(layers())
    network[0].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    gains(network)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert network.training and not network[0].training


@pytest.mark.parametrize(
    "network",
    [
        lambda: (PatchDiscriminator(inputs=1), (torch.rand(1, 1, 32, 32),)),
        lambda: (
            ocean_gated.Discriminator(bands=2, side=128),
            (torch.rand(1, 2, 128, 128), torch.rand(1, 1, 128, 128)),
        ),
    ],
    ids=["patches", "ocean_gated"],
)
def test_the_published_networks_bound_their_kernels_when_they_are_trained(network):
    torch.manual_seed(0)
    made, pictures = network()
    made.train()
    for _ in range(12):
        made(*pictures)
    bounded = {name for name, layer in made.named_modules() if is_bounded(layer)}
    assert len(bounded) >= 5
    for name, gain in gains(made).items():
        if name in bounded:
            assert gain == pytest.approx(1, abs=0.1), name


def test_the_spectral_penalty_by_hand():
    """Half of 3 squared; its slope is 3 along the first singular vectors and nothing elsewhere."""
    network = nn.Linear(2, 2)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 1.0]]))
    penalty = SpectralPenalty(network)
    for _ in range(20):
        value = penalty()
    assert float(value.detach()) == pytest.approx(4.5)
    value.backward()
    torch.testing.assert_close(network.weight.grad, torch.tensor([[3.0, 0.0], [0.0, 0.0]]), atol=1e-4, rtol=0)
    assert float(SpectralPenalty(network, target=3.0).eval()().detach()) < 2
    assert not list(penalty.parameters()) and list(penalty.state_dict()) == ["direction0"]


def test_the_spectral_penalty_draws_every_kernel_to_its_target():
    network = layers()
    before, penalty = gains(network), SpectralPenalty(network, target=1.0)
    assert min(before.values()) > 2
    optimiser = torch.optim.SGD(network.parameters(), lr=0.3)
    for _ in range(150):
        optimiser.zero_grad()
        penalty().backward()
        optimiser.step()
    assert list(gains(network).values()) == pytest.approx([1] * 4, abs=0.05)


def test_the_spectral_penalty_leaves_bounded_kernels_alone_and_learns_in_training_only():
    assert float(SpectralPenalty(bound(layers()))()) == 0
    penalty = SpectralPenalty(layers()).eval()
    first = {name: tensor.clone() for name, tensor in penalty.state_dict().items()}
    penalty()
    assert all(torch.equal(tensor, first[name]) for name, tensor in penalty.state_dict().items())
    penalty.train()()
    assert not any(torch.equal(tensor, first[name]) for name, tensor in penalty.state_dict().items())
