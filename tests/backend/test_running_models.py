"""Models on arrays: memory that runs out, odd bands, and units."""

import numpy as np
import pytest
import rasterio

import made_scenes
from rsinpaint.classical.contract import zero
from rsinpaint.errors import JobError
from rsinpaint.fill import fill
from rsinpaint.jobs import read_job
from rsinpaint.models import registry, run
from rsinpaint.models.device import Device
from rsinpaint.models.network import NetworkModel
from rsinpaint.models.normal import Normal
from rsinpaint.raster.survey import CELL, Survey

LEARNED = [card for card in registry.cards() if card.learned]


def normal_of(values: np.ndarray, valid: np.ndarray) -> Normal:
    survey = Survey(len(values), *values.shape[1:], ranges=True)
    survey.add(slice(0, values.shape[1]), slice(0, values.shape[2]), values, valid, ~valid)
    low, high = survey.range or (None, None)
    return Normal(survey.mean, survey.std, survey.low, survey.high, low, high)


def loaded(card, values: np.ndarray, valid: np.ndarray) -> NetworkModel:
    model = run.load(
        card,
        normal_of(values, valid),
        size=(values.shape[1], values.shape[2]),
        bands=tuple(range(1, len(values) + 1)),
        device="cpu",
        threads=None,
        memory_bytes=1 << 30,
    )
    assert isinstance(model, NetworkModel)
    return model


@pytest.mark.parametrize("card", LEARNED, ids=lambda card: card.id)
def test_out_of_memory_halves_the_batch_and_at_last_takes_the_cpu(card, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.normal(100, 10, (2, 200, 300)).astype(np.float32)
    holes = rng.random(values.shape) < 0.2
    inside = (slice(None), slice(0, 200), slice(0, 300))
    monkeypatch.setattr("rsinpaint.models.windows.NETWORK_WINDOW", (64, 64))
    expected = loaded(card, values, ~holes)(values, ~holes, holes, zero, inside)
    model, real, tried = loaded(card, values, ~holes), Device._try, []

    def refuse_on_gpu(self, part):
        tried.append((self.name, len(part)))
        return real(self, part) if self.name == "cpu" else None

    model._device.name = "cuda:0"
    monkeypatch.setattr(Device, "_first_batch", lambda self, shape: 4)
    monkeypatch.setattr(Device, "_try", refuse_on_gpu)
    monkeypatch.setattr(Device, "_free", lambda self: None)
    answer = model(values, ~holes, holes, zero, inside)
    assert tried[:4] == [("cuda:0", 3), ("cuda:0", 2), ("cuda:0", 1), ("cpu", 1)]
    assert model.device == "cpu" and "CPU" in model.notes[0]
    np.testing.assert_array_equal(answer.values, expected.values)


@pytest.mark.parametrize("card", LEARNED, ids=lambda card: card.id)
def test_a_window_that_fits_nowhere_is_an_error_in_words(card, monkeypatch):
    values = np.random.default_rng(0).normal(0, 1, (1, 64, 64)).astype(np.float32)
    holes = np.zeros(values.shape, bool)
    holes[:, 10:20] = True
    model = loaded(card, values, ~holes)
    monkeypatch.setattr(Device, "_try", lambda self, part: None)
    with pytest.raises(JobError, match="--memory"):
        model(values, ~holes, holes, zero, (slice(None), slice(0, 64), slice(0, 64)))


@pytest.mark.parametrize("model", [card.id for card in registry.cards()])
def test_constant_and_empty_bands_are_no_trouble(model, tmp_path):
    made = made_scenes.make(tmp_path, bands=3, kind="same")
    with rasterio.open(made.path, "r+") as scene:
        values = scene.read()
        values[0][values[0] != 0] = 77  # constant
        values[1] = 0  # nothing but nodata
        scene.write(values)
    job = {"scene": str(made.path), "output": str(tmp_path / "out.tif"), "mask": str(made.mask), "model": model}
    report = fill(read_job(job), lambda progress: None, lambda: False)
    out = made_scenes.read(tmp_path / "out.tif")
    assert (out[0][made.holes[0]] == 77).all()
    assert (out[1] == 0).all() and report.bands[1].left_open == made.holes[1].sum()
    assert any("B2" in note for note in report.notes)
    assert (out[2][made.holes[2]] != 0).all()


def test_statistics_are_exact_and_large_numbers_lose_nothing():
    rng = np.random.default_rng(0)
    values = (2_000_000_000 + rng.integers(0, 50, (2, 150, 130))).astype(np.int32)
    valid = rng.random(values.shape) < 0.8
    survey = Survey(2, 150, 130)
    for rows in (slice(0, CELL), slice(CELL, 150)):
        for columns in (slice(0, 2 * CELL), slice(2 * CELL, 130)):
            part = np.s_[:, rows, columns]
            survey.add(rows, columns, values[part], valid[part], ~valid[part])
    for band in range(2):
        known = values[band][valid[band]].astype(np.float64)
        assert survey.mean[band] == pytest.approx(known.mean(), rel=1e-12)
        assert survey.std[band] == pytest.approx(known.std(), rel=1e-3)
        assert (survey.low[band], survey.high[band]) == (known.min(), known.max())
    normal = Normal(survey.mean, survey.std, survey.low, survey.high)
    back = normal.back(normal.forth(values, valid))
    assert np.abs(back - values)[valid].max() < 0.01


def test_a_fill_never_leaves_the_span_of_what_is_known():
    normal = Normal(np.array([10.0]), np.array([2.0]), np.array([5.0]), np.array([14.0]))
    np.testing.assert_array_equal(normal.back(np.array([[[-9, 0, 9]]], np.float32)), [[[5, 10, 14]]])
