"""SpA-GAN is the published network number by number, and its corrected form lacks the published faults."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import known
from rsinpaint.models import registry, weights
from rsinpaint.models.card import read_card
from rsinpaint.models.importers.spa_gan import DISCRIMINATOR, GENERATOR
from rsinpaint.networks import build
from rsinpaint.networks.spa_gan import SpaGan, SpaGanDiscriminator

PUBLISHED = registry.BUNDLED
"""Holds the published weights as the importer gives them, in float32, with their cards."""
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)


def generator(name: str, dtype: torch.dtype) -> SpaGan:
    """With weights by formula, or the published ones."""
    if name == "formula":
        network = SpaGan(mode="as_published").to(dtype)
        state = {key.removeprefix(GENERATOR): tensor for key, tensor in known.state("spa_gan_G", 1.0).items()}
    else:
        card = read_card(PUBLISHED / f"spa-gan-{name.lower()}.json")
        network = build(card.network, card.config).to(dtype)
        state = load_file(PUBLISHED / card.weights.file)
    network.load_state_dict(state)
    return network.eval()


@pytest.mark.parametrize("name", ["rice1", "rice2"])
def test_the_published_weights_are_the_ones_that_their_cards_speak_of(name):
    card = read_card(PUBLISHED / f"spa-gan-{name}.json")
    weights.check(PUBLISHED / card.weights.file, card.weights.bytes, card.weights.sha256, "")
    assert "MIT" in card.licence and "Penn000" in (PUBLISHED / "spa-gan-LICENSE.txt").read_text(encoding="ascii")


@DTYPES
@pytest.mark.parametrize("name", ["formula", "RICE1", "RICE2"])
def test_the_generator_gives_the_known_answers(name, dtype):
    network, tolerance = generator(name, dtype), known.TOLERANCE[dtype]
    for run in known.answers(f"spa_gan_G_{name}")["runs"]:
        steps = run.get("intermediate", [])
        seen = known.watch(network, list({step["module"].removeprefix(GENERATOR) for step in steps}))
        with torch.inference_mode():
            attention, picture = network.restored(known.picture(3, run["height"], run["width"], dtype))
        for step in steps:  # one attention is called four times
            known.same(seen[step["module"].removeprefix(GENERATOR)].pop(0)[0], step, tolerance)
        known.same(attention[0], run["outputs"]["attention"], tolerance)
        known.same(picture[0], run["outputs"]["image"], tolerance)


@DTYPES
def test_the_discriminator_gives_the_known_answer(dtype):
    network = SpaGanDiscriminator().to(dtype)
    state = known.state("spa_gan_D", 1.0)
    network.load_state_dict({key.removeprefix(DISCRIMINATOR): tensor for key, tensor in state.items()})
    run = known.answers("spa_gan_D_formula")["runs"][0]
    size = run["height"], run["width"]
    with torch.inference_mode():
        logits = network.eval()(known.picture(3, *size, dtype), known.picture(3, *size, dtype, phase=0.7))
    known.same(logits[0], run["outputs"]["logits"], known.TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("name", "prefix", "make", "parameters"),
    [("spa_gan_G", GENERATOR, SpaGan, 219_300), ("spa_gan_D", DISCRIMINATOR, SpaGanDiscriminator, 2_762_945)],
)
def test_names_shapes_and_numbers_are_the_published_ones(name, prefix, make, parameters):
    network = make()
    ours = {prefix + key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert ours == {key: shape for key, shape, _ in known.keys(name)}
    assert sum(weight.numel() for weight in network.parameters()) == parameters


def test_bands_come_as_red_green_blue_and_the_network_sees_them_as_it_was_trained():
    """Published fault 6: the other way round gives plausible pictures in wrong colours."""
    network, picture = generator("RICE1", torch.float32), known.picture(3, 24, 28, torch.float32)
    with torch.inference_mode():
        answer = network(picture.flip(1), torch.ones(1, 1, 24, 28))
        attention, restored = network.restored(picture)
    torch.testing.assert_close(answer["fill"].flip(1), restored, rtol=0, atol=0)
    torch.testing.assert_close(answer["attention"], attention, rtol=0, atol=0)


@pytest.mark.parametrize(("mode", "acts"), [("as_published", False), ("corrected", True)])
def test_the_weights_of_the_directions_act_only_when_corrected(mode, acts):
    """Published fault 2: their products are computed and thrown away."""
    torch.manual_seed(0)
    network, picture = SpaGan(mode=mode).eval(), torch.rand(1, 3, 20, 24)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    with torch.inference_mode():
        before = network.restored(picture)[0]
        network.SAM1.conv_in.weight += 1
        assert torch.equal(network.restored(picture)[0], before)
        for weight in network.SAM1.attention_layer.parameters():
            weight += 1
        assert torch.equal(network.restored(picture)[0], before) != acts


@pytest.mark.parametrize(("mode", "image_reach", "map_reach"), [("as_published", 36, 27), ("corrected", 40, 31)])
def test_the_reach_is_what_the_network_says_and_no_more(mode, image_reach, map_reach):
    torch.manual_seed(0)
    network = SpaGan(mode=mode).double().eval()
    for weight in network.parameters():  # positive and small: nothing dies in a ReLU, nothing is lost in a sigmoid
        torch.nn.init.constant_(weight, 0.3 / weight[0].numel())
    assert network.halo == image_reach
    picture = torch.rand(1, 3, 2 * image_reach + 9, 2 * image_reach + 5, dtype=torch.float64, requires_grad=True)
    row, column = image_reach + 4, image_reach + 2
    for plane, reach in zip(network.restored(picture), (map_reach, image_reach), strict=True):
        (slope,) = torch.autograd.grad(plane[0, 0, row, column], picture, retain_graph=True)
        rows, columns = np.nonzero(slope.abs().sum((0, 1)).numpy())
        assert row - rows.min() == rows.max() - row == column - columns.min() == columns.max() - column == reach


def test_tiles_cut_from_the_picture_equal_the_whole_bit_for_bit():
    network, picture = generator("RICE2", torch.float64), known.picture(3, 112, 116, torch.float64)
    with torch.inference_mode():
        whole = network.restored(picture)[1]
        part = network.restored(picture[..., 14:106, 8:100])[1]
    assert torch.equal(part[..., 36:56, 36:56], whole[..., 50:70, 44:64])


def test_a_mode_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="as_published"):
        SpaGan(mode="repaired")
