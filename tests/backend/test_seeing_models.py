"""Models that look at what they remove: the cloud itself is their input, and without a mask all is theirs."""

from dataclasses import replace

import numpy as np
import rasterio
import torch
from rasterio.enums import ColorInterp
from safetensors.torch import load_file

import made_scenes
from rsinpaint.fill import fill
from rsinpaint.jobs import read_job
from rsinpaint.masks.everything import Everything
from rsinpaint.models import registry
from rsinpaint.networks import build

MODEL = "spa-gan-rice1"


def repaired(made, output, **fields):
    job = {"scene": str(made.path), "output": str(output), "model": MODEL, "task": "clouds", "overwrite": True}
    report = fill(read_job(job | fields), lambda progress: None, lambda: False)
    return made_scenes.read(output), report


def cloudy(folder, value):
    """A scene of three bands with one bright block, whose mask marks that block."""
    made = made_scenes.make(folder, bands=3, height=60, width=70, dtype="uint8", kind="same")
    with rasterio.open(made.path, "r+") as scene:
        values = np.maximum(made.truth, 1)
        values[:, 20:40, 20:45] = value
        scene.write(values)
    with rasterio.open(made.mask, "r+") as file:
        mask = np.zeros(file.shape, np.uint8)
        mask[20:40, 20:45] = 1
        file.write(np.stack([mask] * file.count))
    return made, values, mask.astype(bool)


def test_without_a_mask_every_pixel_that_holds_a_value_is_repaired(tmp_path):
    made, values, _ = cloudy(tmp_path, 200)
    out, report = repaired(made, tmp_path / "out.tif")
    assert report.filled == int((values != 0).sum()) and report.left_open == 0
    assert report.mask_source == Everything.name
    assert (out != values).mean() > 0.3


def test_with_a_mask_only_the_cloud_changes_and_what_it_looks_like_matters(tmp_path):
    fills = []
    for value in (120, 230):
        made, values, mask = cloudy(tmp_path, value)
        out, report = repaired(made, tmp_path / f"{value}.tif", mask=str(made.mask))
        np.testing.assert_array_equal(out[:, ~mask], values[:, ~mask])
        assert report.filled == 3 * mask.sum()
        fills.append(out[:, mask].astype(int))
    assert np.abs(fills[0] - fills[1]).mean() > 3


def test_ground_may_be_darker_than_all_that_was_seen_through_the_haze(tmp_path):
    """What the pipeline writes is what the network says, not cut to the span of the hazy picture."""
    made = made_scenes.make(tmp_path, bands=3, height=60, width=70, dtype="uint8", kind="same", collar=False)
    hazy = (120 + made.truth // 3).astype(np.uint8)
    with rasterio.open(made.path, "r+") as scene:
        scene.write(hazy)
    out, _ = repaired(made, tmp_path / "out.tif")
    network = build("spa_gan", {"mode": "as_published"}).eval()
    network.load_state_dict(load_file(registry.weights_path(registry.find(MODEL))))
    with torch.inference_mode():
        said = network(torch.from_numpy(hazy[None].astype(np.float32) / 255), torch.ones(1, 1, 60, 70))["fill"][0]
    expected = np.clip(np.rint(255 * said.numpy()), 0, 255)
    expected[expected == 0] = 1  # 0 is nodata here
    assert expected.min() < hazy.min() - 20 and np.abs(out - expected).max() <= 1


def test_what_is_transparent_is_no_cloud(tmp_path):
    made, values, _ = cloudy(tmp_path, 200)
    alpha = np.full((1, 60, 70), 255, np.uint8)
    alpha[:, :, 40:] = 0
    path = tmp_path / "rgba.tif"
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    with rasterio.open(path, "w", driver="GTiff", height=60, width=70, count=4, dtype="uint8") as file:
        file.colorinterp = colours
        file.write(np.concatenate([values, alpha]))
    out, report = repaired(replace(made, path=path), tmp_path / "o.tif")
    np.testing.assert_array_equal(out[:, :, 40:], np.concatenate([values, alpha])[:, :, 40:])
    assert [band.filled for band in report.bands] == [60 * 40] * 3 + [0]


def test_nodata_under_a_mask_is_no_cloud_and_shows_nothing_to_the_model(tmp_path):
    made, _, mask = cloudy(tmp_path, 0)  # 0 is nodata here
    out, report = repaired(made, tmp_path / "out.tif", mask=str(made.mask))
    assert report.filled + report.left_open == 3 * mask.sum()
    assert (out[:, mask] != 0).all()
