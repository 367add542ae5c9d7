"""SIMT, our reconstruction: the mask it finds, what it does with one that it is given, and its discriminator."""

import pytest
import torch
from torch import Tensor

import known
from rsinpaint.networks.blocks import corners
from rsinpaint.networks.simt import (
    AttentionFusion,
    DilatedPyramid,
    Discriminator,
    MaskExtraction,
    Simt,
)
from training.mask_losses import iou, mask_loss, soft_target


def inputs(rows: int = 32, columns: int = 48, bands: int = 3) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.rand(2, bands, rows, columns) * 2 - 1, (torch.rand(2, 1, rows, columns) > 0.7).float()


def small(**config: object) -> Simt:
    """A network whose attention has started: fresh gammas are 0."""
    torch.manual_seed(0)
    network = Simt(**{"width": 8} | config).eval()
    fusion = network.uin.fusion
    for gamma in (fusion.gamma, fusion.attention.gamma):
        torch.nn.init.constant_(gamma, 0.5)
    return network


@pytest.mark.parametrize("bands", [1, 4])
@pytest.mark.parametrize("size", [(4, 4), (20, 36), (64, 28)])
def test_any_bands_and_any_sides_that_divide_by_multiple(bands, size):
    image, holes = inputs(*size, bands)
    assert all(side % Simt.multiple == 0 for side in size)
    with torch.inference_mode():
        answer = small(bands=bands)(image, holes)
    assert set(answer) == {"fill", "mask"}
    assert answer["fill"].shape == image.shape and answer["mask"].shape == holes.shape
    assert answer["fill"].abs().max() < 1
    assert answer["mask"].min() > 0 and answer["mask"].max() < 1


def test_holes_of_each_band_count_as_holes_of_all():
    image, holes = inputs()
    apart = torch.zeros_like(image)
    apart[:, 1:2] = holes
    network = small()
    with torch.inference_mode():
        torch.testing.assert_close(network(image, apart)["fill"], network(image, holes)["fill"], rtol=0, atol=0)


def test_the_limit_is_that_of_the_answer():
    image, holes = inputs()
    network = small(limit=3.0)
    torch.nn.init.constant_(network.uin.decoder[-1].conv.bias, 100.0)
    with torch.inference_mode():
        fill = network(image, holes)["fill"]
    assert fill.max() <= 3 and fill.max() > 2.9


@pytest.mark.parametrize("gated", [False, True])
def test_branches_of_a_pyramid_look_farther_and_are_parted_finer(gated):
    pyramid = DilatedPyramid(64, gated=gated)
    for branch, step in zip(pyramid.branches, (1, 2, 4, 8), strict=True):
        for conv in (branch.conv, branch.gate) if gated else (branch,):
            assert conv.weight.shape == (16, 64 // step, 3, 3)
            assert conv.dilation == conv.padding == (step, step) and conv.groups == step
    assert pyramid.mix.weight.shape == (64, 64, 1, 1)
    x = torch.zeros(1, 64, 33, 33, requires_grad=True)
    pyramid.eval()(x)[0, :, 16, 16].sum().backward()
    rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten().tolist()
    assert rows == [8, 12, 14, 15, 16, 17, 18, 20, 24]


def test_a_pyramid_that_mixes_nothing_leaves_its_input():
    pyramid = DilatedPyramid(32, gated=False)
    for tensor in pyramid.mix.parameters():
        torch.nn.init.zeros_(tensor)
    x = torch.rand(1, 32, 8, 8)
    torch.testing.assert_close(pyramid(x), x, rtol=0, atol=0)


def test_the_defaults_have_the_widths_of_the_description():
    with torch.device("meta"):
        network = Simt()
    shapes = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert shapes["men.full.weight"] == (32, 3, 5, 5)
    assert shapes["men.shrink.1.weight"] == (128, 64, 4, 4)
    assert shapes["men.grow.0.weight"] == (64, 192, 3, 3) and shapes["men.grow.1.weight"] == (32, 96, 3, 3)
    assert shapes["men.pyramids.3.branches.3.weight"] == (32, 16, 3, 3)
    assert shapes["uin.encoder.0.conv.weight"] == (32, 5, 5, 5)
    assert shapes["uin.pyramids.3.branches.3.gate.weight"] == (32, 16, 3, 3)
    assert shapes["uin.fusion.weigh.0.weight"] == (16, 128, 1, 1)
    assert shapes["uin.fusion.gamma"] == shapes["uin.fusion.attention.gamma"] == (1,)
    assert "uin.decoder.6.bn.running_mean" not in shapes


def test_a_width_that_cannot_be_parted_is_named():
    with pytest.raises(ValueError, match="width 12, expected a multiple of 8"):
        Simt(width=12)


def test_fresh_fusion_does_nothing_and_each_gamma_lets_one_attention_in():
    torch.manual_seed(0)
    fusion, x, missing = AttentionFusion(32), torch.rand(1, 32, 4, 6), torch.ones(1, 1, 16, 24)
    missing[..., :4, :4] = 0
    with torch.no_grad():
        torch.testing.assert_close(fusion(x, missing), x, rtol=0, atol=0)
        for gamma in (fusion.gamma, fusion.attention.gamma):
            torch.nn.init.constant_(gamma, 1.0)
            changed = (fusion(x, missing) - x).abs().amax(1)[0]
            torch.nn.init.zeros_(gamma)
            assert changed[0, 0] == 0, "nothing is missing there"
            assert changed.flatten()[1:].min() > 0


def test_fusion_is_the_formula():
    torch.manual_seed(0)
    fusion, x = AttentionFusion(16).double(), torch.rand(1, 16, 2, 3, dtype=torch.float64)
    missing = torch.rand(1, 1, 8, 12, dtype=torch.float64)
    torch.nn.init.constant_(fusion.attention.gamma, 0.7)
    torch.nn.init.constant_(fusion.gamma, -0.4)
    with torch.no_grad():
        query, key, value = (
            part(x).flatten(2)[0] for part in (fusion.attention.query, fusion.attention.key, fusion.attention.value)
        )
        far = (value @ torch.softmax(query.T @ key, dim=1).T).view(1, 16, 2, 3)
        first, _, second, _ = fusion.weigh
        planes = torch.sigmoid(second(torch.relu(first(x.mean((2, 3), keepdim=True)))))
        share = missing.view(1, 1, 2, 4, 3, 4).mean((3, 5))
        expected = x + share * (0.7 * far - 0.4 * planes * x)
        torch.testing.assert_close(fusion(x, missing), expected, rtol=0, atol=1e-12)


def test_every_weight_of_both_networks_learns():
    """Of MEN, too, from the fill alone: through the mask that UIN is given."""
    image, holes = inputs()
    network = small().train()
    answer = network(image, holes)
    answer["fill"].square().mean().backward(retain_graph=True)
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in network.men.parameters())
    network.zero_grad()
    (answer["fill"].square().mean() + mask_loss(answer["mask"], holes)).backward()
    # softmax does not see what it adds to a whole row
    idle = {"uin.fusion.attention.key.bias"}
    for name, weight in network.named_parameters():
        assert name in idle or (weight.grad is not None and weight.grad.abs().max() > 0), name


def test_gammas_learn_from_their_start_at_0():
    image, holes = inputs()
    torch.manual_seed(0)
    network = Simt(width=8)
    network(image, holes)["fill"].square().mean().backward()
    fusion = network.uin.fusion
    for gamma in (fusion.gamma, fusion.attention.gamma):
        assert gamma.item() == 0 and gamma.grad.item() != 0


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_empty_and_full_masks_are_finite_in_training_and_evaluation(share):
    image, holes = inputs()
    for network in (small(), small().train()):
        answer = network(image, torch.full_like(holes, share))
        loss = answer["fill"].mean() + mask_loss(answer["mask"], torch.full_like(holes, share))
        loss.backward()
        assert torch.isfinite(answer["fill"]).all() and torch.isfinite(loss)
        assert all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch():
    image, holes = inputs()
    network = small()
    with torch.inference_mode():
        together, alone = network(image, holes), network(image[:1], holes[:1])
        again = network(image, holes)
    for key in together:
        torch.testing.assert_close(together[key][:1], alone[key], rtol=0, atol=1e-6)
        torch.testing.assert_close(together[key], again[key], rtol=0, atol=0)


def test_uin_does_not_see_what_lies_in_holes_and_men_does():
    image, holes = inputs()
    other = torch.where(holes > 0, image + 1, image)
    network = small()
    with torch.inference_mode():
        found, changed = network.men.found(image), network.men.found(other)
        assert not torch.equal(found, changed)
        fills = [network.uin(picture, holes, found) for picture in (image, other)]
    torch.testing.assert_close(*fills, rtol=0, atol=0)


def test_given_holes_are_certain_where_men_sees_none():
    image, holes = inputs()
    network = small()
    torch.nn.init.constant_(network.men.head.bias, -50.0)
    seen = known.watch(network, ["uin.encoder"])
    first: list[Tensor] = []
    network.uin.encoder.register_forward_pre_hook(lambda _, planes: first.append(planes[0]))
    with torch.inference_mode():
        network(image, holes), network(image, torch.zeros_like(holes))
    torch.testing.assert_close(first[0][:, 3:4], holes, rtol=0, atol=1e-12)
    torch.testing.assert_close(first[0][:, :3], image * (1 - holes), rtol=0, atol=0)
    assert not torch.equal(*seen["uin.encoder"])


def test_what_men_finds_reaches_uin_beside_the_given_holes():
    image, holes = inputs()
    network = small()
    first: list[Tensor] = []
    network.uin.encoder.register_forward_pre_hook(lambda _, planes: first.append(planes[0]))
    with torch.inference_mode():
        found = network(image, holes)["mask"]
    torch.testing.assert_close(first[0][:, 3:4], torch.maximum(found, holes), rtol=0, atol=0)


def test_without_holes_those_that_men_finds_are_filled():
    image, _ = inputs()
    network = small()
    with torch.inference_mode():
        blind = network(image)
        found = (blind["mask"] > 0.5).float()
        assert 0 < found.mean() < 1
        torch.testing.assert_close(blind["fill"], network(image, found)["fill"], rtol=0, atol=0)


def test_men_alone_finds_what_it_finds_within_the_whole():
    image, holes = inputs()
    network, men = small(), MaskExtraction(width=8)
    men.load_state_dict(network.men.state_dict())
    with torch.inference_mode():
        alone = men(image, holes)
        torch.testing.assert_close(alone["mask"], network(image, holes)["mask"], rtol=0, atol=0)
    assert torch.equal(alone["fill"], image)


@pytest.mark.parametrize("pixel", [200, 201, 202, 203])
def test_men_looks_no_farther_than_its_halo(pixel):
    torch.manual_seed(0)
    men = MaskExtraction(bands=1, width=8).double()
    image = torch.rand(1, 1, 400, 4, dtype=torch.float64, requires_grad=True)
    men.found(image)[0, 0, pixel].sum().backward()
    rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
    reach = max(pixel - int(rows.min()), int(rows.max()) - pixel)
    assert men.halo - 4 < reach <= men.halo


def striped() -> tuple[Tensor, Tensor]:
    """Noise with stripes of the lowest value, at random distances, and their holes."""
    period, phase = torch.randint(7, 15, (4, 1)), torch.randint(15, (4, 1))
    holes = ((torch.arange(32) + phase) % period < 3).float()[:, None, :, None].expand(-1, 1, -1, 32)
    return torch.where(holes > 0, -1.0, torch.rand(holes.shape) - 0.4), holes


def test_men_learns_to_find_stripes():
    torch.manual_seed(0)
    men = MaskExtraction(bands=1, width=8)
    other, missing = striped()
    optimiser = torch.optim.Adam(men.parameters(), lr=5e-3)
    for _ in range(40):
        image, holes = striped()
        optimiser.zero_grad()
        mask_loss(men.found(image), holes).backward()
        optimiser.step()
    with torch.no_grad():
        assert float(iou(men.found(other), missing)) >= 0.9


def test_iou_by_hand():
    found, holes = torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    assert float(iou(found, holes)) == 1
    found[0, ..., :2, :], holes[0, ..., 1:3, :] = 0.6, 1  # 8 each, 4 in common; the other sample: none of either
    assert float(iou(found, holes)) == pytest.approx((4 / 12 + 1) / 2)
    assert float(iou(found, holes, threshold=0.7)) == pytest.approx(0.5)
    assert float(iou(1 - soft_target(holes), holes)) < 0.6


def settled() -> Discriminator:
    """As after some steps of training: the spectral norms of fresh layers are not known yet."""
    torch.manual_seed(0)
    network = Discriminator(side=128, local_side=64, width=8)
    picture, holes = torch.rand(1, 3, 128, 128), torch.ones(1, 1, 128, 128)
    with torch.no_grad():
        for _ in range(10):
            network(picture, holes, [(0, 0)])
    return network.eval()


def test_the_local_view_lies_where_the_caller_says():
    network = settled()
    picture, holes = torch.rand(2, 3, 128, 128), torch.zeros(2, 1, 128, 128)
    holes[..., 90:110, 70:100] = 1
    changed = torch.where(holes > 0, picture + 1, picture)
    for places, sees in ((corners(holes, 64), True), ([(0, 0)] * 2, False)):
        seen = known.watch(network, ["local"])
        with torch.inference_mode():
            network(picture, holes, places), network(changed, holes, places)
        assert torch.equal(*seen["local"]) != sees


def test_the_whole_view_sees_what_the_local_one_does_not():
    network = settled()
    picture, holes = torch.rand(1, 3, 128, 128), torch.zeros(1, 1, 128, 128)
    changed = picture.clone()
    changed[..., 80:, 80:] += 1
    with torch.inference_mode():
        assert not torch.equal(network(picture, holes, [(0, 0)]), network(changed, holes, [(0, 0)]))


def test_scores_are_logits_that_reach_the_margins():
    network = settled()
    picture, holes = torch.rand(2, 3, 128, 128), torch.ones(2, 1, 128, 128)
    torch.nn.init.constant_(network.head.bias, -5.0)
    with torch.inference_mode():
        scores = network(picture, holes, corners(holes, 64))
    assert scores.shape == (2, 1) and scores.max() < -1


def test_spectral_norm_acts_on_every_layer():
    torch.manual_seed(0)
    network = Discriminator(side=128, local_side=64, width=8)
    for name, weight in network.named_parameters():
        if name.endswith("weight_orig"):
            torch.nn.init.normal_(weight, std=1.0)
    picture, holes = torch.rand(1, 3, 128, 128), torch.ones(1, 1, 128, 128)
    with torch.no_grad():
        for _ in range(40):
            network(picture, holes, [(0, 0)])
    bounded = [part for part in network.modules() if hasattr(part, "weight_orig")]
    assert len(bounded) == 7 + 6 + 1
    for part in bounded:
        assert torch.linalg.matrix_norm(part.weight.flatten(1), 2) < 1.1


def test_sides_that_cannot_be_halved_so_often_are_named():
    with pytest.raises(ValueError, match="sides 100 and 64, expected multiples of 128 and 64"):
        Discriminator(side=100, local_side=64)
