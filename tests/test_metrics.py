"""Scores: equal pictures are perfect, known pairs give what they must, and means are taken over all that was run."""

import csv
import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.backend import known
from training import crops, evaluate, watch
from training.samples import Batch

BENCH = Path(__file__).parents[1] / "bench"


def script(name: str):
    """A module of `bench/`, which is a folder of scripts."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", BENCH / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCH))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(BENCH))
    return module


metrics, quality = script("metrics"), script("quality")
PAIR = known.answers("preprocessing_and_losses")["metrics_pair"]
TRUTH, MADE = known.formula.image(3, 64, 96), known.formula.image(3, 64, 96, 0.1)


def test_equal_pictures_are_perfect():
    """Published fault (CMUN 6): they were not. And SpA-GAN's 4: an error of 0 divided by zero."""
    assert metrics.l1(TRUTH, TRUTH) == 0 and metrics.mape(TRUTH, TRUTH) == 0
    assert metrics.psnr(TRUTH, TRUTH, peak=1) == math.inf
    assert metrics.ssim_of_luma(TRUTH, TRUTH, span=1) == 1
    flat = np.zeros((3, 8, 8))
    assert metrics.ssim_of_luma(flat, flat, span=1) == 1


def test_a_pair_has_the_recorded_scores_under_each_convention():
    """Published fault (SpA-GAN 3): the SSIM of an old default, by which figures look better than they are."""
    found = {
        "psnr_peak_1": metrics.psnr(MADE, TRUTH, peak=1),
        "psnr_range_of_truth": metrics.psnr(MADE, TRUTH, peak=np.ptp(TRUTH)),
        "psnr_range_of_prediction": metrics.psnr(MADE, TRUTH, peak=np.ptp(MADE)),
        "mape_over_truth": metrics.mape(MADE, TRUTH),
        "ssim_luma_uniform7_range_1": metrics.ssim_of_luma(MADE, TRUTH, span=1),
    }
    for name, value in found.items():
        assert value == pytest.approx(PAIR[name], abs=1e-9), name
    (flattering,) = (value for name, value in PAIR.items() if name.startswith("ssim_luma_uniform7_range_2"))
    assert metrics.ssim_of_luma(MADE, TRUTH, span=2) == pytest.approx(flattering, abs=1e-9)
    assert flattering > found["ssim_luma_uniform7_range_1"]


def test_scores_while_training_agree_with_the_recorded_ones():
    truth, made = torch.from_numpy(TRUTH)[None], torch.from_numpy(MADE)[None]
    everything = torch.ones_like(truth)
    for peak, name in ((1.0, "psnr_peak_1"), (float(np.ptp(TRUTH)), "psnr_range_of_truth")):
        assert watch.psnr(made, truth, everything, peak=peak) == pytest.approx(PAIR[name], abs=1e-6)
    assert watch.mape(made, truth) == pytest.approx(PAIR["mape_over_truth"], abs=1e-9)


class _Answer(nn.Module):
    """Gives the truth with an error in the holes, and nonsense around them."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = error

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        return {"fill": torch.where(holes > 0, image + self.error, 0.9)}

    def wanted(self, batch: Batch) -> Batch:
        return batch


def _watched(error: float, share: int) -> dict[str, float]:
    """Scores of flat pictures of 0.25 in 16 x 16 pixels, of which the first `share` rows are holes."""
    truth, holes = torch.full((1, 2, 16, 16), 0.25), torch.zeros(1, 1, 16, 16)
    holes[:, :, :share] = 1
    return watch.scores(_Answer(error), [Batch(truth, truth.clone(), holes, ("flat",))] * 2, low=0.0, high=1.0)


@pytest.mark.parametrize("share", [1, 4, 16])
def test_scores_count_holes_alone_whatever_their_share(share):
    """Published fault (the Sentinel-3 model's 7): small masks raised the score."""
    scores = _watched(0.1, share)
    assert scores["hole_l1"] == pytest.approx(0.1)
    assert scores["psnr"] == pytest.approx(20, abs=1e-4)


def test_differences_of_8_bit_pictures_do_not_wrap_round():
    """Published fault (CMUN 6)."""
    dark, bright = np.full((3, 9, 9), 10, np.uint8), np.full((3, 9, 9), 250, np.uint8)
    assert metrics.l1(dark, bright) == metrics.l1(bright, dark) == 240
    assert metrics.psnr(dark, bright, peak=255) == pytest.approx(20 * math.log10(255 / 240))


def test_luma_needs_three_planes_that_hold_a_window():
    with pytest.raises(ValueError, match="pictures of 2 x 9 x 9, expected 3 planes of at least 7 x 7"):
        metrics.ssim_of_luma(np.zeros((2, 9, 9)), np.zeros((2, 9, 9)), span=1)


def test_the_table_takes_the_mean_of_all_runs(tmp_path):
    """Published faults (CMUN 6, the Sentinel-3 model's 7): sums by n + 1, wrong weights, the last batch alone."""
    fields = ["scene", "family", "peer", "error", *quality.FIELDS]
    with (tmp_path / "runs.csv").open("w", newline="") as file:
        lines = csv.DictWriter(file, fields, restval="0.5")
        lines.writeheader()
        for number, (scene, family) in enumerate([("A", "slcoff30"), ("B", "slcoff30"), ("A", "slcoff60")]):
            for peer, gain in (("ours", 3.0), (quality.BASELINE, 0.0)):
                one = {"scene": scene, "family": family, "peer": peer, "error": "", "psnr": 20 + number + gain}
                lines.writerow(one)
        lines.writerow({"scene": "B", "family": "slcoff60", "peer": "ours", "error": "it failed", "psnr": ""})
    runs = quality.read_runs(tmp_path / "runs.csv")
    table = quality.as_table(runs, ("slcoff30", "slcoff60"), ["ours"]).splitlines()
    assert table[2].startswith("| **ours** | 23.50 | 25.00 | 24.25 | 0.500 |") and table[2].endswith("| 3/3 |")
    assert table[3].startswith(f"| {quality.BASELINE} | 20.50 | 22.00 | 21.25 |")
    assert quality.margins(runs, ["ours"]).startswith(f"- ours: +3.00 dB to {quality.BASELINE}, above on 2 of 2 scenes")


class _Shift(nn.Module):
    """Answers what it is given and a bit more; carries what a careless check would move."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by
        self.norm = nn.BatchNorm2d(2)
        self.bounded = nn.utils.spectral_norm(nn.Conv2d(2, 2, 3, padding=1))

    def forward(self, image: Tensor, holes: Tensor) -> dict[str, Tensor]:
        return {"fill": image + self.by + 0 * self.bounded(self.norm(image))}


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """Three places, two bands each; no piece of one is like one of another."""
    rng = np.random.default_rng(0)
    index = [{"place": place} for place in "ABC"]
    arrays = {f"values_{number}": rng.normal(100, 20, (2, 64, 80)).astype(np.float32) for number in range(3)}
    arrays |= {f"valid_{number}": np.ones((2, 64, 80), bool) for number in range(3)}
    path = tmp_path_factory.mktemp("packed") / "held_out.npz"
    np.savez(path, scenes=json.dumps(index), **arrays)
    return path


RECIPE = crops.CropRecipe(guess="harmonic")


def test_the_score_of_a_known_pair_and_of_equal_pictures():
    """Equal ones do not divide by zero: checkpoints are compared by differences, which must stay finite."""
    truth = np.linspace(0, 1, 2 * 40 * 50).reshape(2, 40, 50)
    holes = np.zeros(truth.shape, bool)
    holes[:, 10:20] = True
    fill = np.where(holes, truth + 0.01, 99)  # only holes count
    span = 0.998 * (40 * 50 - 1) / (2 * 40 * 50 - 1)
    assert evaluate._psnr(fill, truth, holes) == pytest.approx(20 * math.log10(span / 0.01))
    assert 150 < evaluate._psnr(truth, truth, holes) < math.inf


def test_a_network_that_gives_the_guess_back_gains_nothing(packed):
    scores = evaluate.evaluate(_Shift(0.0), packed, RECIPE)
    assert {scores[name] for name in ("gain", "worst", "gain30", "gain60", "gain90")} == {0.0}


def test_gains_are_means_over_all_places_of_hole_only_scores(packed):
    """A shift adds its square to the mean squared error over holes, but for what the guess's own mean error brings."""
    network = _Shift(0.5)
    scores = evaluate.evaluate(network, packed, RECIPE)
    expected = []
    for truth, start, holes in evaluate._cases(packed, RECIPE):
        bands = zip(truth, start, holes, strict=True)
        errors = [(guess - value)[hole] for value, guess, hole in bands]
        expected.append(np.mean([10 * np.log10(np.mean(e**2) / np.mean((e + 0.5) ** 2)) for e in errors]))
    assert len(expected) == 9
    assert scores["gain"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert scores["worst"] == pytest.approx(min(expected), abs=1e-4)
    assert scores["gain60"] == pytest.approx(np.mean(expected[1::3]), abs=1e-4)


def test_a_check_moves_nothing_in_the_network(packed):
    """Published fault (CMUN 4): scored in training mode, statistics and spectral vectors moved."""
    network = _Shift(0.1).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first, second = (evaluate.evaluate(network, packed, RECIPE) for _ in range(2))
    assert first == second and network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
