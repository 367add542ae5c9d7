"""ECEA is the published network number by number, and its corrected form lacks the published faults."""

import numpy as np
import pytest
import torch

import known
from rsinpaint.models.importers import import_weights
from rsinpaint.networks import build, cshe
from rsinpaint.networks.blocks import PatchDiscriminator
from rsinpaint.networks.ecea import Ecea
from rsinpaint.networks.ecea_blocks import DropPath, Join, clipped

SMALL = {"size": 64, "embed": 16}


def small(mode: str = "corrected", **config: object) -> Ecea:
    torch.manual_seed(0)
    return Ecea(**SMALL, mode=mode, **config)


def inputs(size: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    mask = known.mask(size, size, dtype)
    return known.picture(3, size, size, dtype) * (1 - mask), known.edges(size, size, dtype) * (1 - mask), mask


def check(network: Ecea, name: str, dtype: torch.dtype) -> None:
    run = known.answers(name)["runs"][0]
    steps, tolerance = run["intermediate"], known.TOLERANCE[dtype]
    seen = known.watch(network, [step["module"] for step in steps])
    with torch.inference_mode():
        picture, edge = network.generate(*inputs(network.size, dtype))
    for step in steps:
        known.same_step(seen[step["module"]][0], step["module"], steps, tolerance)
    known.same(picture[0], run["outputs"]["image"], tolerance)
    known.same(edge[0], run["outputs"]["edge"], tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_small_generator_gives_the_known_answers(dtype):
    network = small("as_published").to(dtype).eval()
    network.load_state_dict(known.state("ecea_G_small", 0.7))
    check(network, "ecea_G_small", dtype)


def test_the_published_generator_gives_the_known_answers():
    """In float32: 126 million weights in float64, and what they are made from, do not fit 1.5 GiB."""
    with torch.device("meta"):
        network = Ecea(mode="as_published")
    network = network.to_empty(device="cpu").eval()
    tensors = network.state_dict()
    for k, (key, shape, _) in enumerate(known.keys("ecea_G")):
        known.write(tensors[key], key, shape, k, gain=0.7)
    check(network, "ecea_G", torch.float32)


def test_an_imported_file_gives_the_known_answer_and_its_size_is_read_from_it(tmp_path):
    path = tmp_path / "EET.pth"
    torch.save({key: tensor.float() for key, tensor in known.state("ecea_G_small", 0.7).items()}, path)
    fields, state = import_weights(path)
    assert fields["config"] == SMALL | {"mode": "as_published"} and fields["window"] == 64
    network = build(fields["network"], fields["config"]).eval()
    network.load_state_dict(state)
    check(network, "ecea_G_small", torch.float32)


@pytest.mark.parametrize(("name", "config"), [("ecea_G", {}), ("ecea_G_small", SMALL)])
def test_names_and_shapes_are_the_published_ones_in_their_order(name, config):
    with torch.device("meta"):
        network = Ecea(mode="as_published", **config)
    ours = [(key, tuple(tensor.shape)) for key, tensor in network.state_dict().items()]
    assert ours == [(key, shape) for key, shape, _ in known.keys(name)]


def test_as_many_parameters_as_published():
    with torch.device("meta"):
        network, discriminator = Ecea(mode="as_published"), PatchDiscriminator()
    assert sum(weight.numel() for weight in network.parameters()) == 125_846_169
    assert sum(weight.numel() for weight in discriminator.parameters()) == 2_763_776


def test_the_discriminator_has_the_published_names_and_scores_patches():
    torch.manual_seed(0)
    discriminator = PatchDiscriminator()
    ours = [(key, tuple(tensor.shape)) for key, tensor in discriminator.state_dict().items()]
    assert ours == [(key, shape) for key, shape, _ in known.keys("ecea_D")]
    assert discriminator.features[0].weight_orig is discriminator.conv1[0].weight_orig
    with torch.no_grad():
        score, steps = discriminator(torch.rand(1, 3, 256, 256))  # in training: fresh, its norms are not known yet
    assert score.shape == (1, 1, 30, 30) and len(steps) == 5 and bool(((score > 0) & (score < 1)).all())


@pytest.mark.parametrize(("mode", "brightest"), [("as_published", np.tanh(1.0)), ("corrected", 1.0)])
def test_white_can_be_reached_when_corrected(mode, brightest):
    """Published fault 1: two squashings."""
    network = small(mode).eval()
    torch.nn.init.constant_(network.out.block8[2].bias, 1e4)
    with torch.inference_mode():
        picture, _ = network.generate(*inputs(64, torch.float32))
    torch.testing.assert_close(picture, torch.full_like(picture, brightest))


def test_the_clip_acts_around_the_mean_when_corrected_and_not_as_published():
    """Published fault 2: max(x - k s, min(x + k s, x)) is x for every k."""
    tokens = torch.zeros(1, 100, 2)
    tokens[0, 7] = 10
    mean, deviation = 0.1, np.sqrt(0.1 * 9.9)
    assert clipped(tokens, 3.0)[0, 7, 0].item() == pytest.approx(mean + 3 * deviation)
    torch.testing.assert_close(clipped(tokens, 20.0), tokens)
    for mode, acts in (("corrected", True), ("as_published", False)):
        with torch.inference_mode():
            answers = [small(mode, clip=clip).eval().generate(*inputs(64, torch.float32))[0] for clip in (0.1, 50.0)]
        assert torch.equal(*answers) != acts


@pytest.mark.parametrize("batch", [1, 2])
def test_gradients_of_a_constant_picture_are_finite(batch):
    """Published fault 3: the root of a variance of 0. And fault 5: a flat picture has no edges to scale."""
    network = small(clip=0.5).train()
    answer = network(torch.full((batch, 3, 64, 64), 0.5), torch.zeros(batch, 1, 64, 64))
    (answer["fill"].mean() + answer["edges"].mean()).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None)
    constant = torch.full((1, 9, 4), 0.3, requires_grad=True)
    clipped(constant, 1.0).sum().backward()
    assert constant.grad is not None and torch.isfinite(constant.grad).all()


@pytest.mark.parametrize(("mode", "acts"), [("as_published", False), ("corrected", True)])
def test_drop_path_acts_in_training_when_corrected(mode, acts):
    """Published fault 4: the layer switched itself off."""
    network = small(mode, dropout=0.0, attention_dropout=0.0, drop_path=0.5).train()
    passes = [network.generate(*inputs(64, torch.float32))[0] for _ in range(4)]
    assert any(not torch.equal(passes[0], other) for other in passes[1:]) == acts


def test_the_published_rates_of_dropping_paths_rise_over_the_blocks():
    """0.2 for the last block of each level, 0 for the first."""
    rates = [block.drop_path.rate for block in small(drop_path=0.2).encoder8.blocks]
    assert rates == pytest.approx([0, 0.2 / 3, 0.4 / 3, 0.2])


def test_drop_path_keeps_the_mean():
    torch.manual_seed(0)
    kept = DropPath(0.25)(torch.ones(20_000, 1, 1))
    assert kept.unique().tolist() == pytest.approx([0, 4 / 3])
    assert float(kept.mean()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_flat_pictures_and_full_masks_have_edge_maps(share):
    """Published fault 5: 0 / 0."""
    image = torch.full((1, 3, 64, 64), 0.7)
    assert cshe.edge_map(image, torch.full((1, 1, 64, 64), share)).eq(0).all()


def test_black_pixels_that_are_known_are_no_holes():
    """Published fault 10: zero was taken for missing."""
    network = small().eval()
    image, edges = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    image[..., 20:30, 20:30] = 0
    holes = torch.zeros(1, 1, 64, 64)
    with torch.inference_mode():
        plain = network(image, holes, edges)["fill"]
        holes[..., 20:30, 20:30] = 1
        assert float((network(image, holes, edges)["fill"] - plain).abs().max()) > 1e-4


@pytest.mark.parametrize("mode", ["as_published", "corrected"])
def test_the_guess_in_the_holes_is_seen_by_the_edge_map_alone(mode):
    """The picture itself is 0 there; and what the edge map shows in the holes is 0, too."""
    torch.manual_seed(1)
    network, image, holes = small(mode).eval(), torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    holes[..., 16:40, 16:40] = 1
    shown = cshe.edge_map(image, holes)
    assert shown[..., 16:40, 16:40].eq(0).all() and float(shown.max()) == 1
    with torch.inference_mode():
        fills = [network(image + lift * holes, holes, shown)["fill"] for lift in (0.0, 5.0)]
    assert torch.equal(*fills)


def test_a_hole_in_one_band_is_a_hole_in_all():
    """Published fault 7: bands that were not zero stayed in the picture."""
    network = small().eval()
    image, holes = torch.rand(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    holes[:, 0, 20:30] = 1
    edges = torch.zeros(1, 1, 64, 64)
    other = image.clone()
    other[:, :, 20:30] = 0.9
    with torch.inference_mode():
        assert torch.equal(network(image, holes, edges)["fill"], network(other, holes, edges)["fill"])


def test_the_corrected_join_does_not_know_places():
    """Published fault 14: a dense map between positions, which fixes the size and holds most weights."""
    torch.manual_seed(0)
    network, tokens, order = small("as_published"), torch.rand(1, 2, 16, 64), torch.randperm(16)
    for join, keeps in ((Join(64), True), (network.concat16, False)):
        plain = join(tokens.flatten(1, 2))[:, order]
        turned = join(tokens[:, :, order].flatten(1, 2))
        assert torch.allclose(plain, turned, atol=1e-6) == keeps


@pytest.mark.parametrize("size", [32, 100])
def test_a_size_that_does_not_fit_is_refused_with_one_that_does(size):
    with pytest.raises(ValueError, match=f"size {size}, expected a multiple of 32 from 64 on, such as (64|96)"):
        Ecea(size=size)


def test_a_picture_of_another_size_is_refused():
    with pytest.raises(ValueError, match="pictures of 3 x 96 x 64, expected 3 x 64 x 64"):
        small()(torch.rand(1, 3, 96, 64), torch.zeros(1, 1, 96, 64))


EDGES = known.answers("preprocessing_and_losses")["ecea_edges"]


@pytest.fixture(scope="module")
def recorded_picture():
    picture = np.floor(255 * known.formula.image(3, 256, 256) + 0.5).astype(np.uint8)
    row, column = np.mgrid[:256, :256]
    picture[:, (column // 32 + row // 32) % 2 == 1] //= 2
    return torch.from_numpy(picture / 255)[None]


def test_grey_levels_and_lines_are_those_of_pil_and_opencv(recorded_picture):
    level = cshe.grey(recorded_picture)
    assert level.double().mean().item() == EDGES["gray_mean"]
    assert int(cshe.canny_lines(level).sum()) == EDGES["canny_count_255"]


def test_edge_maps_are_the_recorded_ones(recorded_picture):
    tolerance = 1e-7  # recorded in float32
    known.same(cshe.edge_target(recorded_picture)[0, 0], EDGES["target"], tolerance)
    shown = cshe.edge_map(recorded_picture, known.mask(256, 256, torch.float64))
    known.same(shown[0, 0], EDGES["train_input_masked"], tolerance)
