"""CMUN is the published network number by number, and its corrected form lacks the published faults."""

import pytest
import torch

import known
from rsinpaint.errors import JobError
from rsinpaint.models.importers import import_weights
from rsinpaint.models.importers.cmun import published
from rsinpaint.networks import build
from rsinpaint.networks.blocks import corners, crop
from rsinpaint.networks.cmun import Cmun, Discriminator, MultiDiscriminator
from training.adversarial import ADVERSARIAL

RUNS = known.answers("cmun_G")["runs"]


def loaded(network: torch.nn.Module, name: str, gain: float) -> torch.nn.Module:
    state = known.state(name, gain)
    network.load_state_dict({key: state[published(key)] for key in network.state_dict()})
    return network.eval()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"{run['height']}x{run['width']}")
def test_the_generator_gives_the_known_answers(run, dtype):
    network = loaded(Cmun(mode="as_published").to(dtype), "cmun_G", 1.3)
    size = run["height"], run["width"]
    steps = run.get("intermediate", [])
    seen = known.watch(network, [_ours(step["module"]) for step in steps])
    with torch.inference_mode():
        coarse, refined = network.generate(2 * known.picture(3, *size, dtype) - 1, known.mask(*size, dtype))
    known.same(coarse[0], run["outputs"]["coarse"], known.TOLERANCE[dtype])
    known.same(refined[0], run["outputs"]["refined"], known.TOLERANCE[dtype])
    for step in steps:
        known.same_step(seen[_ours(step["module"])][0], step["module"], steps, known.TOLERANCE[dtype])


def _ours(module: str) -> str:
    names = {"coarse_net": "coarse", "refine_conv_net": "refine", "refine_attn": "attention"}
    first, dot, rest = module.partition(".")
    return names.get(first, "upsample") + dot + rest


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_the_discriminator_with_attention_gives_the_known_answer(dtype):
    network = loaded(Discriminator(attention=True, mode="as_published").to(dtype), "cmun_D_sa", 1.4)
    picture, mask = 2 * known.picture(3, 256, 256, dtype) - 1, known.mask(256, 256, dtype)
    with torch.inference_mode():
        features = network(picture, mask)
    known.same(features[0], known.answers("cmun_D_sa")["runs"][0]["outputs"]["features"], known.TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("cmun_G", lambda: Cmun(mode="as_published")),
        ("cmun_D_sa", lambda: Discriminator(attention=True)),
        ("cmun_D_global", Discriminator),
        ("cmun_D_local", lambda: Discriminator(side=128, local=True)),
        ("cmun_D_multi", MultiDiscriminator),
    ],
)
def test_names_and_shapes_are_the_published_ones(name, make):
    with torch.device("meta"):
        ours = {published(key): tuple(tensor.shape) for key, tensor in make().state_dict().items()}
    assert ours == {key: shape for key, shape, _ in known.keys(name)}


def test_the_generator_has_as_many_parameters_as_published():
    with torch.device("meta"):
        network = Cmun(mode="as_published")
    parts = [network.coarse, network.refine, network.attention, network.upsample]
    counts = [sum(weight.numel() for weight in part.parameters()) for part in parts]
    assert counts == [3_042_796, 2_129_984, 20_641, 859_692]


def test_an_answer_does_not_depend_on_the_rest_of_the_batch():
    """Published fault 4: scored in training mode, pictures changed each other through the batch norm."""
    torch.manual_seed(0)
    network = Cmun(width=8).eval()
    image, holes = torch.rand(2, 3, 32, 32) * 2 - 1, (torch.rand(2, 1, 32, 32) > 0.7).float()
    with torch.inference_mode():
        together, alone = network(image, holes)["fill"], network(image[:1], holes[:1])["fill"]
        again = network(image, holes)["fill"]
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(together, again, rtol=0, atol=0)


def test_the_answer_is_the_refined_picture_and_not_the_coarse_one():
    """Published fault 3: the test program took the first of the pair."""
    torch.manual_seed(0)
    network, image, holes = Cmun(width=8).eval(), torch.rand(1, 3, 32, 32) * 2 - 1, torch.ones(1, 1, 32, 32)
    with torch.inference_mode():
        answer, (coarse, refined) = network(image, holes), network.generate(image, holes)
    assert torch.equal(answer["fill"], refined) and torch.equal(answer["coarse"], coarse)
    assert float((coarse - refined).abs().max()) > 1e-3


@pytest.mark.parametrize("kind", [Discriminator, MultiDiscriminator])
def test_scoring_moves_nothing_in_the_discriminator(kind):
    """Published fault 4, too: the vectors of the spectral norm moved."""
    torch.manual_seed(0)
    network, picture, mask = kind().eval(), torch.rand(2, 3, 256, 256), torch.ones(2, 1, 256, 256)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with torch.inference_mode():
        together, alone = network(picture, mask), network(picture[:1], mask[:1])
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-5)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("mode", ["as_published", "corrected"])
def test_what_lies_in_the_holes_changes_nothing(mode):
    torch.manual_seed(0)
    network, image, holes = Cmun(width=8, mode=mode).eval(), torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    holes[..., 8:20, 4:30] = 1
    with torch.inference_mode():
        first, second = (network(image + lift * holes, holes)["fill"] for lift in (0.0, 1000.0))
    torch.testing.assert_close(first, second, rtol=0, atol=1e-5)


def test_the_corrected_answer_does_not_carry_the_spread_of_the_training_pictures():
    """Published fault 7: batch norm after the output layer."""
    last = ("coarse.16.bn.running_mean", "upsample.6.bn.running_mean")
    assert set(last) <= set(Cmun(width=8, mode="as_published").state_dict())
    assert not set(last) & set(Cmun(width=8).state_dict())


@pytest.mark.parametrize("place", [(0, 0), (0, 65), (31, 40), (66, 79), (40, 0)])
def test_the_local_square_contains_the_hole_wherever_it_lies(place):
    """Published fault 5: it was the top left corner for ever."""
    row, column = place
    holes = torch.zeros(2, 1, 96, 100)
    holes[1, 0, row : row + 30, column : column + 21] = 1
    places = corners(holes, 48)
    assert places[0] == (0, 0)  # no hole at all
    view = crop(holes, places, 48)
    assert view.shape == (2, 1, 48, 48)
    assert float(view[1].sum()) == 30 * 21 == float(holes[1].sum())


@pytest.mark.parametrize("mix", [False, True])
def test_the_corrected_local_view_follows_the_hole(mix):
    """Published fault 5: the local discriminator always saw the top left corner."""
    torch.manual_seed(0)
    picture, mask = torch.rand(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    mask[..., 190:230, 150:180] = 1
    changed = picture.clone()
    changed[..., 191:229, 151:179] += 1
    for mode, follows in (("corrected", True), ("as_published", False)):
        network = MultiDiscriminator(mix=mix, mode=mode).eval()
        seen = known.watch(network, ["local.ladder"])
        with torch.inference_mode():
            network(picture, mask), network(changed, mask)
        assert torch.equal(*seen["local.ladder"]) != follows


def test_mixed_heads_each_see_their_own_view_when_corrected():
    """Published fault 5, too: both heads got the local view."""
    torch.manual_seed(0)
    picture, mask = torch.rand(1, 3, 256, 256), torch.zeros(1, 1, 256, 256)
    outside = picture.clone()
    outside[..., 140:, 140:] = 0  # not in the top left view
    for mode, sees in (("corrected", True), ("as_published", False)):
        network = MultiDiscriminator(mix=True, mode=mode).eval()
        with torch.inference_mode():
            assert torch.equal(network(picture, mask), network(outside, mask)) != sees


def test_corrected_scores_are_logits_that_reach_the_margins():
    """Published faults 5 and 7: a sigmoid never reaches -1, and features after a leaky ReLU hardly do."""
    torch.manual_seed(0)
    picture, mask = torch.rand(1, 3, 256, 256), torch.ones(1, 1, 256, 256)
    network = MultiDiscriminator().eval()
    torch.nn.init.constant_(network.both_head.bias, -5)
    made = network(picture, mask).detach()
    assert made.item() < -1
    assert float(ADVERSARIAL["hinge"].discriminator(torch.full_like(made, 2), made)) == 0  # it can be satisfied
    assert Discriminator().eval()(picture, mask).shape == (1, 1)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_empty_and_full_masks_are_fine_for_generator_and_discriminator(share):
    """Published fault 7."""
    torch.manual_seed(0)
    picture, mask = torch.rand(1, 3, 256, 256), torch.full((1, 1, 256, 256), share)
    with torch.inference_mode():
        assert torch.isfinite(Cmun(width=8).eval()(picture[..., :64, :64], mask[..., :64, :64])["fill"]).all()
        assert torch.isfinite(MultiDiscriminator().eval()(picture, mask)).all()


def test_an_unknown_mode_is_named():
    with pytest.raises(ValueError, match="mode `fixed`, expected `as_published` or `corrected`"):
        Cmun(mode="fixed")


def checkpoint(path, **changes):
    """A training program's file by formula, as its authors' code would save it."""
    state = {key: tensor.float() for key, tensor in known.state("cmun_G", 1.3).items()} | changes
    torch.save({"epoch": 7, "netG_state_dict": state, "netD_state_dict": {"linear.bias": torch.zeros(1)}}, path)
    return path


def test_an_imported_checkpoint_gives_the_known_answer(tmp_path):
    fields, state = import_weights(checkpoint(tmp_path / "epoch_7_ckpt.pth.tar"))
    network = build(fields["network"], fields["config"]).eval()
    network.load_state_dict(state)
    picture, mask = 2 * known.picture(3, 64, 96, torch.float32) - 1, known.mask(64, 96, torch.float32)
    with torch.inference_mode():
        fill = network(picture, mask.expand_as(picture))["fill"]
    known.same(fill[0], RUNS[0]["outputs"]["refined"], 1e-5)


def test_weights_that_want_auxiliary_bands_are_refused(tmp_path):
    first = [
        f"{net}.0.{part}.weight" for net in ("coarse_net", "refine_conv_net") for part in ("conv2d", "mask_conv2d")
    ]
    path = checkpoint(tmp_path / "some.pth", **{key: torch.zeros(32, 6, 5, 5) for key in first})
    with pytest.raises(JobError, match="`some.pth` sees 4 bands and fills 3, expected as many of both"):
        import_weights(path)
