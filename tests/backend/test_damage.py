"""Gaps made on purpose: the same ones each time, and nothing else changed."""

import os

import numpy as np
import pytest

import made_scenes
from rsinpaint.errors import JobError
from rsinpaint.fill import damage, make_mask
from rsinpaint.jobs import DamageJob, MaskJob, read_job
from rsinpaint.masks.simulate import SIMULATORS


def run(fields: dict[str, object]):
    return damage(read_job(fields, DamageJob), lambda progress: None, lambda: False)


@pytest.mark.parametrize("kind", SIMULATORS)
def test_gaps_are_where_the_mask_says_and_the_same_each_time(kind, tmp_path):
    made = made_scenes.make(tmp_path, bands=2, height=200, width=180, kind="none")
    outputs = []
    for number in range(2):
        fields = {"scene": str(made.path), "output": str(tmp_path / f"{number}.tif"), "kind": kind, "amount": 0.4}
        report = run(fields | {"mask_output": str(tmp_path / f"mask{number}.tif"), "seed": 3})
        outputs.append(made_scenes.read(tmp_path / f"{number}.tif"))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    mask = made_scenes.read(tmp_path / "mask0.tif")[0] == 1
    np.testing.assert_array_equal(outputs[0][:, ~mask], made.values[:, ~mask])
    assert (outputs[0][:, mask] == 0).all() and mask.any()
    assert report.pixels == 2 * mask.sum()


def test_an_unknown_kind_an_amount_out_of_bounds_and_equal_outputs_are_refused(tmp_path):
    made = made_scenes.make(tmp_path, bands=1, kind="none")
    before = sorted(os.listdir(tmp_path))
    fields = {"scene": str(made.path), "output": str(tmp_path / "out.tif")}
    for wrong in ({"kind": "rain"}, {"amount": 1.5}, {"mask_output": str(tmp_path / "out.tif")}):
        with pytest.raises(JobError):
            run(fields | wrong)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_mask_cannot_replace_the_file_that_it_is_made_from(tmp_path):
    made = made_scenes.make(tmp_path, bands=1)
    fields = {"scene": str(made.path), "output": str(made.mask), "method": "raster_file", "mask": str(made.mask)}
    with pytest.raises(JobError, match=r"mask\.tif"):
        make_mask(read_job(fields | {"overwrite": True}, MaskJob), lambda progress: None, lambda: False)
    np.testing.assert_array_equal(made_scenes.read(made.mask) == 1, made.holes)
