"""Feature networks: VGG from a file that is named, our own one, and the losses over them."""

import json
import math
import re
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from rsinpaint.errors import JobError
from rsinpaint.models.weights import check
from tests.training.made_places import made_places
from training.crops import Packed
from training.features import FEATURES, build
from training.features.losses import CONVENTIONS, FeatureLoss, scaled
from training.features.scores import STEPS, distances, order
from training.features.strata import Strata
from training.features.strata_file import CARD
from training.features.vgg import VGG16, VGG19, Vgg
from training.features.vgg_file import load
from training.features.views import ViewRecipe
from training.structure import gram

CONVOLUTIONS = {
    "vgg16_bn": (0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40),
    "vgg19": (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34),
}
"""Numbers of the convolutions in torchvision's `features`."""


def published(name: str, value: float) -> dict[str, torch.Tensor]:
    """A state dictionary with torchvision's keys and shapes, all kernels of one value; it takes no room in a file."""
    blocks, norm = (VGG16, True) if name == "vgg16_bn" else (VGG19, False)
    with torch.device("meta"):
        shapes = {key: tensor.shape for key, tensor in Vgg(blocks=blocks, norm=norm).state_dict().items()}
    state = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked"):
            continue  # as in the older of torchvision's files
        one = value if len(shape) == 4 else float(norm and key.endswith(("weight", "running_var")))
        state[key] = torch.tensor(one).expand(shape)
    return state | {"classifier.0.weight": torch.zeros(1)}


@pytest.fixture(scope="module")
def scenes() -> Packed:
    return made_places()


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_convolutions_stand_where_torchvision_has_them(name):
    kernels = [int(key.split(".")[1]) for key, value in published(name, 0.0).items() if value.ndim == 4]
    assert tuple(kernels) == CONVOLUTIONS[name]


@pytest.mark.parametrize(("name", "norm"), [("vgg16_bn", 1 / math.sqrt(1 + 1e-5)), ("vgg19", 1.0)])
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_vgg_uses_the_weights_of_the_file(name, norm, ending, tmp_path):
    """By hand: with kernels of one value v each layer gives v * (planes * pixels seen); 2 x 2 pixels see each other."""
    path, v = tmp_path / f"weights{ending}", 0.01
    state = published(name, v)
    if ending == ".pth":
        torch.save(state, path)
    else:
        blocks = {key: tensor for key, tensor in state.items() if key.startswith("features.")}
        save_file({key: tensor.half().contiguous() for key, tensor in blocks.items()}, path)
        v = float(torch.tensor(v).half())
    network = build(name, path)
    first, second, third = network(torch.ones(1, 3, 2, 2), ("relu1_1", "relu1_2", "relu2_1"))
    expected = [4 * 3 * v * norm]
    expected.append(4 * 64 * v * norm * expected[0])
    expected.append(64 * v * norm * expected[1])  # one pixel is left after the pooling
    for step, value, size in zip((first, second, third), expected, (2, 2, 1), strict=True):
        assert step.shape[2:] == (size, size)
        torch.testing.assert_close(step, torch.full_like(step, value), rtol=1e-4, atol=0)
    assert not any(weight.requires_grad for weight in network.parameters())


def test_vgg_with_random_weights_from_a_file_is_the_network_that_was_saved(tmp_path):
    torch.manual_seed(0)
    ours, other = (Vgg(blocks=VGG16, norm=True, width=4) for _ in range(2))
    for name, tensor in ours.named_buffers():
        if "running" in name:
            tensor.uniform_(0.5, 1.5)
    picture = torch.rand(2, 3, 32, 48)
    torch.save(
        {"state_dict": {f"module.{key}": tensor for key, tensor in ours.state_dict().items()}}, tmp_path / "a.pth"
    )
    before = other(picture)
    found, expected = load(other, "vgg16_bn", tmp_path / "a.pth")(picture), ours(picture)
    for a, b, c in zip(found, expected, before, strict=True):
        torch.testing.assert_close(a, b)
        assert not torch.equal(a, c)
    assert [step.shape[1] for step in found] == [4, 4, 8, 8, 16, 16, 16] + [32] * 6


def test_batch_norms_keep_the_statistics_of_the_file_while_something_else_is_trained():
    network = Vgg(blocks=(1,), norm=True, width=2)
    loss = FeatureLoss(network, CONVENTIONS["cmun"]).train()
    before = network.features[1].running_mean.clone()
    network(torch.rand(4, 3, 8, 8) + 5)
    assert not network.features[1].training and torch.equal(network.features[1].running_mean, before)
    assert loss.training


def test_files_that_are_no_vgg_are_refused_in_words(tmp_path):
    path = tmp_path / "weights.pth"
    with pytest.raises(JobError, match="`vgg19` comes without weights. Name a file"):
        build("vgg19")
    with pytest.raises(JobError, match=f"{re.escape(str(path))}` of feature network `vgg19` is missing"):
        build("vgg19", path)
    path.write_bytes(b"<html>")
    with pytest.raises(JobError, match="is not understood .*Name a file of ImageNet weights"):
        build("vgg19", path)
    torch.save(published("vgg16_bn", 0.0), path)
    with pytest.raises(JobError, match=r"has 18 of the 32 tensors of `vgg19` and 60 others.* at `features.1.bias`"):
        build("vgg19", path)
    torch.save(published("vgg19", 0.0) | {"features.5.weight": torch.zeros(2, 2, 3, 3)}, path)
    with pytest.raises(JobError, match=r"`features.5.weight` has the shape \[2, 2, 3, 3\], expected \[128, 64, 3, 3\]"):
        build("vgg19", path)
    torch.save({"features.0.weight": "a word"}, path)
    with pytest.raises(JobError, match="no named tensors"):
        build("vgg19", path)


def test_files_that_are_no_strata_are_refused_in_words(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(Strata(widths=(4, 8)).state_dict() | {"more": torch.zeros(1)}, path)
    with pytest.raises(JobError, match="holds 9 tensors of another network"):
        build("strata", path)
    save_file(Strata(widths=(4, 8)).state_dict(), path)
    assert build("strata", path).taps == ("scale1", "scale2")


def test_the_bundled_network_is_small_and_what_its_card_says(scenes):
    card = json.loads(CARD.read_text())
    path = CARD.with_name(card["weights"]["file"])
    check(path, card["weights"]["bytes"], card["weights"]["sha256"], "")
    assert path.stat().st_size < 1_000_000
    network = build("strata")
    assert list(network.widths) == card["config"]["widths"]
    assert 100_000 < sum(weight.numel() for weight in network.parameters()) < 400_000
    scores = {name: taught for name, taught, _ in card["scores"]["rows"]}
    assert scores.keys() == {"ground", "damage", *order(network, scenes, ViewRecipe(pairs=2))}
    assert scores["ground"] > 0.3 and scores["damage"] > 0.3  # by chance: 0.02, 0.2


@pytest.mark.parametrize("damage", STEPS)
def test_the_distance_of_the_bundled_network_grows_with_blur_and_noise(damage, scenes):
    found = distances(build("strata"), scenes, ViewRecipe(pairs=8), damage, STEPS[damage])
    assert (found.diff(dim=1).mean(0) > 0).all() and (found > 0).all()
    assert order(build("strata"), scenes, ViewRecipe(pairs=8))[f"order_{damage}"] > 0.9


def test_the_order_of_distances_sees_what_is_done_to_crops(scenes):
    """Of features that are the pixels: errors of one size are equally far, up to the shape of their spread."""

    class Pixels(torch.nn.Module):
        def forward(self, picture):
            return [picture]

    class Slopes(torch.nn.Module):
        def forward(self, picture):
            return [picture.diff(dim=3)]

    for network, blur in ((Pixels(), 0.0), (Slopes(), 1.0)):
        found = order(network, scenes, ViewRecipe(pairs=8))
        assert found["order_blur"] == found["order_noise"] == 1
        assert found["blur_beyond_offset"] == blur  # an offset has the largest absolute error of its size, and no slope


def test_every_feature_network_keeps_the_contract(tmp_path):
    for name in FEATURES:
        torch.save(published(name, 0.01) if name != "strata" else {}, tmp_path / "weights.pth")
        network = build(name, tmp_path / "weights.pth" if name != "strata" else None)
        taps = network.taps[2], network.taps[0]
        steps = network(torch.rand(1, network.planes, 16, 24), taps)
        assert [step.ndim for step in steps] == [4, 4] and steps[0].shape[2] < steps[1].shape[2] == 16


def test_the_conventions_name_networks_and_taps_that_exist():
    taps = {"strata": Strata().taps}
    for name, (blocks, norm) in {"vgg16_bn": (VGG16, True), "vgg19": (VGG19, False)}.items():
        with torch.device("meta"):
            taps[name] = Vgg(blocks=blocks, norm=norm).taps
    assert {"ecea", "edge_learning", "cmun", "ocean_gated", "strata"} == set(CONVENTIONS)
    for rule in CONVENTIONS.values():
        assert {*rule.perceptual_taps, *rule.style_taps} <= set(taps[rule.features])


class Same(torch.nn.Module):
    """Features that are the picture."""

    taps = ("relu2_1",)

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.planes = planes
        self.seen: list[torch.Tensor] = []

    def forward(self, picture, taps):
        self.seen.append(picture)
        return [picture for _ in taps]


def rule(name: str, **changes):
    return replace(CONVENTIONS[name], perceptual_taps=("relu2_1",), style_taps=("relu2_1",), side=None, **changes)


def test_the_loss_of_three_bands_by_hand():
    """Pictures of ones and zeros: features differ by 1; Gram matrices by 1 / planes, or by 1 (pixels alone)."""
    made, truth = torch.ones(2, 3, 4, 5), torch.zeros(2, 3, 4, 5)
    for name, expected in (("ecea", 0.5 + 10000 / 3), ("edge_learning", 0.1 + 250 / 3), ("cmun", 0.005 + 0.12)):
        assert float(FeatureLoss(Same(3), rule(name))(made, truth)) == pytest.approx(expected)


def test_the_loss_band_by_band_is_the_mean_of_the_bands_and_repeats_them():
    """Eleven bands: 5/11 and 120/11 a band, by 0.001, are 0.005 and 0.12 of the mean."""
    torch.manual_seed(0)
    made, truth = torch.rand(2, 11, 6, 6), torch.rand(2, 11, 6, 6)
    features = Same(3)
    loss = FeatureLoss(features, rule("ocean_gated", scaling="none"))
    each = [FeatureLoss(features, rule("cmun"))(*(x[:, [band] * 3] for x in (made, truth))) for band in range(11)]
    assert float(loss(made, truth)) == pytest.approx(float(torch.stack(each).mean()), rel=1e-5)
    assert features.seen[-1].shape == (22, 3, 6, 6) and torch.equal(features.seen[-1][:, 0], features.seen[-1][:, 2])
    order_ = torch.randperm(11)
    torch.testing.assert_close(loss(made[:, order_], truth[:, order_]), loss(made, truth))


def test_gram_matrices_are_planes_by_planes_also_band_by_band():
    """Published fault of the Sentinel-3 model: rows by rows. The style of shuffled pixels is the same."""
    torch.manual_seed(0)
    truth = torch.rand(1, 2, 6, 7)
    shuffled = truth.flatten(2)[:, :, torch.randperm(42)].view_as(truth)
    perceptual, style = FeatureLoss(Same(3), rule("ocean_gated")).terms(shuffled, truth)
    assert float(perceptual) > 0.1 and float(style) == pytest.approx(0, abs=1e-6)
    assert gram(torch.rand(2, 5, 3, 4)).shape == (2, 5, 5)
    torch.testing.assert_close(gram(torch.full((1, 2, 3, 3), 2.0), by_planes=False), torch.full((1, 2, 2), 4.0))


def test_scaling_follows_the_truth_and_survives_flat_bands():
    truth = torch.tensor([[[[2.0, 4.0]], [[7.0, 7.0]]]])
    made = truth + 2
    torch.testing.assert_close(scaled(made, truth, "span"), torch.tensor([[[[1.0, 2.0]], [[2.0, 2.0]]]]))
    torch.testing.assert_close(scaled(made, truth, "deviation"), torch.tensor([[[[1.0, 3.0]], [[2.0, 2.0]]]]))
    assert scaled(made, truth, "none") is made


def test_pictures_are_enlarged_as_the_system_does_it():
    features = Same(3)
    picture = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).expand(1, 3, 2, 2)
    for enlarge, expected in (("nearest", [0, 0, 1, 1]), ("bilinear", [0, 0.25, 0.75, 1])):
        FeatureLoss(features, replace(rule("cmun"), side=4, enlarge=enlarge))(picture, picture)
        assert features.seen[-1][0, 0, 0].tolist() == expected


def test_a_loss_that_weighs_nothing_costs_nothing_and_wrong_bands_are_named():
    loss = FeatureLoss(Same(3), rule("ecea", style=0.0))
    perceptual, style = loss.terms(torch.ones(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))
    assert (float(perceptual), float(style)) == (1, 0)
    with pytest.raises(ValueError, match="pictures of 4 bands, expected 3 for `vgg19`, or `by_band`"):
        loss(torch.ones(1, 4, 4, 4), torch.ones(1, 4, 4, 4))


def test_the_default_loss_teaches_any_number_of_bands_and_not_the_network():
    loss = FeatureLoss(build("strata"), CONVENTIONS["strata"])
    torch.manual_seed(0)
    for bands in (1, 4):
        truth = torch.rand(1, bands, 24, 32)
        made = truth.roll(3, -1).requires_grad_(True)
        value = loss(made, truth)
        value.backward()
        assert float(value.detach()) > 0 and made.grad is not None and float(made.grad.abs().max()) > 0
        assert float(loss(truth, truth)) == 0
        # units do not matter
        torch.testing.assert_close(loss(1000 * made + 50, 1000 * truth + 50), value, rtol=1e-3, atol=1e-5)
    assert all(weight.grad is None for weight in loss.features.parameters())
