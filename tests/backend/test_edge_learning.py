"""EdgeLearning and EdgeConnect are the published networks number by number; the corrected form looks in no hole."""

import pytest
import torch
from torch import Tensor, nn

import known
from rsinpaint.networks.blocks import PatchDiscriminator
from rsinpaint.networks.canny import canny
from rsinpaint.networks.edge_learning import EdgeGenerator, EdgeLearning, ImageGenerator, luma, painted_white
from training.adversarial import ADVERSARIAL

DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
MAKERS = {
    "edgelearning_edge_G": (lambda: EdgeGenerator(inputs=2), 10_757_953),
    "edgelearning_inpaint_G": (ImageGenerator, 10_774_595),
    "edgeconnect_edge_G": (lambda: EdgeGenerator(inputs=3), 10_761_089),
    "edgeconnect_inpaint_G": (ImageGenerator, 10_774_595),
    "edgelearning_edge_D": (lambda: PatchDiscriminator(inputs=1), 2_761_728),
    "edgelearning_inpaint_D": (lambda: PatchDiscriminator(inputs=3), 2_763_776),
    "edgeconnect_edge_D": (lambda: PatchDiscriminator(inputs=2), 2_762_752),
    "edgeconnect_inpaint_D": (lambda: PatchDiscriminator(inputs=3), 2_763_776),
}
RECORDED = [name for name in MAKERS if name not in ("edgeconnect_edge_D", "edgeconnect_inpaint_D")]


def inputs(name: str, height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """What each network was fed with for its known answer."""
    mask, edges = known.mask(height, width, dtype), known.edges(height, width, dtype)
    picture, grey = known.picture(3, height, width, dtype), known.picture(1, height, width, dtype)
    return {
        "edgelearning_edge_G": (mask, 1 - edges * (1 - mask)),
        "edgelearning_inpaint_G": (painted_white(picture, mask), 1 - edges),
        "edgeconnect_edge_G": (painted_white(grey, mask), edges * (1 - mask), mask),
        "edgeconnect_inpaint_G": (painted_white(picture, mask), edges),
        "edgelearning_edge_D": ((1 - edges) * mask,),
        "edgelearning_inpaint_D": (picture,),
    }[name]


@DTYPES
@pytest.mark.parametrize("name", RECORDED)
def test_the_networks_give_the_known_answers(name, dtype):
    network, tolerance = MAKERS[name][0]().to(dtype), known.TOLERANCE[dtype]
    network.load_state_dict(known.state(name, 1.0))
    for run in known.answers(name)["runs"]:
        # with values up to 20, features in float32 differ by more than the answers, which are in 0 to 1
        steps = run.get("intermediate", []) if dtype == torch.float64 else []
        seen = known.watch(network.eval(), [step["module"] for step in steps])
        with torch.inference_mode():
            answer = network(*inputs(name, run["height"], run["width"], dtype))
        for step in steps:
            known.same(seen[step["module"]][0][0], step, tolerance)
        (recorded, *_) = run["outputs"].values()
        known.same((answer[0] if isinstance(answer, tuple) else answer)[0], recorded, tolerance)


@pytest.mark.parametrize("name", MAKERS)
def test_names_shapes_and_numbers_are_the_published_ones(name):
    make, parameters = MAKERS[name]
    with torch.device("meta"):
        network = make()
    ours = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    assert ours == {key: shape for key, shape, _ in known.keys(name)}
    assert sum(weight.numel() for weight in network.parameters()) == parameters


@DTYPES
def test_edges_are_the_known_ones_pixel_by_pixel(dtype):
    recorded = known.answers("preprocessing_and_losses")["edgelearning_edges"]
    plane = (255 * known.picture(3, 256, 256, torch.float64) + 0.5).floor()
    dark = (torch.arange(256)[:, None] // 32 + torch.arange(256) // 32) % 2 == 1
    grey = luma(torch.where(dark, (plane / 2).floor(), plane).to(dtype) / 255)
    rows = canny(grey, torch.ones_like(grey), sigma=0.7, low=0.05, high=0.1)[0, 0].sum(1)
    assert rows.sum() == recorded["count"]
    assert rows[:8].tolist() == recorded["row_sums_first_8"]
    assert rows[124:132].tolist() == recorded["row_sums_middle_8"]


def test_a_step_between_two_grounds_is_one_line():
    grey = torch.zeros(1, 1, 8, 9)
    grey[..., 5:] = 1
    edges = canny(grey, torch.ones_like(grey), sigma=0.7, low=0.05, high=0.1)[0, 0]
    assert edges[1:-1, 1:-1].sum(1).tolist() in ([1.0] * 6, [2.0] * 6)  # the step lies between two columns
    assert edges[:, [0, 1, 2, 3, 6, 7, 8]].sum() == 0


def test_weak_edges_count_where_they_lead_to_strong_ones():
    grey = torch.zeros(1, 1, 12, 30)
    grey[..., 6:, :] = torch.linspace(0.008, 0.06, 30)  # grows along the row
    strong = canny(grey, torch.ones_like(grey), sigma=0.7, low=0.1, high=0.1)
    joined = canny(grey, torch.ones_like(grey), sigma=0.7, low=0.05, high=0.1)
    alone = canny(grey[..., :13], torch.ones_like(grey[..., :13]), sigma=0.7, low=0.05, high=0.1)
    assert 0 < strong.sum() < joined.sum() and alone.sum() == 0


def small(**config: object) -> EdgeLearning:
    torch.manual_seed(0)
    network = EdgeLearning(width=8, blocks=2, **config).eval()
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.1)
    return network


@pytest.mark.parametrize("layout", ["edge_learning", "edge_connect"])
@pytest.mark.parametrize(("mode", "leaks"), [("as_published", True), ("corrected", False)])
def test_what_lies_in_the_holes_changes_nothing_when_corrected(layout, mode, leaks):
    """Published fault 5: edges came from the complete truth."""
    torch.manual_seed(1)
    network, image = small(layout=layout, mode=mode), torch.rand(1, 3, 40, 48)
    holes = torch.zeros(1, 3, 40, 48)
    holes[..., 10:30, 14:34] = 1
    other = torch.where(holes > 0, torch.rand_like(image), image)
    with torch.inference_mode():
        first, second = network(image, holes), network(other, holes)
    assert torch.equal(first["edges"], second["edges"]) != leaks
    assert torch.equal(first["fill"], second["fill"]) != leaks


def test_canny_knows_nothing_of_what_is_not_known_and_finds_nothing_where_nothing_is():
    """Published fault 5, in the pre-processing itself."""
    torch.manual_seed(2)
    plane, known_ones = torch.rand(1, 1, 24, 28), torch.ones(1, 1, 24, 28)
    known_ones[..., 8:16, 9:20] = 0
    other = torch.where(known_ones > 0, plane, 1e6)
    thresholds = {"sigma": 0.7, "low": 0.05, "high": 0.1}
    edges = canny(plane, known_ones, **thresholds)
    assert torch.equal(edges, canny(other, known_ones, **thresholds))
    assert edges.sum() > 0 and edges[..., 7:17, 8:21].eq(0).all()
    assert canny(plane, torch.zeros_like(plane), **thresholds).eq(0).all()
    assert canny(torch.full_like(plane, 0.6), known_ones, **thresholds).eq(0).all()


def test_values_that_are_not_finite_in_the_holes_do_no_harm():
    network, image, holes = small(), torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32)
    holes[..., 8:20, 8:20] = 1
    image[holes.expand_as(image) > 0] = torch.nan
    with torch.inference_mode():
        answer = network(image, holes)
    assert all(plane.isfinite().all() for plane in answer.values())


@pytest.mark.parametrize(("layout", "ground"), [("edge_learning", 1.0), ("edge_connect", 0.0)])
def test_edges_are_drawn_in_the_holes_and_taken_from_the_picture_elsewhere(layout, ground):
    network, image, holes = small(layout=layout), torch.full((1, 3, 32, 32), 0.5), torch.zeros(1, 3, 32, 32)
    holes[:, 1, 8:20, 8:20] = 1  # in one band: a hole all the same
    with torch.inference_mode():
        edges = network(image, holes)["edges"]
    outside = torch.ones(32, 32, dtype=bool)
    outside[8:20, 8:20] = False
    assert (edges[0, 0][outside] == ground).all()
    assert ((edges > 0) & (edges < 1))[0, 0, 8:20, 8:20].all()


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_any_fixed_number_of_bands_can_be_built(bands):
    network, image = small(bands=bands), torch.rand(1, bands, 32, 36)
    assert network(image, torch.ones_like(image))["fill"].shape == image.shape


def test_spectral_norm_acts():
    """In training mode, the largest singular value of each bounded weight becomes 1."""
    torch.manual_seed(0)
    network = EdgeGenerator(width=8, blocks=1).train()
    planes = torch.rand(2, 1, 32, 32)
    for _ in range(40):
        network(planes, planes)
    for part in (network.encoder[4], network.middle[0].conv_block[1]):
        assert torch.linalg.matrix_norm(part.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.02)
    turned = network.decoder[0].weight.transpose(0, 1).flatten(1)
    assert torch.linalg.matrix_norm(turned, 2).item() == pytest.approx(1, abs=0.02)


def scores(discriminator: PatchDiscriminator, picture: Tensor) -> Tensor:
    return discriminator(picture)[0]


def test_the_discriminator_learns_from_what_a_frozen_generator_makes():
    """Published fault 1: the fake loss was taken on a detached score; D saw reals only and drifted to "real"."""
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(inputs=1).train()
    real, made = torch.rand(1, 1, 24, 24).round(), torch.rand(1, 1, 24, 24)
    gaps = []
    for _ in range(4):
        discriminator.zero_grad()
        of_real, of_made = scores(discriminator, real), scores(discriminator, made)
        gaps.append(float((of_real.mean() - of_made.mean()).detach()))
        if len(gaps) == 1:  # its own gradient, without that of the real
            ADVERSARIAL["squares"].discriminator(of_real.detach(), of_made).backward(retain_graph=True)
            slope = discriminator.conv5[0].weight_orig.grad
            assert slope is not None and float(slope.abs().max()) > 0
            discriminator.zero_grad()
        ADVERSARIAL["squares"].discriminator(of_real, of_made).backward()
        with torch.no_grad():
            for weight in discriminator.parameters():
                weight -= 5e-3 * weight.grad.sign()
    assert gaps[-1] > max(gaps[0], 0) + 0.02


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_a_last_smaller_batch_is_like_any_other(name):
    """Published fault 4, and ECEA's 10: labels had the configured batch size."""
    torch.manual_seed(0)
    discriminator, losses = PatchDiscriminator(inputs=1).eval(), ADVERSARIAL[name]
    picture = torch.rand(1, 1, 32, 40)
    one, three = scores(discriminator, picture), scores(discriminator, picture.expand(3, -1, -1, -1))
    for real, made in ((three, one), (one, three), (three, three)):
        torch.testing.assert_close(losses.discriminator(real, made), losses.discriminator(one, one))
    torch.testing.assert_close(losses.generator(three), losses.generator(one))


@pytest.mark.parametrize(("rows", "columns"), [(20, 52), (64, 24)])
def test_sides_need_not_be_equal_nor_256(rows, columns):
    """Published fault 7."""
    image = torch.rand(1, 3, rows, columns)
    answer = small()(image, torch.ones(1, 1, rows, columns))
    assert answer["fill"].shape == image.shape and answer["edges"].shape == (1, 1, rows, columns)


def test_a_layout_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="edge_connect"):
        EdgeLearning(layout="edge_draw")
