"""The published faults of training, which the shipped recipes must not have.

Faults are numbered as in the description of the published systems: S1.7 ECEA, S2.6 EdgeLearning, S3.9 SpA-GAN,
S4a CMUN, S4b the Sentinel-3 model. Those of pictures, masks and scores are in test_samples and test_watch, those of
whole runs in test_adversarial.
"""

from collections import defaultdict
from dataclasses import replace

import pytest
import torch
from torchmetrics import MeanMetric

from tests.training.small_runs import CUTS, begun, first_batch, lesson_of, small, write_pictures
from training import train_adversarial
from training.adversarial import ADVERSARIAL
from training.critics import Critic, CriticRecipe
from training.spectral import gains, is_bounded, kernels
from training.terms import TERMS, Lesson
from training.train_adversarial import learn_to_judge, loss_of


@pytest.mark.parametrize("name", CUTS)
def test_discriminators_learn_from_what_is_made(name, tmp_path):
    """S2.6 fault 1: the loss of fakes had no gradient. Here it has one, it falls, and the generator gets none."""
    recipe = small(name, tmp_path)
    fabric, state, _ = run = begun(recipe)
    lesson = lesson_of(recipe, run, first_batch(recipe))
    made, real = (picture.detach() for picture in lesson.shown())

    def judged():
        torch.manual_seed(1)
        critic = state.critics[0].module
        return [critic(picture, lesson.image, lesson.holes).scores for picture in (made, real)]

    judged()[0].mean().backward()
    assert (
        max(float(weight.grad.abs().max()) for weight in state.critics[0].parameters() if weight.grad is not None) > 0
    )
    before = [float(scores.mean().detach()) for scores in judged()]
    for _ in range(6):
        torch.manual_seed(1)
        learn_to_judge(recipe, fabric, state, lesson, 0, defaultdict(MeanMetric))
    after = [float(scores.mean().detach()) for scores in judged()]
    assert after[1] - after[0] > before[1] - before[0]
    assert all(weight.grad is None for weight in state.generator.parameters())


@pytest.mark.parametrize("name", ["ecea", "edge_learning_edges"])
def test_discriminators_of_patches_come_to_tell_pictures_apart(name, tmp_path):
    """S1.7 fault 11, S2.6 fault 1: a discriminator that hardly learns, or learns that everything is real."""
    recipe = small(name, tmp_path)
    fabric, state, _ = run = begun(recipe)
    lesson = lesson_of(recipe, run, first_batch(recipe))
    for _ in range(40):
        running = defaultdict(MeanMetric)
        learn_to_judge(recipe, fabric, state, lesson, 0, running)
    assert float(running["score_real"].compute()) - float(running["score_made"].compute()) > 0.05


@pytest.mark.parametrize("name", CUTS)
def test_flat_pictures_and_empty_or_full_masks_have_finite_losses_and_gradients(name, tmp_path):
    """S1.7 faults 3 and 5, S2.6 faults 2 and 3, S4a fault 7, S4b fault 7: divisions by 0 and roots without a slope."""
    recipe = small(name, tmp_path)
    fabric, state, _ = run = begun(recipe)
    batch = first_batch(recipe)
    flat = torch.full_like(batch.truth, 0.25)
    for share in (0.0, 1.0):
        one = replace(batch, truth=flat, image=flat, holes=torch.full_like(batch.holes, share))
        lesson = lesson_of(recipe, run, one)
        learn_to_judge(recipe, fabric, state, lesson, 0, defaultdict(MeanMetric))
        loss = loss_of(recipe, state, lesson)
        loss.backward()
        weights = [weight for module in (state.generator, *state.critics) for weight in module.parameters()]
        assert loss.isfinite() and all(w.grad.isfinite().all() for w in weights if w.grad is not None)


def test_drop_path_acts_in_the_run_of_a_recipe(tmp_path):
    """S1.7 fault 4: the trainer never let it act."""
    recipe = small("ecea", tmp_path)
    quiet = replace(recipe, network_config=recipe.network_config | {"dropout": 0.0, "attention_dropout": 0.0})
    run, batch = begun(quiet), first_batch(quiet)
    one, two = (lesson_of(quiet, run, batch, seed).answer["fill"] for seed in (1, 2))
    assert not torch.equal(one, two)


@pytest.mark.parametrize("name", sorted(set(CUTS) - {"spa_gan"}))
def test_what_lies_in_the_holes_is_never_shown(name, tmp_path):
    """S2.6 fault 5, and ECEA's likewise: edges of the truth leak at the rim of the hole."""
    recipe = small(name, tmp_path)
    side = recipe.samples.side
    bands = recipe.network_config["bands"] if name != "ecea" else 3
    recipe = replace(recipe, pictures=write_pictures(tmp_path / "square.npz", bands, side=side, taller=0))
    samples = train_adversarial.open_samples(recipe)[0]
    batch = samples.batch(0)
    for sample, one in enumerate(batch.names):
        hidden = batch.holes[sample, 0].numpy() > 0
        clear = samples.pictures.read(samples.pictures.names.index(one)).clear
        clear[:, hidden] = 255 - clear[:, hidden]
    other = samples.batch(0)
    assert torch.equal(other.holes, batch.holes) and not torch.equal(other.truth, batch.truth)
    torch.testing.assert_close(other.image, batch.image, rtol=0, atol=0)
    run = begun(recipe)
    run[1].generator.eval()
    fills = [lesson_of(recipe, run, one).answer["fill"] for one in (batch, other)]
    torch.testing.assert_close(*fills, rtol=0, atol=0)


def test_the_attention_of_a_corrected_run_marks_white_cloud(tmp_path):
    """S3.9 fault 1: the sign of the target."""
    recipe = small("spa_gan", tmp_path)
    batch = first_batch(recipe)
    truth = torch.full_like(batch.truth, 0.3)
    white = replace(batch, truth=truth, image=torch.ones_like(truth))
    marked = torch.ones_like(batch.holes)
    corrected, published = (
        Lesson(white, {"fill": truth, "attention": marked}, corrected=mode == "corrected")
        for mode in (recipe.mode, "as_published")
    )
    assert float(TERMS["attention"](corrected)) == 0 and float(TERMS["attention"](published)) == 1


def test_bands_count_as_the_recipe_weighs_them(tmp_path):
    """S3.9 fault 8: the paper's weights of bands were one number."""
    recipe = small("spa_gan", tmp_path)
    weighted = replace(recipe.stages[0], band_weights=(3.0, 0.0, 1.0), terms={"l1": 1.0})
    recipe = replace(recipe, stages=(weighted,))
    run, batch = begun(recipe), first_batch(recipe)
    lesson = lesson_of(recipe, run, batch)
    errors = (lesson.picture - lesson.truth).abs().mean((0, 2, 3))
    expected = (3 * errors[0] + errors[2]) / 4
    torch.testing.assert_close(TERMS["l1"](lesson), expected)
    assert float(TERMS["l1"](replace(lesson, band_weights=()))) == pytest.approx(float(errors.mean()), rel=1e-5)
    with pytest.raises(ValueError, match="2 weights of bands, expected 3"):
        TERMS["l1"](replace(lesson, band_weights=(1.0, 1.0)))


def test_a_local_discriminator_sees_the_hole():
    """S4a fault 5: it always saw the top left corner."""
    critic = Critic(CriticRecipe("patch", {"inputs": 1}, crop=32), "corrected")
    holes = torch.zeros(2, 1, 64, 64)
    holes[0, :, 40:60, 35:50], holes[1, :, 3:9, 50:64] = 1, 1
    seen = []
    critic.ask = lambda judge, picture, image, holes: seen.append((picture, holes))
    critic(holes * 0.5, holes, holes)
    picture, cut = seen[0]
    assert cut.shape == (2, 1, 32, 32)
    assert cut.sum((1, 2, 3)).tolist() == holes.sum((1, 2, 3)).tolist()
    torch.testing.assert_close(picture, cut * 0.5)


@pytest.mark.parametrize("name", ["cmun", "ocean_gated", "simt"])
def test_hinge_is_over_logits(name, tmp_path):
    """S4a fault 5: on a sigmoid or a tanh the margin of -1 is out of reach, so that nothing is ever learnt enough."""
    recipe = small(name, tmp_path)
    run = begun(recipe)
    lesson = lesson_of(recipe, run, first_batch(recipe))
    assert all(one.loss == "hinge" for one in recipe.discriminators)
    critic = run[1].critics[0].module
    with torch.no_grad():
        for layer in critic.modules():
            if isinstance(layer, torch.nn.Linear) and layer.bias is not None:
                layer.bias.fill_(-3.0)
    made = critic(lesson.shown()[0], lesson.image, lesson.holes).scores.detach()
    assert float(made.max()) < -1
    assert float(ADVERSARIAL["hinge"].discriminator(made + 10, made)) == 0


def test_the_local_view_of_the_ocean_differs_from_step_to_step(tmp_path):
    """S4b fault 6: one crop for ever."""
    recipe = small("ocean_gated", tmp_path)
    judge = begun(replace(recipe, discriminators=_at_256(recipe.discriminators)))[1].critics[0].module.judge
    assert judge.training
    planes = torch.zeros(2, 5, 256, 256)
    places = [tuple(judge.places(planes)) for step in range(6) if torch.manual_seed(recipe.seed + step)]
    assert len(set(places)) > 3


def _at_256(critics):
    return tuple(replace(one, config=one.config | {"side": 256}) for one in critics)


@pytest.mark.parametrize("name", ["ecea", "ocean_gated", "simt"])
def test_spectral_norm_acts_while_a_run_learns(name, tmp_path):
    """S4b fault 2: the training flag never reached it. After some steps every kernel's gain is near 1."""
    recipe = small(name, tmp_path)
    fabric, state, _ = run = begun(recipe)
    lesson = lesson_of(recipe, run, first_batch(recipe))
    with torch.no_grad():
        for key, weight in state.critics[0].module.named_parameters():
            if key.endswith("weight_orig"):
                weight.mul_(3)
    for _ in range(15):
        learn_to_judge(recipe, fabric, state, lesson, 0, defaultdict(MeanMetric))
    judge, found = state.critics[0].module.judge, gains(state.critics[0].module.judge)
    bounded = [key for key, layer in kernels(judge) if is_bounded(layer)]
    assert len(bounded) >= 5 and all(0.7 < found[key] < 1.4 for key in bounded)


def test_the_remaining_time_counts_from_where_this_run_began():
    """S1.7 fault 12: a resumed run counted the steps of the one before it."""
    assert train_adversarial.minutes_left(1000, 1060, first=500, step=510, steps=600) == 9.0
