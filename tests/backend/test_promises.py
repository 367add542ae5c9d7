"""The promises of the design, for every model that is installed: a new model is tested by being listed."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import made_scenes
from rsinpaint.errors import Cancelled
from rsinpaint.fill import fill
from rsinpaint.jobs import Report, read_job
from rsinpaint.models import registry, run, windows

MODELS = [card.id for card in registry.cards()]
every_model = pytest.mark.parametrize("model", MODELS)
quick = settings(
    max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
scenes = st.fixed_dictionaries(
    {
        "bands": st.integers(1, 4),
        "height": st.integers(20, 70),
        "width": st.integers(20, 70),
        "dtype": st.sampled_from(["uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"]),
        "seed": st.integers(0, 1000),
        "kind": st.sampled_from(["stripes", "same", "wide", "specks"]),
        "collar": st.booleans(),
    }
)


def repair(made: made_scenes.Made, output: Path, **fields: object) -> Report:
    job = {"scene": str(made.path), "output": str(output), "mask": str(made.mask), "overwrite": True}
    return fill(read_job(job | fields), lambda progress: None, lambda: False)


@every_model
@quick
@given(asked=scenes)
def test_known_pixels_and_collar_come_back_bit_for_bit_and_every_hole_is_filled_or_counted(model, asked):
    with tempfile.TemporaryDirectory() as folder:
        made = made_scenes.make(Path(folder), **asked)
        report = repair(made, Path(folder) / "out.tif", model=model)
        out = made_scenes.read(Path(folder) / "out.tif")
        holes = made.holes & ~made.collar
        np.testing.assert_array_equal(out[~holes], made.values[~holes])  # promises 1 and 2
        nodata = made_scenes.NODATA[out.dtype.kind]
        empty = ~np.isfinite(out) if out.dtype.kind == "f" else out == nodata
        assert (empty & holes).sum((1, 2)).tolist() == [band.left_open for band in report.bands]  # promise 4
        assert holes.sum((1, 2)).tolist() == [band.filled + band.left_open for band in report.bands]
        for band in range(len(out)):
            known = made.values[band][~(made.holes | made.collar)[band]]
            if known.size:
                assert report.bands[band].left_open == 0
                filled = out[band][holes[band]]
                if not run.sees_holes(registry.find(model)):  # these may find darker ground under a cloud
                    assert filled.size == 0 or (known.min() - 1 <= filled.min() and filled.max() <= known.max() + 1)


@every_model
def test_grid_and_description_survive(model, tmp_path):
    made = made_scenes.make(tmp_path, bands=3)
    with rasterio.open(made.path, "r+") as scene:
        scene.scales, scene.offsets = (2.75e-5,) * 3, (-0.2,) * 3
        scene.update_tags(SENSOR="ETM+")
    repair(made, tmp_path / "out.tif", model=model)
    with rasterio.open(made.path) as before, rasterio.open(tmp_path / "out.tif") as after:
        for attribute in ("crs", "transform", "shape", "dtypes", "nodatavals", "descriptions", "scales", "offsets"):
            assert getattr(after, attribute) == getattr(before, attribute)
        assert after.tags()["SENSOR"] == "ETM+"


@every_model
@pytest.mark.parametrize("kind", ["stripes", "wide"])
def test_the_result_does_not_depend_on_how_the_scene_was_cut(model, kind, tmp_path, monkeypatch):
    made = made_scenes.make(tmp_path, bands=2, height=400, width=330, dtype="float32", kind=kind)
    repair(made, tmp_path / "whole.tif", model=model)
    whole = made_scenes.read(tmp_path / "whole.tif")
    known = made.truth[~made.collar]
    span = np.subtract(*np.percentile(known, [99.9, 0.1]))
    for sides, seen in (((128,), (64, 128)), ((256,), (512, 64))):
        monkeypatch.setattr("rsinpaint.fill.WINDOWS", sides)
        monkeypatch.setattr(windows, "NETWORK_WINDOW", seen)
        repair(made, tmp_path / "cut.tif", model=model)
        cut = made_scenes.read(tmp_path / "cut.tif")
        assert np.abs(cut - whole)[made.holes].max() <= 1e-4 * span


@every_model
def test_same_job_gives_same_bytes_and_the_number_of_threads_changes_next_to_nothing(model, tmp_path):
    made = made_scenes.make(tmp_path, bands=2, height=150, width=140, dtype="float32")
    outputs = []
    for number, threads in enumerate((1, 2, 1)):
        repair(made, tmp_path / f"{number}.tif", model=model, threads=threads)
        outputs.append((tmp_path / f"{number}.tif").read_bytes())
    assert outputs[0] == outputs[2]
    one, two = (made_scenes.read(tmp_path / f"{number}.tif") for number in (0, 1))
    span = np.subtract(*np.percentile(made.truth[~made.collar], [99.9, 0.1]))
    np.testing.assert_allclose(one, two, rtol=0, atol=1e-4 * span)


@pytest.mark.gpu
@every_model
def test_cpu_and_gpu_agree_within_a_thousandth_of_the_range(model, tmp_path):
    made = made_scenes.make(tmp_path, bands=3, height=300, width=280, dtype="float32")
    for device in ("cpu", "cuda"):
        repair(made, tmp_path / f"{device}.tif", model=model, device=device)
    difference = made_scenes.read(tmp_path / "cpu.tif") - made_scenes.read(tmp_path / "cuda.tif")
    assert np.abs(difference)[made.holes].max() <= 1e-3 * np.ptp(made.truth)


@every_model
def test_the_output_says_what_was_done_and_nothing_of_when(model, tmp_path):
    made = made_scenes.make(tmp_path, bands=2)
    report = repair(made, tmp_path / "out.tif", model=model)
    with rasterio.open(tmp_path / "out.tif") as out:
        tags = out.tags()
    assert tags["RSINPAINT_MODEL"] == model == report.model
    assert tags.get("RSINPAINT_WEIGHTS_SHA256", "") == registry.find(model).sha256  # GDAL keeps no empty tag
    assert tags["RSINPAINT_FILLED"] == " ".join(str(band.filled) for band in report.bands)
    assert "mask.tif" in tags["RSINPAINT_MASK_SOURCE"]
    assert not [name for name in tags if "TIME" in name or "DATE" in name]


def test_the_mask_of_what_was_filled_is_the_holes(tmp_path):
    made = made_scenes.make(tmp_path, bands=2)
    repair(made, tmp_path / "out.tif", model="harmonic", out_mask=str(tmp_path / "filled.tif"))
    np.testing.assert_array_equal(made_scenes.read(tmp_path / "filled.tif") == 1, made.holes)


@pytest.mark.parametrize("model", [card.id for card in registry.cards() if "uncertainty" in card.outputs])
def test_the_expected_error_is_positive_in_holes_zero_where_known_and_absent_in_the_collar(model, tmp_path):
    made = made_scenes.make(tmp_path, bands=2)
    repair(made, tmp_path / "out.tif", model=model, out_uncertainty=str(tmp_path / "error.tif"))
    error = made_scenes.read(tmp_path / "error.tif")
    assert (error[made.holes] > 0).all()
    assert (error[~(made.holes | made.collar)] == 0).all()
    assert np.isnan(error[made.collar]).all()


def test_bands_that_are_not_asked_for_are_copied_with_their_holes(tmp_path):
    made = made_scenes.make(tmp_path, bands=3)
    repair(made, tmp_path / "out.tif", model="tension-spline", bands=[2])
    out = made_scenes.read(tmp_path / "out.tif")
    np.testing.assert_array_equal(out[[0, 2]], made.values[[0, 2]])
    assert (out[1] != made.values[1])[made.holes[1]].all()


def test_a_cancelled_job_leaves_nothing(tmp_path):
    made = made_scenes.make(tmp_path, bands=2, height=300)
    before = sorted(os.listdir(tmp_path))
    told: list[str] = []
    job = read_job({"scene": str(made.path), "output": str(tmp_path / "out.tif"), "mask": str(made.mask)})
    with pytest.raises(Cancelled):
        fill(job, lambda progress: told.append(progress.stage), lambda: "fill" in told)
    assert sorted(os.listdir(tmp_path)) == before


def test_a_killed_run_leaves_no_output_and_its_litter_is_swept_by_the_next(tmp_path):
    made = made_scenes.make(tmp_path, bands=2, height=300)
    killed = f"""
import os, signal
from rsinpaint.fill import fill
from rsinpaint.jobs import read_job
def progress(p):
    if p.stage == "write":
        os.kill(os.getpid(), signal.SIGKILL)
fill(read_job({{"scene": {str(made.path)!r}, "output": {str(tmp_path / "out.tif")!r}, "mask": {str(made.mask)!r},
               "model": "harmonic"}}), progress, lambda: False)
"""
    done = subprocess.run([sys.executable, "-c", killed], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out.tif").exists()
    assert list(tmp_path.glob(".*rsinpaint*"))
    repair(made, tmp_path / "out.tif", model="harmonic")
    assert not list(tmp_path.glob(".*rsinpaint*"))


PEAK = """
import sys
from rsinpaint.fill import fill
from rsinpaint.jobs import read_job
fill(read_job({"scene": sys.argv[1], "mask": sys.argv[2], "output": sys.argv[3], "model": "harmonic"}),
     lambda p: None, lambda: False)
print(*[line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")])
"""


def test_a_scene_ten_times_as_large_needs_no_more_than_a_fifth_more_memory(tmp_path):
    small = made_scenes.make(tmp_path, bands=1, height=1100, width=1024, tiled=True, compress="deflate")
    peaks = []
    for times in (1, 10):
        scene, mask, output = (tmp_path / f"{name}{times}.tif" for name in ("scene", "mask", "out"))
        made_scenes.stack(small.path, scene, times)
        made_scenes.stack(small.mask, mask, times)
        command = [sys.executable, "-c", PEAK, str(scene), str(mask), str(output)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] <= 1.2 * peaks[0]


def test_a_fill_is_never_the_code_of_a_gap_that_no_tag_names(tmp_path):
    """Stripes coded 0 under a nodata tag of -9999, in a scene whose values lie around 0."""
    made = made_scenes.make(tmp_path, bands=1, height=300, width=300, dtype="float32", kind="same", collar=False)
    values = np.round((made.truth - made.truth.mean()) * 20).astype(np.int16)
    values[values == 0] = 1
    values[made.holes] = 0
    profile = {"driver": "GTiff", "height": 300, "width": 300, "count": 1, "dtype": "int16", "nodata": -9999}
    with rasterio.open(tmp_path / "coded.tif", "w", **profile) as file:
        file.write(values)
    job = {"scene": str(tmp_path / "coded.tif"), "output": str(tmp_path / "out.tif"), "model": "tension-spline"}
    report = fill(read_job(job), lambda progress: None, lambda: False)
    out = made_scenes.read(tmp_path / "out.tif")
    assert report.filled > 0.9 * made.holes.sum() and (out == 0).sum() + report.filled == made.holes.sum()


def test_the_collar_of_a_scene_without_nodata_is_not_taken_for_data_when_a_quality_band_tells(tmp_path):
    rng = np.random.default_rng(0)
    truth = (100 + 3 * rng.random((1, 300, 300))).astype(np.uint8)
    stripes = made_scenes.make(tmp_path, bands=1, height=300, width=300, kind="same", collar=False).holes
    outside = np.add.outer(np.arange(300) * 0.2, np.arange(300))[None] < 60
    values = np.where(stripes | outside, np.uint8(0), truth)
    profile = {"driver": "GTiff", "height": 300, "width": 300, "count": 1}
    with rasterio.open(tmp_path / "plain.tif", "w", dtype="uint8", **profile) as file:
        file.write(values)
    with rasterio.open(tmp_path / "QA_PIXEL.tif", "w", dtype="uint16", **profile) as file:
        file.write(np.where(values == 0, 1, 5440).astype(np.uint16))
    job = {
        "scene": str(tmp_path / "plain.tif"),
        "output": str(tmp_path / "out.tif"),
        "qa": str(tmp_path / "QA_PIXEL.tif"),
    }
    report = fill(read_job(job | {"model": "tension-spline"}), lambda progress: None, lambda: False)
    out = made_scenes.read(tmp_path / "out.tif")
    changed = out != values
    assert report.filled == changed.sum() > 1000
    assert out[changed].min() >= 100


def test_pixels_that_the_mask_band_calls_invalid_are_not_taken_for_data(tmp_path):
    made = made_scenes.make(tmp_path, bands=1, height=120, width=120, kind="same", collar=False)
    with rasterio.open(made.path, "r+") as scene:
        values = scene.read()
        values[:, :, :20] = 60000
        scene.nodata = None
        scene.write(values)
        valid = np.ones(scene.shape, np.uint8) * 255
        valid[:, :20] = 0
        scene.write_mask(valid)
    repair(made, tmp_path / "out.tif", model="inverse-distance")
    out = made_scenes.read(tmp_path / "out.tif")
    filled = made.holes & (out != values)
    filled[:, :, :20] = False
    assert out[filled].max() <= made.truth.max()


@pytest.mark.parametrize("blocked", ["out_mask", "out_uncertainty"])
def test_no_output_appears_when_another_cannot_be_completed(blocked, tmp_path, monkeypatch):
    made = made_scenes.make(tmp_path, bands=1)
    from rsinpaint.raster.write import Writer

    real = Writer.complete

    def complete(self, tags, tick=None):
        if self.path.endswith(f"{blocked}.tif"):
            raise OSError("the disk is gone")
        real(self, tags, tick)

    monkeypatch.setattr(Writer, "complete", complete)
    before = sorted(os.listdir(tmp_path))
    wanted = {name: str(tmp_path / f"{name}.tif") for name in ("out_mask", "out_uncertainty")}
    with pytest.raises(OSError, match="gone"):
        repair(made, tmp_path / "out.tif", model="anyband-s", **wanted)
    assert sorted(os.listdir(tmp_path)) == before
