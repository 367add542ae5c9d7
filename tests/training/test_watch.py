"""How adversarial training is watched: scores and pictures. Faults are numbered as in test_adversarial_faults."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rsinpaint.networks import build
from tests.training.small_runs import write_pictures
from training.holes import HoleRecipe
from training.parts import Whole
from training.pictures import Pictures
from training.samples import SampleRecipe, Samples
from training.watch import grid, mape, psnr, score, scores

SMALL = SampleRecipe(side=48, batch=4, holes=HoleRecipe({"irregular": 1}))


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("packed") / "pictures.npz", 3, side=56, count=3)


def samples(packed: Path, **changes) -> Samples:
    pictures = Pictures.open(packed)
    return Samples(replace(SMALL, **changes), pictures, range(len(pictures)))


def test_scores_of_identical_pictures_and_of_a_known_pair():
    """S4a fault 6, S3.9 fault 4: sums that wrap round, means by the wrong count, a division by zero."""
    truth = torch.rand(1, 3, 16, 16)
    holes = torch.zeros(1, 1, 16, 16)
    holes[..., 4:8, :] = 1
    assert psnr(truth, truth, holes, peak=1) == math.inf and mape(truth, truth) == 0
    assert psnr(truth + 0.1 * holes, truth, holes, peak=1) == pytest.approx(20, abs=1e-4)
    assert psnr(truth + 0.1 * holes, truth, holes, peak=2) == pytest.approx(20 + 20 * math.log10(2), abs=1e-4)
    assert mape(torch.tensor([0.3, 0.5, 9.0]), torch.tensor([0.2, 0.5, 0.0])) == pytest.approx(0.25)


class Shifted(torch.nn.Module):
    """Answers the truth, and so much more."""

    def __init__(self, truth: torch.Tensor, more: float) -> None:
        super().__init__()
        self.truth, self.more = truth, more

    def forward(self, image: torch.Tensor, holes: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"fill": self.truth + self.more}


def test_known_pixels_and_values_beyond_the_range_do_not_count(packed):
    batch = samples(packed).batch(0)
    perfect = score(Whole(Shifted(batch.truth, 0.0)), batch, low=0, high=1)
    assert (perfect["hole_l1"], perfect["psnr"], perfect["ssim"]) == (0, math.inf, pytest.approx(1, abs=1e-5))
    off = score(Whole(Shifted(batch.truth, 0.05)), batch, low=0, high=1)
    assert off["hole_l1"] == pytest.approx(0.05, abs=2e-3) and off["ssim"] < 1
    white = replace(batch, truth=torch.ones_like(batch.truth))
    assert score(Whole(Shifted(white.truth, 7.0)), white, low=0, high=1)["hole_l1"] == 0


def test_scores_are_means_over_all_batches(packed):
    """S4b fault 7: the metric showed the last batch only."""
    batches = samples(packed, batch=1).watched(3)

    class Darker(torch.nn.Module):
        def forward(self, image, holes):
            number = [torch.equal(image, batch.image) for batch in batches].index(True)
            return {"fill": batches[number].truth - 0.02 * (number + 1)}

    assert scores(Whole(Darker()), batches, low=-9, high=1)["hole_l1"] == pytest.approx(0.04, abs=1e-5)


def test_watching_is_evaluation_and_changes_nothing(packed):
    """S4a fault 4: batch norms used the batch, and moved."""
    torch.manual_seed(0)
    network = build("cmun", {"bands": 3, "width": 4})
    part = Whole(network).train()
    alone = samples(packed, batch=1).watched(2)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first = scores(part, alone, low=-1, high=1)
    assert first == scores(part, alone[::-1], low=-1, high=1) == scores(part, alone, low=-1, high=1)
    together = replace(alone[0], **{n: torch.cat([getattr(b, n) for b in alone]) for n in ("truth", "image", "holes")})
    part.eval()
    with torch.inference_mode():
        both = part(together.image, together.holes)["fill"]
        torch.testing.assert_close(both[:1], part(alone[0].image, alone[0].holes)["fill"])
    part.train()
    scores(part, alone, low=-1, high=1)
    assert part.training and network.coarse[0].bn.training
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_a_grid_shows_what_was_given_made_and_wanted(packed):
    batches = samples(packed, batch=1).watched(2)
    drawn = grid(Whole(Shifted(batches[0].truth, 0.0)), batches, low=0, high=1)
    assert drawn.shape == (2 * 50, 3 * 50, 3) and drawn.dtype == torch.uint8
    hole = batches[0].holes[0, 0] > 0
    assert drawn[1:49, 1:49][hole].eq(255).all()
    torch.testing.assert_close(drawn[1:49, 51:99], drawn[1:49, 101:149])
