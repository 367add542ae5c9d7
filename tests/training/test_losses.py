"""Losses against values worked out by hand or recorded from the authors' own classes."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.backend import known
from training.adversarial import ADVERSARIAL, feature_matching, gradient_penalty
from training.losses import weighted_l1
from training.mask_losses import dice, mask_loss, soft_target
from training.structure import (
    attention_loss,
    attention_target,
    edge_loss,
    gram,
    perceptual_loss,
    ssim,
    structure_loss,
    style_loss,
)

RECORDED = known.answers("preprocessing_and_losses")
formula = known.formula


def picture(*shape: int, phase: float = 0.0) -> torch.Tensor:
    return torch.from_numpy(formula.image(*shape, phase))[None]


def test_weighted_l1_is_the_recorded_reconstruction_loss():
    truth, coarse, refined = (2 * picture(3, 64, 96, phase=phase) - 1 for phase in (0.0, 0.3, 0.1))
    holes = torch.from_numpy(formula.mask(64, 96))[None]
    for hole, valid, name in ((1.2, 1.2, "recon_1.2_1.2_1.2_1.2"), (3, 1, "recon_3_1_3_1")):
        loss = sum(weighted_l1(made, truth, holes, hole=hole, valid=valid) for made in (refined, coarse))
        assert float(loss) == pytest.approx(RECORDED["cmun_losses"][name], abs=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_weighted_l1_of_an_empty_or_full_mask_is_finite(share):
    """Published fault: 0 / 0."""
    truth = torch.zeros(2, 3, 8, 8)
    assert float(weighted_l1(truth + 0.5, truth, torch.full((2, 1, 8, 8), share), hole=3, valid=2)) == 0.5 * (2 + share)


def test_hinge_is_the_recorded_one():
    real, made = 3 * picture(1, 1, 64) - 1.5, 3 * picture(1, 1, 64, phase=2.0) - 1.5
    losses = RECORDED["cmun_losses"]
    assert float(ADVERSARIAL["hinge"].discriminator(real, made)) == pytest.approx(losses["hinge_D"], abs=1e-9)
    assert 0.005 * float(ADVERSARIAL["hinge"].generator(made)) == pytest.approx(losses["hinge_G_0.005"], abs=1e-9)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("absolute", (0.5 + 0.25) / 2, 0.75),
        ("hinge", 0.5 + 1.25, -0.25),
        ("softplus", math.log(1 + math.exp(-0.5)) + math.log(1 + math.exp(0.25)), math.log(1 + math.exp(-0.25))),
        ("squares", (0.25 + 0.0625) / 2, 0.5625),
    ],
)
def test_adversarial_losses_by_hand(name, discriminator, generator):
    real, made = torch.full((3, 1, 2, 2), 0.5), torch.full((3, 1, 2, 2), 0.25)
    assert float(ADVERSARIAL[name].discriminator(real, made)) == pytest.approx(discriminator)
    assert float(ADVERSARIAL[name].generator(made)) == pytest.approx(generator)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_discriminator_learns_from_what_is_made(name):
    """Published fault: the loss of fakes had no gradient, so that everything came to look real."""
    torch.manual_seed(0)
    ends = [nn.Sigmoid()] if name == "absolute" else []
    discriminator = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1), *ends)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=0.02)
    real, made = torch.randn(5, 4) + 1, torch.randn(5, 4) - 1
    for _ in range(60):
        optimiser.zero_grad()
        ADVERSARIAL[name].discriminator(discriminator(real), discriminator(made)).backward()
        optimiser.step()
    with torch.no_grad():
        assert float(discriminator(real).mean() - discriminator(made).mean()) > 0.5


def test_the_gradient_penalty_of_a_plane_is_known():
    weight = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    real, made = torch.rand(4, 2, 1, 1), torch.rand(4, 2, 1, 1)
    for centre, penalty in ((1.0, 16.0), (0.0, 25.0)):
        found = gradient_penalty(lambda x: (x * weight).sum((1, 2, 3)), real, made, centre=centre)
        assert float(found.detach()) == pytest.approx(penalty)


def test_the_gradient_penalty_teaches_the_discriminator():
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    gradient_penalty(network, torch.rand(2, 3), torch.rand(2, 3)).backward()
    assert network.weight.grad is not None and float(network.weight.grad.abs().max()) > 0


def test_feature_matching_adds_up_the_steps_and_leaves_the_real_alone():
    real = [torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 4, requires_grad=True)]
    made = [torch.full((1, 2), 2.0, requires_grad=True), torch.full((1, 4), 3.0, requires_grad=True)]
    loss = feature_matching(made, real)
    assert float(loss.detach()) == 4 + 9
    loss.backward()
    assert all(step.grad is None for step in real) and all(step.grad is not None for step in made)


def test_the_soft_target_by_hand():
    holes = torch.zeros(2, 1, 1, 9)
    holes[0, 0, 0, 4] = 1
    expected = np.exp(-np.abs(np.arange(9) - 4) / 4)
    np.testing.assert_allclose(soft_target(holes)[0, 0, 0], expected, rtol=1e-6)
    assert soft_target(holes)[1].eq(0).all()  # nothing missing


def test_dice_by_hand():
    found, holes = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    assert float(dice(found, holes)) == 0
    found[..., :2, :], holes[..., 1:3, :] = 1, 1  # 8 each, 4 in common
    assert float(dice(found, holes)) == pytest.approx(1 - 9 / 17)
    assert float(dice(holes, holes)) == 0


def test_the_mask_loss_by_hand():
    holes = torch.ones(1, 1, 4, 4)
    found = torch.full((1, 1, 4, 4), 0.5)
    expected = math.log(2) + 0.5 + 0.5 * (1 - 17 / 25)
    assert float(mask_loss(found, holes)) == pytest.approx(expected)
    assert float(mask_loss(holes, holes)) == 0
    assert math.isfinite(float(mask_loss(torch.zeros_like(holes), holes)))


def test_ssim_of_flat_pictures_and_of_a_stretched_one_is_known():
    flat = torch.full((1, 1, 16, 16), 0.4, dtype=torch.float64)
    likeness = (2 * 0.4 * 0.8 + 1e-4) / (0.4**2 + 0.8**2 + 1e-4)
    assert float(ssim(flat, 2 * flat)) == pytest.approx(likeness)
    assert float(ssim(flat * 100, 200 * flat, peak=100)) == pytest.approx(likeness)
    truth = picture(3, 32, 32)
    assert float(ssim(truth, truth)) == pytest.approx(1)


def test_ssim_agrees_with_torchmetrics():
    from torchmetrics.functional.image import structural_similarity_index_measure as theirs

    made, truth = picture(3, 32, 40, phase=0.4), picture(3, 32, 40)
    assert float(ssim(made, truth)) == pytest.approx(float(theirs(made, truth, data_range=1.0)), abs=1e-6)


def test_the_structure_loss_is_minus_the_logarithm_and_finite_for_opposites():
    """Published fault: NaN where SSIM is negative."""
    truth = picture(1, 32, 32)
    made = picture(1, 32, 32, phase=0.2)
    assert float(structure_loss(made, truth)) == pytest.approx(-math.log(float(ssim(made, truth))))
    torch.manual_seed(0)
    lines = (torch.rand(1, 1, 32, 32) > 0.5).double()
    opposite = (1 - lines).requires_grad_(True)
    assert float(ssim(opposite.detach(), lines)) < 0
    loss = structure_loss(opposite, lines)
    loss.backward()
    assert float(loss.detach()) > -math.log(0.1)
    assert opposite.grad is not None and torch.isfinite(opposite.grad).all() and float(opposite.grad.abs().max()) > 0


def test_the_edge_loss_everywhere_and_in_holes():
    drawn, target, holes = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 0.5], [0, 0]]]]), torch.zeros(1, 1, 2, 2)
    holes[..., 0, 1] = 1
    assert float(edge_loss(drawn, target)) == 0.375
    assert float(edge_loss(drawn, target, holes)) == 0.5
    assert float(edge_loss(drawn, target, torch.zeros_like(holes))) == 0


def test_the_attention_targets_are_the_recorded_ones():
    truth = torch.floor(255 * picture(3, 48, 64) + 0.5) / 255
    mask = torch.from_numpy(formula.mask(48, 64))
    cloudy = torch.floor(255 * (picture(3, 48, 64) + 0.4 * mask).clamp(0, 1) + 0.5)
    cloudy[:, :, :10] = (cloudy[:, :, :10] - 20).clamp(min=0)
    cloudy /= 255
    recorded = RECORDED["spa_gan_M"]
    assert float(attention_target(truth, cloudy, corrected=False).mean()) == recorded["M_as_coded_mean"]
    assert float(attention_target(truth, cloudy).mean()) == recorded["M_with_absolute_value_mean"]


def test_white_cloud_is_attended_to_when_corrected():
    """Published fault: the sign, by which cloud is 0 and shadow 1."""
    truth = torch.full((1, 3, 4, 4), 0.3)
    cloudy = truth.clone()
    cloudy[..., :2, :] = 1.0
    under = torch.zeros(1, 1, 4, 4)
    under[..., :2, :] = 1
    assert torch.equal(attention_target(truth, cloudy), under)
    assert attention_target(truth, cloudy, corrected=False).eq(0).all()
    assert float(attention_loss(under, truth, cloudy)) == 0
    assert float(attention_loss(under, truth, cloudy, corrected=False)) == 0.5


def test_the_gram_matrix_is_planes_by_planes_and_does_not_know_places():
    """Published fault of the Sentinel-3 model: it was rows by rows."""
    features = torch.rand(2, 3, 5, 7)
    turned = features.flatten(2)[:, :, torch.randperm(35)].view(2, 3, 5, 7)
    assert gram(features).shape == (2, 3, 3)
    torch.testing.assert_close(gram(features), gram(turned))
    ones = torch.ones(1, 2, 2, 2)
    torch.testing.assert_close(gram(ones * 3), torch.full((1, 2, 2), 9 / 2))


def test_style_and_perceptual_losses_by_hand():
    made, truth = [torch.ones(1, 2, 2, 2), torch.ones(1, 4, 1, 1)], [torch.zeros(1, 2, 2, 2), torch.zeros(1, 4, 1, 1)]
    assert float(style_loss(made, truth)) == 1 / 2 + 1 / 4
    assert float(perceptual_loss(made, truth)) == 2
