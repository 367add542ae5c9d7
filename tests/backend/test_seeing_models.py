"""Models that look at what they remove: the cloud itself is their input, and without a mask all is theirs."""

import numpy as np
import rasterio

import made_scenes
from rsinpaint.fill import fill
from rsinpaint.jobs import read_job
from rsinpaint.masks.everything import Everything

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


def test_nodata_under_a_mask_is_no_cloud_and_shows_nothing_to_the_model(tmp_path):
    made, _, mask = cloudy(tmp_path, 0)  # 0 is nodata here
    out, report = repaired(made, tmp_path / "out.tif", mask=str(made.mask))
    assert report.filled + report.left_open == 3 * mask.sum()
    assert (out[:, mask] != 0).all()
