"""Every network runs on whole scenes, also those that look at all of their input; weights are random here."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
import pytest
import rasterio
import torch
from safetensors.torch import save_file

import made_scenes
from rsinpaint.fill import fill
from rsinpaint.jobs import read_job
from rsinpaint.models import registry
from rsinpaint.models.card import Card, write_card
from rsinpaint.models.fixed_windows import starts
from rsinpaint.networks import NETWORKS, build, kind
from test_networks import CONFIGS

WINDOW = 64


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """A card with random weights for each network."""
    folder = tmp_path_factory.mktemp("models")
    text = (registry.BUNDLED / "spa-gan-rice1.json").read_bytes()
    for name in NETWORKS:
        torch.manual_seed(0)
        network = build(name, CONFIGS[name]).eval()
        for weight in network.parameters():
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.1)
        file = folder / f"random-{name.replace('_', '-')}.safetensors"
        save_file({key: tensor.contiguous().clone() for key, tensor in network.state_dict().items()}, file)
        content = file.read_bytes()
        fields = msgspec.json.decode(text) | {
            "id": file.stem,
            "tasks": ["masked"],
            "network": name,
            "config": CONFIGS[name],
            "bands": "any" if name == "anyband" else 3,
            "normalisation": "range",
            "needs_mask": True,
            "outputs": ["fill"],
            "window": WINDOW if network.halo is None else None,
            "first_guess": "harmonic" if getattr(network, "guess_in_holes", False) else None,
            "weights": {"file": file.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        }
        write_card(msgspec.convert(fields, Card), folder / f"{file.stem}.json")
    return folder


@pytest.fixture(autouse=True)
def installed(models, monkeypatch):
    monkeypatch.setenv("RSINPAINT_MODELS", str(models))


def repaired(made, output, name, **fields):
    job = {"scene": str(made.path), "mask": str(made.mask), "output": str(output), "task": "masked", "overwrite": True}
    report = fill(read_job(job | {"model": f"random-{name.replace('_', '-')}"} | fields), lambda _: None, lambda: False)
    return made_scenes.read(output), report


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("bands", [1, 5])
def test_any_number_of_bands_and_any_size_are_filled_and_nothing_else_is_touched(name, bands, tmp_path):
    made = made_scenes.make(tmp_path, bands=bands, height=75, width=101)
    out, report = repaired(made, tmp_path / "out.tif", name)
    np.testing.assert_array_equal(out[~made.holes], made.values[~made.holes])
    assert report.filled == made.holes.sum() and report.left_open == 0
    assert any("3 at a time" in note for note in report.notes) == (name != "anyband")
    assert (out[made.holes] != 0).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_result_does_not_depend_on_how_the_scene_was_cut(name, tmp_path, monkeypatch):
    made = made_scenes.make(tmp_path, bands=3, height=170, width=150, dtype="float32")
    whole, _ = repaired(made, tmp_path / "whole.tif", name)
    monkeypatch.setattr("rsinpaint.fill.WINDOWS", (128,))
    monkeypatch.setattr("rsinpaint.models.windows.NETWORK_WINDOW", (64, 64))
    cut, _ = repaired(made, tmp_path / "cut.tif", name)
    span = np.subtract(*np.percentile(made.truth, [99.9, 0.1]))
    assert np.abs(cut - whole)[made.holes].max() <= 1e-4 * span


@pytest.mark.parametrize("name", NETWORKS)
def test_what_lies_beyond_a_wide_collar_does_not_matter_either(name, tmp_path, monkeypatch):
    """The nearest known pixel to the middle of a wide strip of nodata lies outside a small window."""
    made = made_scenes.make(tmp_path, bands=3, height=70, width=420, dtype="float32", kind="specks", collar=False)
    with rasterio.open(made.path, "r+") as scene:
        values = scene.read()
        values[:, :, 150:290] = np.nan
        values[:, :, 290:] += 3
        scene.write(values)
    with rasterio.open(made.mask, "r+") as file:
        holes = file.read()
        holes[:, :, 150:290] = 0
        file.write(holes)
    whole, _ = repaired(made, tmp_path / "whole.tif", name)
    monkeypatch.setattr("rsinpaint.fill.WINDOWS", (128,))
    monkeypatch.setattr("rsinpaint.models.windows.NETWORK_WINDOW", (64, 64))
    cut, _ = repaired(made, tmp_path / "cut.tif", name)
    assert np.abs(cut - whole)[holes == 1].max() <= 1e-4 * 3


@pytest.mark.parametrize("name", NETWORKS)
def test_chosen_bands_are_shown_in_the_order_that_was_asked_for(name, tmp_path):
    made = made_scenes.make(tmp_path, bands=4, height=70, width=80, kind="same")
    out, report = repaired(made, tmp_path / "out.tif", name, bands=[4, 2, 1])
    assert [band.filled > 0 for band in report.bands] == [True, True, False, True]
    np.testing.assert_array_equal(out[2], made.values[2])


@pytest.mark.parametrize("name", [name for name in NETWORKS if build(name, CONFIGS[name]).halo is None])
def test_windows_show_no_seam(name, tmp_path):
    """Steps across the lines where windows begin or end are at most 5 % above those elsewhere in the holes.

    With random weights neighbours agree on nothing and pictures hold little, so two thousandths of the range are
    nothing here. `bench/seam.py` measures models that were trained.
    """
    made = made_scenes.make(tmp_path, bands=3, height=260, width=250, dtype="float32", kind="same", collar=False)
    out, _ = repaired(made, tmp_path / "out.tif", name)
    hole, at, rest = made.holes[0], [], []
    for axis, size in enumerate(hole.shape):
        lines = {line for start in starts(size, WINDOW) for line in (start, start + WINDOW) if 0 < line < size}
        steps = np.abs(np.diff(out, axis=axis + 1)).swapaxes(1, axis + 1)
        both = (np.take(hole, range(1, size), axis) & np.take(hole, range(size - 1), axis)).swapaxes(0, axis)
        for line in range(1, size):
            (at if line in lines else rest).append(steps[:, line - 1][:, both[line - 1]].ravel())
    little = 0.002 * np.ptp(made.truth)
    assert np.concatenate(at).mean() <= 1.05 * np.concatenate(rest).mean() + little


@pytest.mark.parametrize("name", ["ecea", "edge_learning"])
def test_bands_that_are_shown_three_at_a_time_share_their_edges(name, tmp_path, monkeypatch):
    """Two groups of the same bands are painted alike only if both follow the same edges."""
    made = made_scenes.make(tmp_path, bands=6, height=70, width=80, kind="same", dtype="float32")
    network, seen = kind(name), []
    real = network.edges
    monkeypatch.setattr(network, "edges", lambda self, image, holes: seen.append(image) or real(self, image, holes))
    repaired(made, tmp_path / "out.tif", name)
    half = len(seen) // 2
    assert half and all(torch.equal(one, two) for one, two in zip(seen[:half], seen[half:], strict=True))
    assert all(torch.equal(image[:, 0], image[:, 1]) for image in seen)
    seen.clear()
    repaired(made, tmp_path / "out.tif", name, bands=[1, 2, 3])
    assert not torch.equal(seen[0][:, 0], seen[0][:, 1])
