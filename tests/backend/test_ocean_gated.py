"""The Sentinel-3 model is the published network, and its corrected form lacks the published faults."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import known
from rsinpaint.networks.ocean_gated import Discriminator, OceanGated

TOLERANCE = 1e-4
"""Recorded in float32 by another framework."""


@pytest.fixture(scope="module")
def published():
    network = OceanGated(mode="as_published")
    missing, unexpected = network.load_state_dict(known.state("sentinel3_G", 1.3), strict=False)
    assert not unexpected and all(key.endswith("num_batches_tracked") for key in missing)
    return network.eval()


def sample(size: int, phase: float = 0.0) -> torch.Tensor:
    mask = known.mask(size, size, torch.float32)
    return torch.cat([known.picture(11, size, size, torch.float32, phase) * (1 - mask), mask], dim=1)


def small(mode: str = "corrected", bands: int = 2) -> OceanGated:
    """Untrained, but every weight matters."""
    torch.manual_seed(0)
    network = OceanGated(bands=bands, width=8, mode=mode).eval()
    torch.nn.init.constant_(network.attention.gamma, 0.5)
    return network


def test_the_generator_gives_the_known_answers(published):
    run = known.answers("sentinel3_G")["runs"][0]
    with torch.inference_mode():
        coarse, refined, final = published.generate(sample(64))
    known.same(coarse[0], run["outputs"]["coarse"], TOLERANCE)
    known.same(refined[0], run["outputs"]["refined_2x"], TOLERANCE)
    known.same(final[0], run["outputs"]["final_after_2x2_max_pool"], TOLERANCE)


def test_names_shapes_and_counts_are_the_published_ones():
    with torch.device("meta"):
        network, discriminator = OceanGated(mode="as_published"), Discriminator(mode="as_published")
    ours = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items() if "num_batches" not in key}
    assert ours == {key: shape for key, shape, _ in known.keys("sentinel3_G")}
    assert sum(weight.numel() for weight in network.parameters()) == 6_080_185
    trained = sum(weight.numel() for weight in discriminator.parameters())
    # Keras counts one vector of each spectral norm among the weights
    kept = sum(vector.numel() for name, vector in discriminator.named_buffers() if name.endswith("weight_u"))
    assert trained + kept == 142_195


@pytest.mark.parametrize(("mode", "mixes"), [("as_published", True), ("corrected", False)])
def test_only_the_published_attention_mixes_the_samples_of_a_batch(mode, mixes):
    """Published fault 1."""
    attention, x = small(mode).attention, torch.randn(2, 32, 6, 5)
    with torch.inference_mode():
        together, alone, turned = attention(x)[:1], attention(x[:1]), attention(x.flip(0)).flip(0)[:1]
    assert (float((together - alone).abs().max()) > 1e-3) == mixes
    assert (float((together - turned).abs().max()) > 1e-3) == mixes


def test_two_samples_change_each_other_as_recorded(published):
    with torch.inference_mode():
        alone = published.generate(sample(64))
        together = published.generate(torch.cat([sample(64), sample(64, phase=0.7)]))
    torch.testing.assert_close(together[0][:1], alone[0], rtol=0, atol=1e-5)  # the coarse stage has no attention
    assert 0.01 < float((together[1][:1] - alone[1]).abs().max()) < 1


def test_the_weights_of_the_corrected_attention_sum_to_one():
    """Published fault 1, too: with a constant value, the mean of all pixels is that value."""
    attention = small().attention
    torch.nn.init.zeros_(attention.value.weight)
    torch.nn.init.constant_(attention.value.bias, 3.0)
    x = torch.rand(1, 32, 6, 5)
    torch.testing.assert_close(attention(x), x + 0.5 * 3.0)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
def test_a_constant_field_comes_back_whatever_the_hole(share):
    """Published fault 4: the answer got the mean of a picture with zeros in its holes."""
    image, holes = torch.full((1, 2, 32, 32), 0.5), torch.zeros(1, 1, 32, 32)
    holes[..., : int(32 * share), :] = 1
    with torch.inference_mode():
        corrected = small().generate(torch.cat([image * (1 - holes), holes], dim=1))[2]
        fault = small("as_published").generate(torch.cat([image * (1 - holes), holes], dim=1))[2]
        scaled = small()(image, holes)["fill"]
    torch.testing.assert_close(corrected, image, rtol=0, atol=1e-4)
    torch.testing.assert_close(scaled, image, rtol=0, atol=1e-4)  # published fault 7: no span to divide by
    assert float((fault - image).abs().max()) > 0.02


def test_shrinking_keeps_the_mean_when_corrected():
    """Published fault 5: maxima over 2 x 2 pixels."""
    image, holes = torch.rand(1, 2, 64, 64), torch.zeros(1, 1, 64, 64)
    with torch.inference_mode():
        for mode, bias in (("corrected", False), ("as_published", True)):
            _, refined, final = small(mode).generate(torch.cat([image, holes], dim=1))
            assert (float(final.mean() - refined.mean()) > 0.01) == bias


@pytest.mark.parametrize("bands", [1, 5])
def test_any_fixed_number_of_bands_and_any_size_on_the_grid(bands):
    """Published fault 8."""
    with torch.inference_mode():
        fill = small(bands=bands)(torch.rand(1, bands, 36, 52), torch.ones(1, bands, 36, 52))["fill"]
    assert fill.shape == (1, bands, 36, 52) and torch.isfinite(fill).all()


def test_the_answer_follows_the_units_of_the_scene():
    image, holes = torch.rand(1, 2, 32, 32), (torch.rand(1, 1, 32, 32) > 0.7).float()
    with torch.inference_mode():
        plain, other = small()(image, holes)["fill"], small()(image * 300 + 50, holes)["fill"]
    torch.testing.assert_close(other, plain * 300 + 50, rtol=1e-4, atol=1e-2)


def test_gradients_of_a_constant_picture_are_finite():
    network = small().train()
    network(torch.full((2, 2, 32, 32), 0.5), torch.ones(2, 1, 32, 32))["fill"].sum().backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None)


class _Largest(TorchDispatchMode):
    """Notes the largest tensor that any operation makes, in numbers."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return made


@pytest.mark.parametrize(("mode", "makes_it"), [("as_published", True), ("corrected", False)])
def test_the_corrected_attention_never_makes_the_matrix_of_all_pairs(mode, makes_it):
    """Published fault 8: 1 GiB a sample at 512 x 512."""
    attention, x, largest = small(mode).attention, torch.randn(1, 32, 40, 40), _Largest()
    with torch.no_grad(), largest:
        attention(x)
    assert (largest.numbers >= 1600**2) == makes_it


@pytest.mark.parametrize("mode", ["as_published", "corrected"])
def test_what_lies_in_the_holes_changes_nothing(mode):
    torch.manual_seed(0)
    image, holes = torch.rand(1, 2, 32, 32), torch.zeros(1, 1, 32, 32)
    holes[..., 8:20, 4:30] = 1
    with torch.inference_mode():
        first, second = (small(mode)(image + lift * holes, holes)["fill"] for lift in (0.0, 1000.0))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ["as_published", "corrected"])
def test_one_constant_band_beside_others_is_no_trouble(mode):
    """Published fault 7: a span of 0 to divide by."""
    image, holes = torch.rand(1, 2, 32, 32), (torch.rand(1, 1, 32, 32) > 0.8).float()
    image[:, 1] = 7.0
    with torch.inference_mode():
        answer = small(mode)(image, holes)
    assert all(torch.isfinite(plane).all() for plane in answer.values())
    if mode == "corrected":
        torch.testing.assert_close(answer["fill"][:, 1], image[:, 1], rtol=0, atol=1e-3)


def test_crops_differ_from_step_to_step_when_corrected():
    """Published fault 6: one crop for ever, and never the last row or column."""
    torch.manual_seed(0)
    planes = torch.zeros(64, 3, 130, 130)
    discriminator = Discriminator(bands=2, side=128)
    first, second = discriminator.places(planes), discriminator.places(planes)
    assert first != second and {row for row, _ in first} == {0, 1, 2}
    assert discriminator.eval().places(planes) == [(0, 0)] * 64
    assert Discriminator(bands=2, side=128, mode="as_published").places(planes) == [(0, 0)] * 64


def test_spectral_norm_acts():
    """Published fault 2: it never ran. After some steps no kernel gains more than it takes."""
    torch.manual_seed(0)
    discriminator = Discriminator(bands=2, side=128).train()
    with torch.no_grad():
        for step in discriminator.modules():
            if hasattr(step, "weight_orig"):
                step.weight_orig.mul_(30)
        for _ in range(60):
            score = discriminator(torch.rand(1, 2, 128, 128), torch.zeros(1, 1, 128, 128))
    assert score.shape == (1, 1)
    gains = [
        torch.linalg.matrix_norm(step.weight.flatten(1), 2)
        for step in discriminator.modules()
        if hasattr(step, "weight_orig")
    ]
    assert len(gains) == 13 and all(abs(float(gain) - 1) < 0.02 for gain in gains)


def test_scores_are_logits_when_corrected_and_bounded_as_published():
    picture, mask = torch.rand(1, 2, 128, 128), torch.zeros(1, 1, 128, 128)
    for mode, bounded in (("corrected", False), ("as_published", True)):
        discriminator = Discriminator(bands=2, side=128, mode=mode).eval()
        torch.nn.init.constant_(discriminator.head.bias, 5.0)
        with torch.inference_mode():
            assert (float(discriminator(picture, mask)) <= 1) == bounded
