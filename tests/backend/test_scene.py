"""Opening scenes: what is accepted, what is refused and in which words, and which pixels hold no value."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from rasterio.windows import Window
from scipy.io import netcdf_file

from rsinpaint.errors import JobError
from rsinpaint.raster.grid import same_grid
from rsinpaint.raster.scene import open_scene
from rsinpaint.raster.values import empty_pixels, fits

GRID = Affine(30, 0, 300_000, 0, -30, 4_500_000)


def make(path, values, *, transform=GRID, crs="EPSG:32618", colorinterp=None, **profile):
    """A small GeoTIFF of `values` (bands, rows, columns)."""
    values = np.asarray(values)
    profile = {"photometric": "MINISBLACK", "alpha": "UNSPECIFIED"} | profile
    bands, height, width = values.shape
    with rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=bands, dtype=values.dtype,
                       transform=transform, crs=crs, **profile) as dataset:  # fmt: skip
        if colorinterp:
            dataset.colorinterp = colorinterp
        dataset.write(values)
    return str(path)


def plane(height=20, width=30, dtype="uint8", seed=0):
    return np.random.default_rng(seed).integers(1, 100, (1, height, width)).astype(dtype)


def refusal(*paths, **options):
    with pytest.raises(JobError) as caught:
        open_scene([str(path) for path in paths], **options)
    return caught.value


def test_a_window_is_read_bit_for_bit_in_any_order_of_bands(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 20, 30)).astype("float32")
    values[0, 3, 3] = np.nan
    with open_scene([make(tmp_path / "a.tif", values)]) as scene:
        assert (scene.count, scene.height, scene.width, scene.dtype) == (3, 20, 30, np.float32)
        part = scene.read(slice(2, 9), slice(1, 30), [3, 1])
        assert part.tobytes() == values[[2, 0], 2:9, 1:30].tobytes()
        with pytest.raises(ValueError, match="outside"):
            scene.read(slice(0, 21), slice(0, 5))


def test_a_second_handle_outlives_the_first(tmp_path):
    values = plane()
    with open_scene([make(tmp_path / "a.tif", values)]) as scene:
        twin = scene.reopen()
    with twin:
        assert (twin.read(slice(0, 20), slice(0, 30)) == values).all()


def test_one_pixel_is_a_scene_and_paths_may_hold_any_letter(tmp_path):
    folder = tmp_path / "données 100%25 #1"
    folder.mkdir()
    with open_scene([make(folder / "сцена é.tif", np.full((1, 1, 1), 7, "int16"))]) as scene:
        assert scene.name == "сцена é.tif"
        assert scene.read(slice(0, 1), slice(0, 1)).item() == 7


def test_a_header_of_a_million_by_a_million_pixels_opens_at_once(tmp_path):
    path = tmp_path / "huge.vrt"
    path.write_text('<VRTDataset rasterXSize="1000000" rasterYSize="1000000">'
                    '<VRTRasterBand dataType="Float64" band="1"/></VRTDataset>')  # fmt: skip
    with open_scene([str(path)]) as scene:
        assert scene.read(slice(999_990, 1_000_000), slice(5, 9)).shape == (1, 10, 4)


@given(
    dtype=st.sampled_from(["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]),
    value=st.one_of(st.integers(-(2**40), 2**40).map(float), st.floats()),
)
def test_a_value_that_fits_an_integer_type_survives_it(dtype, value):
    kind = np.dtype(dtype)
    if fits(value, kind):
        assert float(np.array(int(value)).astype(kind)) == value
        assert empty_pixels(np.full((1, 1, 1), int(value), kind), [value]).all()


@given(
    values=arrays("float32", (2, 3, 4), elements=st.sampled_from([0.0, -9999.0, 1e20, np.nan, np.inf, -np.inf, 5.0])),
    nodata=st.sampled_from([None, np.nan, -9999.0, 1e20, np.inf]),
)
def test_what_is_not_finite_is_always_empty_and_nodata_is_compared_in_the_type(values, nodata):
    empty = empty_pixels(values, [nodata, None])
    assert (empty[1] == ~np.isfinite(values[1])).all()
    equal = values[0] == np.float32(nodata) if nodata is not None else np.zeros((3, 4), bool)
    assert (empty[0] == (~np.isfinite(values[0]) | equal)).all()


def test_nodata_of_each_band_is_its_own(tmp_path):
    path = make(tmp_path / "a.tif", np.tile(np.array([[1, 2], [3, 4]], "uint8"), (3, 1, 1)))
    Path(path + ".aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>1</NoDataValue></PAMRasterBand>'
        '<PAMRasterBand band="3"><NoDataValue>4</NoDataValue></PAMRasterBand></PAMDataset>'
    )
    with open_scene([path]) as scene:
        assert scene.nodata == (1, None, 4)
        empty = scene.empty(scene.read(slice(0, 2), slice(0, 2)))
        assert np.argwhere(empty).tolist() == [[0, 0, 0], [2, 1, 1]]
        assert scene.empty(scene.read(slice(0, 2), slice(0, 2), [3]), [3]).sum() == 1
    with open_scene([path], nodata=(2,)) as scene:
        assert scene.nodata == (2, 2, 2) and scene.nodata_tags == (1, None, 4)
    assert "2 nodata values" in str(refusal(path, nodata=(1, 2)))
    assert "Nodata -1 cannot occur" in str(refusal(path, nodata=(-1,)))


@pytest.mark.parametrize("tag", ["300", "nan", "0.5"])
def test_a_nodata_tag_that_cannot_occur_counts_as_none_and_is_told(tmp_path, tag):
    path = make(tmp_path / "a.tif", plane(), nodata=255)
    content = Path(path).read_bytes()
    assert content.count(b"255\0") == 1
    Path(path).write_bytes(content.replace(b"255\0", tag.encode().ljust(4, b"\0")))
    with open_scene([path]) as scene:
        assert scene.nodata == (None,)
        assert "cannot occur in uint8: ignored" in scene.notes[0]


def test_a_list_of_files_is_one_scene_in_the_order_given(tmp_path):
    values = [plane(seed=seed) for seed in range(3)]
    paths = [make(tmp_path / f"{name}.tif", each, nodata=7 if name == "z" else None)
             for name, each in zip("zab", values, strict=True)]  # fmt: skip
    with open_scene(paths) as scene:
        assert scene.count == 3 and scene.band_names == ("z", "a", "b") and scene.nodata == (7, None, None)
        assert (scene.read(slice(0, 20), slice(5, 9), [2, 3, 1])[:, :, 0] == [v[0, :, 5] for v in
                (values[1], values[2], values[0])]).all()  # fmt: skip


@pytest.mark.parametrize(
    ("transform", "crs", "shape"),
    [
        (Affine(30, 0, 300_015, 0, -30, 4_500_000), "EPSG:32618", (20, 30)),
        (GRID, "EPSG:32619", (20, 30)),
        (GRID, None, (20, 30)),
        (GRID, "EPSG:32618", (20, 31)),
        (Affine(15, 0, 300_000, 0, -15, 4_500_000), "EPSG:32618", (20, 30)),
    ],
)
def test_files_of_different_grids_are_refused_naming_both_grids(tmp_path, transform, crs, shape):
    first = make(tmp_path / "first.tif", plane())
    other = make(tmp_path / "other.tif", plane(*shape), transform=transform, crs=crs)
    text = str(refusal(first, other))
    assert "`other.tif` has another grid" in text and "`first.tif`" in text and text.count(" rows x ") == 2


def test_files_of_a_list_have_one_type_and_one_band(tmp_path):
    first = make(tmp_path / "first.tif", plane())
    assert "another type (int16)" in str(refusal(first, make(tmp_path / "b.tif", plane(dtype="int16"))))
    assert "2 bands" in str(refusal(first, make(tmp_path / "c.tif", np.repeat(plane(), 2, axis=0))))


def test_rounding_of_a_transform_is_the_same_grid(tmp_path):
    first = make(tmp_path / "a.tif", plane())
    second = make(tmp_path / "b.tif", plane(), transform=Affine(30, 0, 300_000.0003, 0, -30, 4_500_000.0003))
    with rasterio.open(first) as a, rasterio.open(second) as b:
        assert same_grid(a, b)


@pytest.fixture
def bundle(tmp_path):
    """A Landsat 7 folder: six bands of 30 m, both thermal gains, panchromatic of 15 m, quality, gap masks."""
    folder = tmp_path / "LE07_L1TP_225078_20110105"
    (folder / "gap_mask").mkdir(parents=True)
    stem = "LE07_L1TP_225078_20110105_20161210_01_T1_"
    for seed, label in enumerate(["B7", "B1", "B6_VCID_2", "B2", "B6_VCID_1", "B3", "B4", "B5", "BQA", "ST_B6"]):
        make(folder / f"{stem}{label}.TIF", plane(seed=seed))
    make(folder / f"{stem}B8.TIF", plane(40, 60), transform=Affine(15, 0, 300_000, 0, -15, 4_500_000))
    make(folder / "gap_mask" / f"{stem}GM_B1.TIF", plane())
    (folder / f"{stem}MTL.txt").write_text("GROUP = L1_METADATA_FILE")
    return folder


def test_the_folder_of_a_landsat_bundle_is_a_scene(bundle):
    with open_scene([str(bundle)]) as scene:
        assert scene.band_names == ("B1", "B2", "B3", "B4", "B5", "B6_VCID_1", "B6_VCID_2", "B7")
        assert scene.name == bundle.name and len(scene.paths) == 8
        assert (scene.read(slice(0, 20), slice(0, 30), [1]) == plane(seed=1)).all()
        assert all(word in scene.notes[0] for word in ("B8", "BQA", "ST_B6")) and "MTL" not in scene.notes[0]


def test_a_bundle_with_a_band_of_another_grid_or_twice_is_refused(bundle):
    odd = make(bundle / "LE07_x_B9.TIF", plane(10, 10))
    assert "another grid" in str(refusal(bundle))
    Path(odd).unlink()
    make(bundle / "LE07_x_SR_B3.TIF", plane())
    assert "band 3 twice" in str(refusal(bundle))


def test_what_cannot_be_filled_is_refused_in_words(tmp_path):
    assert refusal(tmp_path / "none.tif").code == "input_unreadable"
    assert "is no Landsat bundle" in str(refusal(tmp_path))
    (tmp_path / "text.tif").write_text("<html>")
    assert refusal(tmp_path / "text.tif").code == "input_unreadable"
    complex_path = make(tmp_path / "c.tif", np.ones((1, 4, 4), "complex64"))
    assert refusal(complex_path).code == "unsupported_raster" and "complex" in str(refusal(complex_path))
    with rasterio.open(tmp_path / "p.tif", "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8",
                       transform=GRID) as dataset:  # fmt: skip
        dataset.write_colormap(1, {1: (255, 0, 0, 255)})
    assert "palette" in str(refusal(tmp_path / "p.tif"))


def test_a_container_of_several_rasters_lists_them_and_one_of_them_opens(tmp_path):
    path = tmp_path / "two.nc"
    with netcdf_file(path, "w") as file:
        for name, size in (("y", 4), ("x", 5)):
            file.createDimension(name, size)
        for name in ("chl", "tsm"):
            file.createVariable(name, "f4", ("y", "x"))[:] = np.arange(20).reshape(4, 5)
    text = str(refusal(path))
    assert "holds 2 rasters, expected one" in text and ":chl" in text and ":tsm" in text
    with open_scene([f'NETCDF:"{path}":tsm']) as scene:
        assert (scene.height, scene.width, scene.count) == (4, 5, 1)


def test_an_alpha_band_is_copied_but_near_infrared_called_alpha_is_filled(tmp_path):
    meaning = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    values = np.random.default_rng(0).integers(0, 255, (4, 100, 200)).astype("uint8")
    with open_scene([make(tmp_path / "nir.tif", values, colorinterp=meaning)]) as scene:
        assert scene.fillable == (True,) * 4 and "called alpha but holds measurements" in scene.notes[0]
    values[3] = np.where(values[3] > 99, 255, 0)
    with open_scene([make(tmp_path / "alpha.tif", values, colorinterp=meaning)]) as scene:
        assert scene.fillable == (True, True, True, False) and not scene.notes


def test_a_mask_band_is_read_and_absent_ones_say_all_valid(tmp_path):
    path = make(tmp_path / "a.tif", plane())
    with open_scene([path]) as scene:
        assert not scene.has_mask and (scene.read_mask(slice(0, 4), slice(0, 4)) == 255).all()
    with rasterio.open(path, "r+") as dataset:
        dataset.write_mask(np.pad(np.full((10, 30), 255, "uint8"), ((0, 10), (0, 0))))
    with open_scene([path]) as scene:
        assert scene.has_mask and scene.read_mask(slice(9, 11), slice(0, 1)).tolist() == [[255], [0]]


def test_a_damaged_block_is_told_with_its_place(tmp_path):
    path = make(tmp_path / "a.tif", plane(64, 64, "uint16"), compress="DEFLATE", tiled=True, blockxsize=16,
                blockysize=16)  # fmt: skip
    with rasterio.open(path) as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_1_2", "TIFF", bidx=1))
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 40)
    with open_scene([path]) as scene:
        assert scene.read(slice(0, 16), slice(0, 64)).any()
        with pytest.raises(JobError, match="cannot be read at rows 32 to 48") as caught:
            scene.read(slice(32, 48), slice(0, 64))
        assert caught.value.code == "input_unreadable"


def test_blocks_tell_strips_from_tiles(tmp_path):
    with open_scene([make(tmp_path / "s.tif", plane(64, 64), blockysize=8)]) as scene:
        assert scene.striped and scene.block_rows == 8
    tiled = make(tmp_path / "t.tif", plane(64, 64), tiled=True, blockxsize=16, blockysize=32)
    with open_scene([tiled]) as scene, rasterio.open(tiled) as dataset:
        assert not scene.striped and scene.block_shape == (32, 16)
        assert (scene.read(slice(1, 3), slice(2, 5)) == dataset.read(window=Window(2, 1, 3, 2))).all()
