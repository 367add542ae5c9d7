"""The collar, and the nodata inside it."""

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from rsinpaint.errors import JobError
from rsinpaint.jobs import Job
from rsinpaint.masks import SOURCES, choose
from rsinpaint.masks.nodata import Nodata
from rsinpaint.masks.slcoff import SlcOff
from rsinpaint.raster.scene import open_scene
from test_masks_slcoff import ArrayScene


@pytest.fixture
def write(tmp_path):
    """Writes an array (bands, rows, columns) as GeoTIFF and gives its path."""

    def make(values, name="scene.tif", nodata=0, **more):
        values = np.asarray(values)
        grid = {"crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 500000, 0, -30, 5000000)} | more
        count, height, width = values.shape
        profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype}
        with rasterio.open(tmp_path / name, "w", **profile, nodata=nodata, **grid) as file:
            file.write(values)
        return str(tmp_path / name)

    return make


def holes_of(path, source):
    with open_scene([path]) as scene:
        source.prepare(scene, lambda fraction: None)
        rows, columns = slice(0, scene.height), slice(0, scene.width)
        values = scene.read(rows, columns)
        return source.holes(rows, columns, values, scene.empty(values)).astype(int)


def test_by_hand(write):
    scene = [
        [0, 0, 5, 5, 5, 0],
        [0, 5, 0, 5, 5, 0],
        [5, 5, 0, 0, 5, 5],
        [5, 5, 5, 5, 5, 5],
        [0, 5, 5, 5, 0, 5],
    ]
    expected = [[0] * 6, [0, 0, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0] * 6, [0] * 6]
    np.testing.assert_array_equal(holes_of(write(np.array([scene], "uint8")), Nodata())[0], expected)


def test_what_another_band_knows_is_no_collar(write):
    scene = np.full((2, 4, 4), 9, "uint8")
    scene[0, :, 0] = 0
    np.testing.assert_array_equal(holes_of(write(scene), Nodata())[0], [[1, 0, 0, 0]] * 4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), window=st.integers(3, 40))
def test_tiles_give_what_the_whole_scene_gives(seed, window):
    rng = np.random.default_rng(seed)
    scene = ArrayScene((rng.random((2, 33, 41)) < 0.5).astype("uint8"))
    source = Nodata()
    source.prepare(scene, lambda fraction: None)
    rows, columns = slice(0, 33), slice(0, 41)
    at_once = source.holes(rows, columns, scene.values, scene.empty(scene.values))
    for top in range(0, 33, window):
        for left in range(0, 41, window):
            place = slice(top, min(top + window, 33)), slice(left, min(left + window, 41))
            values = scene.read(*place)
            np.testing.assert_array_equal(source.holes(*place, values, scene.empty(values)), at_once[:, *place])


def test_nothing_valid(write):
    with pytest.raises(JobError) as caught:
        holes_of(write(np.zeros((1, 5, 5), "uint8")), Nodata())
    assert caught.value.code == "nothing_valid"


def test_without_a_nodata_value_a_note_says_so(write):
    source = Nodata()
    assert not holes_of(write(np.zeros((1, 5, 5), "uint8"), nodata=None), source).any()
    assert "no nodata value" in source.notes[0]


def test_the_task_chooses_the_rule(write):
    path = write(np.ones((1, 5, 5), "uint8"))
    with open_scene([path]) as scene:
        job = Job(scene=(path,), output="out.tif")
        assert isinstance(choose(job, scene), SlcOff)
        assert isinstance(choose(Job(scene=(path,), output="out.tif", task="masked"), scene), Nodata)
    assert list(SOURCES) == sorted(SOURCES)
