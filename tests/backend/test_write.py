"""Promises 1, 3 and 7: an output says what its scene says, holds its pixels bit for bit, and appears whole or never."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioIOError
from rasterio.rpc import RPC
from rasterio.transform import Affine

from rsinpaint.errors import Cancelled, JobError
from rsinpaint.raster import publish as publishing
from rsinpaint.raster.scene import open_scene
from rsinpaint.raster.write import RASTERIO_ENV, check_output, rasterio_env, sweep, write_like

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
NORTH_UP = Affine(30, 0, 300_000, 0, -30, 4_500_000)
TRANSFORMS = [NORTH_UP, Affine(30, 0, 300_000, 0, 30, 4_000_000), Affine(21, 21, 300_000, 21, -21, 4_500_000)]
XMP = '<?xpacket begin="" id="W5M0"?><x:xmpmeta xmlns:x="adobe:ns:meta/" a="b=c"/><?xpacket end="w"?>'
RPCS = RPC(
    height_off=1.0, height_scale=2.0, lat_off=50.0, lat_scale=1.0, line_off=9.0, line_scale=8.0, long_off=10.0,
    long_scale=1.5, samp_off=4.0, samp_scale=6.0, err_bias=0.5, err_rand=0.25, line_num_coeff=[0.5] * 20,
    line_den_coeff=[1.0] + [0.0] * 19, samp_num_coeff=[0.25] * 20, samp_den_coeff=[1.0] + [0.125] * 19,
)  # fmt: skip
NAMES = st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Z"]), min_size=1))
WORDS = st.dictionaries(st.from_regex("[A-Za-z][A-Za-z_]{0,8}", fullmatch=True), st.from_regex("[ -~é]{1,20}",
                        fullmatch=True).map(str.strip).filter(bool), max_size=3)  # fmt: skip
MEANINGS = [[ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.undefined],
            [ColorInterp.gray, ColorInterp.undefined, ColorInterp.undefined, ColorInterp.undefined],
            [ColorInterp.nir, ColorInterp.red, ColorInterp.green, ColorInterp.undefined]]  # fmt: skip


def random_values(dtype, shape, seed=0):
    """Any bit patterns: NaN, infinity, negative zero and payloads of NaN included."""
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(np.random.default_rng(seed).bytes(count), dtype).reshape(shape)


def make(path, values, *, transform=NORTH_UP, **profile):
    """A GeoTIFF, open for more (`r+`)."""
    profile = {"photometric": "MINISBLACK", "alpha": "UNSPECIFIED", "crs": "EPSG:32618"} | profile
    bands, height, width = values.shape
    with rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=bands, dtype=values.dtype,
                       transform=transform, **profile) as dataset:  # fmt: skip
        dataset.write(values)
    return rasterio.open(path, "r+")


def copy(source, output, tags=None, window=512, **options):
    """Write a scene as it is, through windows."""
    with open_scene([str(source)]) as scene, write_like(scene, str(output), **{"overwrite": False} | options) as writer:
        for row in range(0, scene.height, window):
            for column in range(0, scene.width, window):
                rows = slice(row, min(row + window, scene.height))
                columns = slice(column, min(column + window, scene.width))
                writer.write(rows, columns, scene.read(rows, columns))
        writer.publish(tags or {})
        return scene


def facts(path):
    """Everything of promise 3."""
    with rasterio.open(path) as dataset:
        own = [name for name in dataset.tag_namespaces() if name not in ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS")]
        return {
            "grid": (dataset.crs, dataset.transform, dataset.shape),
            "type": dataset.dtypes,
            "nodata": repr(dataset.nodatavals),
            "scales": (dataset.scales, dataset.offsets, dataset.units),
            "names": dataset.descriptions,
            "meaning": dataset.colorinterp,
            "gcps": [point.asdict() | {"id": ""} for point in dataset.gcps[0]],
            "rpcs": dataset.rpcs and dataset.rpcs.to_dict(),
            "tags": dataset.tags(),
            "namespaces": {name: dataset.tags(ns=name) for name in own},
            "band tags": [dataset.tags(band) for band in dataset.indexes],
            "band namespaces": [{name: dataset.tags(band, ns=name) for name in dataset.tag_namespaces(band)
                                 if name != "IMAGE_STRUCTURE"} for band in dataset.indexes],
            "mask": [MaskFlags.per_dataset in flags for flags in dataset.mask_flag_enums],
            "mask values": dataset.read_masks(1).tobytes() if dataset.mask_flag_enums[0] == [MaskFlags.per_dataset]
            else b"",
            "pixels": dataset.read().tobytes(),
        }  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize("format", ["gtiff", "cog"])
def test_everything_that_a_scene_says_about_itself_survives(tmp_path, data, format):
    draw = data.draw
    bands, dtype = draw(st.integers(1, 4)), draw(st.sampled_from(DTYPES))
    values = random_values(dtype, (bands, draw(st.integers(1, 40)), draw(st.integers(1, 40))))
    source, output = tmp_path / "scène.tif", tmp_path / "out.tif"
    for old in tmp_path.iterdir():
        old.unlink()
    possible = st.sampled_from([0, 1, 100] + ([float("nan"), -9999, 1e20] if dtype.startswith("float") else []))
    nodata = draw(st.lists(st.one_of(st.none(), possible), min_size=bands, max_size=bands))
    with make(source, values, transform=draw(st.sampled_from(TRANSFORMS))) as dataset:
        dataset.descriptions = draw(st.lists(NAMES, min_size=bands, max_size=bands))
        dataset.scales = draw(st.lists(st.sampled_from([1, 2.75e-5, 0.1]), min_size=bands, max_size=bands))
        dataset.offsets = draw(st.lists(st.sampled_from([0, -0.2, 1000]), min_size=bands, max_size=bands))
        dataset.units = draw(st.lists(st.sampled_from([None, "K", "µm"]), min_size=bands, max_size=bands))
        if bands > 1:  # one band is gray, whatever is asked for
            dataset.colorinterp = draw(st.sampled_from(MEANINGS))[:bands]
        dataset.update_tags(**draw(WORDS), AREA_OR_POINT=draw(st.sampled_from(["Area", "Point"])))
        dataset.update_tags(ns="IMAGERY", **draw(WORDS))
        dataset.update_tags(bands, **draw(WORDS))
        dataset.update_tags(bands, ns="OWN", **draw(WORDS))
        if draw(st.booleans()):
            key, value = XMP.split("=", 1)
            dataset.update_tags(ns="xml:XMP", **{key: value})
        if draw(st.booleans()):
            dataset.rpcs = RPCS
        if draw(st.booleans()):
            dataset.write_mask(random_values("uint8", values.shape[1:], 1) // 128 * 255)
    sidecar = "".join(f'<PAMRasterBand band="{band}"><NoDataValue>{value}</NoDataValue></PAMRasterBand>'
                      for band, value in enumerate(nodata, 1) if value is not None)  # fmt: skip
    Path(f"{source}.aux.xml").write_text(f"<PAMDataset>{sidecar}</PAMDataset>")
    before = source.read_bytes()
    expected = facts(source)
    copy(source, output, format=format, window=16)
    assert facts(output) == expected
    assert source.read_bytes() == before
    assert not [name for name in os.listdir(tmp_path) if ".rsinpaint-" in name]


@pytest.mark.parametrize("dtype", DTYPES)
def test_pixels_come_back_bit_for_bit_and_the_same_bytes_twice(tmp_path, dtype):
    make(tmp_path / "a.tif", random_values(dtype, (3, 70, 530))).close()
    for name in ("b.tif", "c.tif"):
        copy(tmp_path / "a.tif", tmp_path / name)
    assert facts(tmp_path / "b.tif")["pixels"] == random_values(dtype, (3, 70, 530)).tobytes()
    assert (tmp_path / "b.tif").read_bytes() == (tmp_path / "c.tif").read_bytes()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ground_control_points_survive_without_a_transform(tmp_path):
    points = [
        GroundControlPoint(row, column, 10 + column / 9, 50 - row / 9, 3.0) for row in (0, 9) for column in (0, 9)
    ]
    with make(tmp_path / "a.tif", random_values("uint8", (1, 10, 10)), crs=None, transform=None) as dataset:
        dataset.gcps = (points, "EPSG:4326")
    expected = facts(tmp_path / "a.tif")
    assert len(expected["gcps"]) == 4
    for format in ("gtiff", "cog"):
        copy(tmp_path / "a.tif", tmp_path / f"{format}.tif", format=format)
        assert facts(tmp_path / f"{format}.tif") == expected
        with rasterio.open(tmp_path / f"{format}.tif") as dataset:
            assert dataset.gcps[1] == "EPSG:4326" and dataset.transform == Affine.identity()


def test_statistics_and_an_earlier_report_are_dropped_and_the_new_report_is_there(tmp_path):
    with make(tmp_path / "a.tif", random_values("uint8", (2, 9, 9))) as dataset:
        dataset.update_tags(RSINPAINT_OLD="1", KEPT="2", NS="3")
        dataset.update_tags(1, STATISTICS_MEAN="5", ROLE="blue")
    copy(tmp_path / "a.tif", tmp_path / "b.tif", {"RSINPAINT_TASK": "slcoff"})
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.tags() == {"KEPT": "2", "NS": "3", "RSINPAINT_TASK": "slcoff", "AREA_OR_POINT": "Area"}
        assert dataset.tags(1) == {"ROLE": "blue"}
    copy(tmp_path / "a.tif", tmp_path / "c.tif")
    with rasterio.open(tmp_path / "c.tif") as dataset:
        assert dataset.tags()["RSINPAINT_OLD"] == "1"


def test_overviews_are_built_anew_where_the_scene_had_them(tmp_path):
    with make(tmp_path / "a.tif", random_values("uint8", (1, 100, 100)), tiled=True, blockxsize=16,
              blockysize=16) as dataset:  # fmt: skip
        dataset.build_overviews([2, 4])
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.overviews(1) == [2, 4]
    assert sorted(os.listdir(tmp_path)) == ["a.tif", "b.tif"]


def test_files_of_a_bundle_become_one_file(tmp_path):
    for band in (1, 2):
        with make(tmp_path / f"LE07_x_B{band}.TIF", random_values("uint8", (1, 9, 9), band)) as dataset:
            dataset.update_tags(SAME="1", OWN=str(band))
            dataset.update_tags(1, LAMBDA=str(band))
    copy(tmp_path, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.descriptions == ("B1", "B2") and dataset.tags()["SAME"] == "1" and "OWN" not in dataset.tags()
        assert [dataset.tags(band)["LAMBDA"] for band in (1, 2)] == ["1", "2"]


def test_the_mask_band_says_valid_where_a_hole_was_filled(tmp_path):
    with make(tmp_path / "a.tif", random_values("uint8", (2, 4, 4))) as dataset:
        dataset.write_mask(np.repeat(np.array([[0], [0], [255], [255]], "uint8"), 4, axis=1))
    filled = np.zeros((2, 4, 4), bool)
    filled[1, 0, :] = True
    window = slice(0, 4), slice(0, 4)
    with (
        open_scene([str(tmp_path / "a.tif")]) as scene,
        write_like(scene, str(tmp_path / "b.tif"), overwrite=False) as w,
    ):
        w.write(*window, scene.read(*window), filled)
        w.publish({})
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.read_masks(1)[:, 0].tolist() == [255, 0, 255, 255]


def test_a_plain_output_has_the_grid_and_nothing_else(tmp_path):
    with make(tmp_path / "a.tif", random_values("int16", (3, 20, 30)), nodata=-1) as dataset:
        dataset.update_tags(A="1")
        dataset.scales = (2, 2, 2)
    with open_scene([str(tmp_path / "a.tif")]) as scene:
        options = {"overwrite": False, "plain": True, "dtype": "float32", "count": 1, "nodata": float("nan")}
        with write_like(scene, str(tmp_path / "b.tif"), **options, band_names=["error"]) as writer:
            writer.write(slice(0, 20), slice(0, 30), np.zeros((1, 20, 30), "float32"))
            writer.publish({"RSINPAINT_TASK": "lines"})
        with rasterio.open(tmp_path / "b.tif") as dataset:
            assert (dataset.crs, dataset.transform, dataset.shape) == (scene.crs, scene.transform, (20, 30))
            assert dataset.descriptions == ("error",) and np.isnan(dataset.nodata) and dataset.scales == (1.0,)
            assert dataset.tags() == {"RSINPAINT_TASK": "lines", "AREA_OR_POINT": "Area"}


@pytest.mark.parametrize("side", [1, 40, 1300])
def test_a_cloud_optimised_output_is_one(tmp_path, side):
    make(tmp_path / "a.tif", np.ones((2, side, side), "uint16")).close()
    copy(tmp_path / "a.tif", tmp_path / "b.tif", {"RSINPAINT_TASK": "lines"}, format="cog")
    head = (tmp_path / "b.tif").read_bytes()[:400]
    assert b"LAYOUT=IFDS_BEFORE_DATA" in head and b"KNOWN_INCOMPATIBLE_EDITION=NO" in head
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.tags()["RSINPAINT_TASK"] == "lines"
        assert dataset.overviews(1) == ([2, 4] if side == 1300 else [])
        assert dataset.block_shapes[0] == (512, 512)


def start(scene, path, **options):
    return write_like(scene, str(path), **{"overwrite": False} | options)


@pytest.fixture
def scene(tmp_path):
    make(tmp_path / "scene.tif", random_values("uint16", (2, 64, 64))).close()
    with open_scene([str(tmp_path / "scene.tif")]) as scene:
        yield scene


WHOLE = slice(0, 64), slice(0, 64)


def test_leaving_without_publishing_or_with_an_exception_leaves_nothing(tmp_path, scene):
    with start(scene, tmp_path / "o.tif") as writer:
        writer.write(*WHOLE, scene.read(*WHOLE))
        assert len(os.listdir(tmp_path)) == 2
    with pytest.raises(Cancelled), start(scene, tmp_path / "o.tif"):
        raise Cancelled
    assert os.listdir(tmp_path) == ["scene.tif"]


def test_cancelling_the_proof_leaves_nothing(tmp_path, scene):
    def tick(fraction):
        raise Cancelled

    with start(scene, tmp_path / "o.tif") as writer:
        writer.write(*WHOLE, scene.read(*WHOLE))
        with pytest.raises(Cancelled):
            writer.publish({}, tick)
    assert os.listdir(tmp_path) == ["scene.tif"]


def test_an_output_with_pixels_missing_is_not_published(tmp_path, scene):
    with start(scene, tmp_path / "o.tif") as writer:
        writer.write(slice(0, 32), slice(0, 64), scene.read(slice(0, 32), slice(0, 64)))
        with pytest.raises(ValueError, match="2048 pixels"):
            writer.publish({})
    assert os.listdir(tmp_path) == ["scene.tif"]


def test_a_file_that_does_not_hold_what_was_written_is_not_published(tmp_path, scene, monkeypatch):
    with start(scene, tmp_path / "o.tif") as writer:
        writer.write(*WHOLE, scene.read(*WHOLE))
        finish = writer._finish

        def damage():
            path = finish()
            with rasterio.open(path, "r+") as dataset:
                dataset.write(np.zeros((1, 1), "uint16"), 2, window=((63, 64), (63, 64)))
            return path

        monkeypatch.setattr(writer, "_finish", damage)
        with pytest.raises(JobError, match="did not reach the disk"):
            writer.publish({})
    assert os.listdir(tmp_path) == ["scene.tif"]


def script(body, tmp_path, *arguments):
    """A process of its own that writes `out.tif` on the grid of `scene.tif`."""
    head = f"""
        import os, resource, signal, sys, time
        import numpy as np
        from rsinpaint.errors import JobError
        from rsinpaint.raster.scene import open_scene
        from rsinpaint.raster.write import write_like
        os.chdir({str(tmp_path)!r})
        scene = open_scene(["scene.tif"])
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(head) + textwrap.dedent(body), *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # fmt: skip


def test_a_killed_writer_leaves_nothing_under_the_name_and_its_litter_is_swept(tmp_path, scene):
    body = """
        writer = write_like(scene, "out.tif", overwrite=False)
        writer.write(slice(0, 32), slice(0, 64), scene.read(slice(0, 32), slice(0, 64)))
        print("writing", flush=True)
        time.sleep(60)
    """
    process = script(body, tmp_path)
    assert process.stdout.readline() == "writing\n"
    assert sweep(str(tmp_path)) == ()  # it lives
    process.kill()
    process.communicate()
    assert len(os.listdir(tmp_path)) == 2 and not (tmp_path / "out.tif").exists()
    with start(scene, tmp_path / "out.tif") as writer:
        assert len(os.listdir(tmp_path)) == 2  # the new one's only
        writer.write(*WHOLE, scene.read(*WHOLE))
        writer.publish({})
    assert sorted(os.listdir(tmp_path)) == ["out.tif", "scene.tif"]


@pytest.mark.parametrize("format", ["gtiff", "cog"])
def test_a_disk_that_takes_no_more_is_told_in_words_wherever_it_happens(tmp_path, format):
    """The limit on the size of files falls on the header, a block, what `close` writes, the last byte."""
    values = random_values("uint16", (1, 256, 256))
    make(tmp_path / "scene.tif", values).close()
    copy(tmp_path / "scene.tif", tmp_path / "whole.tif", format=format)
    size = (tmp_path / "whole.tif").stat().st_size
    limits = [0, 100, 1000, size // 2, size - 4000, size - 200, size - 1]
    body = """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        rows = slice(0, 256)
        for limit in map(int, sys.argv[2:]):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                with write_like(scene, "out.tif", overwrite=True, format=sys.argv[1]) as writer:
                    writer.write(rows, rows, scene.read(rows, rows))
                    writer.publish({})
                print("made", flush=True)
            except JobError as error:
                print(error.code, sorted(os.listdir(".")), flush=True)
    """
    lines = script(body, tmp_path, format, *map(str, [*limits, 4 * size])).communicate()[0].splitlines()
    refused = "output_unwritable ['scene.tif', 'whole.tif']"
    assert lines == [refused] * len(limits) + ["made"]
    assert facts(tmp_path / "out.tif")["pixels"] == values.tobytes()


def test_a_full_disk_is_called_full(tmp_path, scene, monkeypatch):
    monkeypatch.setattr(publishing.shutil, "disk_usage", lambda folder: SimpleNamespace(free=4096))
    error = publishing.write_error(str(tmp_path / "o.tif"), RasterioIOError("Write failed. See previous exception"))
    assert error.code == "disk_full" and "is full" in str(error)
    with pytest.raises(JobError, match="GiB free") as caught:
        check_output(str(tmp_path / "o.tif"), scene, False)
    assert caught.value.code == "disk_full"


def test_litter_of_other_hosts_is_swept_only_when_old(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine = tmp_path / f".o.tif.rsinpaint-{dead.pid}-{publishing.HOST}.part.tif"
    alive = tmp_path / f".o.tif.rsinpaint-{os.getpid()}-{publishing.HOST}.part.tif"
    young, old = (tmp_path / f".{name}.tif.rsinpaint-1-{'0' * 8}.part.tif" for name in ("young", "old"))
    for path in (mine, alive, young, old, tmp_path / "kept.tif", tmp_path / ".hidden.part.tif"):
        path.touch()
    os.utime(old, (time.time() - 2 * publishing.OTHER_HOST_S,) * 2)
    assert set(sweep(str(tmp_path))) == {mine.name, old.name}


def test_stale_sidecars_of_a_replaced_file_go_and_come_back_when_it_cannot_be_replaced(tmp_path, scene, monkeypatch):
    output = tmp_path / "o.tif"
    names = ["o.tif", "o.tif.aux.xml", "o.tif.msk", "o.tif.ovr"]
    for name in names:
        (tmp_path / name).write_text("old")
    replace = os.replace

    def locked(old, new):
        if new == str(output):
            raise PermissionError(13, "used by another process")
        replace(old, new)

    def attempt():
        with start(scene, output, overwrite=True, nodata=[1, None]) as writer:
            writer.write(*WHOLE, scene.read(*WHOLE))
            writer.publish({})

    monkeypatch.setattr(publishing.os, "replace", locked)
    with pytest.raises(JobError, match="Close the layer in QGIS"):
        attempt()
    assert sorted(os.listdir(tmp_path)) == [*names, "scene.tif"]
    assert {(tmp_path / name).read_text() for name in names} == {"old"}
    monkeypatch.setattr(publishing.os, "replace", replace)
    attempt()
    assert sorted(os.listdir(tmp_path)) == ["o.tif", "o.tif.aux.xml", "scene.tif"]
    with rasterio.open(output) as dataset:
        assert dataset.nodatavals == (1, None)


def test_a_file_that_came_into_being_meanwhile_is_not_replaced(tmp_path, scene):
    with start(scene, tmp_path / "o.tif") as writer:
        writer.write(*WHOLE, scene.read(*WHOLE))
        (tmp_path / "o.tif").write_text("mine")
        with pytest.raises(JobError, match="exists already"):
            writer.publish({})
    assert (tmp_path / "o.tif").read_text() == "mine" and len(os.listdir(tmp_path)) == 2


def test_what_cannot_become_an_output_is_said_before_any_work(tmp_path, scene):
    (tmp_path / "there.tif").touch()
    (tmp_path / "folder.tif").mkdir()
    (tmp_path / "link.tif").symlink_to(tmp_path / "scene.tif")
    for name, words in {
        "o.png": "not named like a GeoTIFF",
        "none/o.tif": "does not exist",
        "there.tif": "exists already",
        "folder.tif": "is a folder",
        "scene.tif": "also read",
        "link.tif": "also read",
        "mask.tif": "also read or written by this job as",
    }.items():
        with pytest.raises(JobError, match=words):
            check_output(str(tmp_path / name), scene, name != "there.tif", protected=[str(tmp_path / "mask.tif")])
    check_output(str(tmp_path / "new.TIFF"), scene, False)
    check_output(str(tmp_path / "there.tif"), scene, True)
    with pytest.raises(JobError):
        start(scene, tmp_path / "none" / "o.tif")


def test_a_scene_larger_than_the_disk_is_refused_before_any_work(tmp_path):
    (tmp_path / "huge.vrt").write_text('<VRTDataset rasterXSize="9000000" rasterYSize="9000000">'
                                       '<VRTRasterBand dataType="Float64" band="1"/></VRTDataset>')  # fmt: skip
    with open_scene([str(tmp_path / "huge.vrt")]) as huge, pytest.raises(JobError, match="GiB for") as caught:
        check_output(str(tmp_path / "o.tif"), huge, False)
    assert caught.value.code == "disk_full"


def test_an_output_with_a_name_as_long_as_the_file_system_takes_is_made(tmp_path, scene):
    name = "é" * 120 + ".tif"
    copy(tmp_path / "scene.tif", tmp_path / name)
    assert name in os.listdir(tmp_path) and len(os.listdir(tmp_path)) == 2


def test_the_cache_holds_a_row_of_windows_of_a_striped_scene(tmp_path, scene):
    assert rasterio_env(scene, 512) == RASTERIO_ENV
    strips = '<VRTRasterBand dataType="Float64" band="1" blockXSize="9000" blockYSize="1"/>'
    (tmp_path / "wide.vrt").write_text(f'<VRTDataset rasterXSize="9000" rasterYSize="9000">{strips}</VRTDataset>')
    with open_scene([str(tmp_path / "wide.vrt")]) as wide:
        assert wide.striped and 600 * 9000 * 8 < rasterio_env(wide, 600)["GDAL_CACHEMAX"] << 20 <= 256 << 20
