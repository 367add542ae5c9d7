"""Holes that a file marks: raster masks, official gap masks, quality bands, polygons."""

import gzip
import json
import shutil
import sqlite3
import struct

import numpy as np
import pytest
import rasterio
from rasterio.warp import transform_geom

from rsinpaint.errors import JobError
from rsinpaint.jobs import Job
from rsinpaint.masks import choose
from rsinpaint.masks.raster_file import ranges, selected
from rsinpaint.raster.scene import open_scene
from test_masks_slcoff import stripes

GRID = {"crs": "EPSG:32633", "transform": rasterio.Affine(30, 0, 500000, 0, -30, 5000000)}


@pytest.fixture
def write(tmp_path):
    def make(values, name="scene.tif", nodata=None, names=(), **grid):
        values = np.asarray(values)
        count, height, width = values.shape
        profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": values.dtype}
        with rasterio.open(tmp_path / name, "w", **profile, nodata=nodata, **(GRID | grid)) as file:
            file.write(values)
            for band, text in enumerate(names, 1):
                file.set_band_description(band, text)
        return str(tmp_path / name)

    return make


def found(path, **fields):
    """Holes of a job, bool (bands, rows, columns), and the source that found them."""
    with open_scene([path]) as scene:
        source = choose(Job(scene=(path,), output="out.tif", **fields), scene)
        source.prepare(scene, lambda fraction: None)
        rows, columns = slice(0, scene.height), slice(0, scene.width)
        values = scene.read(rows, columns)
        return source.holes(rows, columns, values, scene.empty(values)), source


def textured(bands, rows, columns):
    return np.random.default_rng(0).integers(1, 250, (bands, rows, columns)).astype("uint8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", [1]), ("1,2-5", [1, 2, 3, 4, 5]), (" 0 , 7 - 8 ", [0, 7, 8]), ("-2--1", [-2, -1]), ("2.5-3.5", [3])],
)
def test_mask_values(text, expected):
    values = np.arange(-5, 10)
    assert values[selected(values, ranges(text))].tolist() == expected


@pytest.mark.parametrize("text", ["", "x", "1,,2", "5-2", "1;2"])
def test_mask_values_that_are_none_are_named(text):
    with pytest.raises(JobError, match="such as `1,2-5`"):
        ranges(text)


def test_one_is_a_hole_and_one_band_counts_for_all(write):
    scene, mask = write(textured(3, 6, 7)), np.zeros((1, 6, 7), "uint8")
    mask[0, 2, 3], mask[0, 0, 0] = 1, 2
    holes, source = found(scene, task="masked", mask=write(mask, "mask.tif"))
    assert np.argwhere(holes).tolist() == [[band, 2, 3] for band in range(3)]
    assert source.name == "mask mask.tif" and source.reach == 0
    holes, _ = found(scene, task="masked", mask=write(mask, "mask.tif"), mask_values="1-2")
    assert holes.sum() == 6


def test_a_mask_with_as_many_bands_as_the_scene(write):
    mask = np.zeros((2, 4, 4), "uint8")
    mask[1, 1, 1] = 1
    holes, _ = found(write(textured(2, 4, 4)), mask=write(mask, "mask.tif"))
    np.testing.assert_array_equal(holes, mask > 0)


def test_a_mask_that_marks_nothing_is_a_note(write):
    _, source = found(write(textured(1, 4, 4)), mask=write(np.zeros((1, 4, 4), "uint8"), "mask.tif"))
    assert "marks no pixel" in source.notes[0] and "--mask-values" in source.notes[0]


@pytest.mark.parametrize(
    "other",
    [
        {"shape": (1, 5, 4)},
        {"transform": rasterio.Affine(30, 0, 500030, 0, -30, 5000000)},
        {"crs": "EPSG:32634"},
        {"shape": (2, 4, 4)},
    ],
    ids=["size", "place", "crs", "bands"],
)
def test_a_mask_of_another_grid_names_both(write, other):
    mask = write(np.ones(other.pop("shape", (1, 4, 4)), "uint8"), "mask.tif", **other)
    with pytest.raises(JobError) as caught:
        found(write(textured(3, 4, 4)), mask=mask)
    assert caught.value.code == "mask_mismatch"
    assert "mask.tif" in str(caught.value) and "scene.tif" in str(caught.value)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_mask_without_georeference_need_only_have_the_size(write, tmp_path):
    with rasterio.open(tmp_path / "m.tif", "w", driver="GTiff", count=1, height=4, width=4, dtype="uint8") as file:
        file.write(np.ones((1, 4, 4), "uint8"))
    holes, _ = found(write(textured(1, 4, 4)), mask=str(tmp_path / "m.tif"))
    assert holes.all()


@pytest.mark.parametrize("name", ["none.tif", "none.gpkg", "none.geojson", "none.kml"])
def test_a_mask_that_cannot_be_read_is_named(write, tmp_path, name):
    with pytest.raises(JobError, match=name) as caught:
        found(write(textured(1, 4, 4)), mask=str(tmp_path / name))
    assert caught.value.code == "input_unreadable"


def test_marked_collar_stays_collar_but_holes_at_the_border_are_filled(write):
    scene, mask = textured(1, 8, 8), np.zeros((1, 8, 8), "uint8")
    scene[0, :, :3] = 0  # the collar
    mask[0, 4] = 1  # a line across collar and scene, to the border
    scene[0, 4] = 0
    holes, _ = found(write(scene, nodata=0), mask=write(mask, "mask.tif"))
    assert np.argwhere(holes[0]).tolist() == [[4, column] for column in range(3, 8)]


def test_official_gap_masks_are_read_the_other_way_round_without_the_collar(write, tmp_path):
    gaps = stripes(240, 240, at=-0.8)
    collar = np.zeros_like(gaps)
    collar[:, :40] = True
    scene = textured(1, 240, 240)
    scene[0, gaps | collar] = 0
    plain = write((~(gaps | collar))[None].astype("uint8"), "LE07_GM_B1.TIF")
    with open(plain, "rb") as source, gzip.open(f"{plain}.gz", "wb") as target:
        shutil.copyfileobj(source, target)
    holes, source = found(write(scene, nodata=0), mask=f"{plain}.gz")
    assert source.name == "gap mask LE07_GM_B1.TIF.gz"
    assert not holes[0, :, :38].any() and not (holes[0] & ~gaps).any()
    assert not (gaps & ~holes[0])[:, 41:][2:-2].any()


def test_gap_masks_beside_the_bands_are_found(write, tmp_path):
    gaps = stripes(200, 200, at=0.8)
    (tmp_path / "gap_mask").mkdir()
    for band in (1, 2):
        write(textured(1, 200, 200), f"LE07_B{band}.TIF", nodata=0)
        write((~gaps)[None].astype("uint8"), f"gap_mask/LE07_GM_B{band}.TIF")
    paths = [str(tmp_path / f"LE07_B{band}.TIF") for band in (1, 2)]
    with open_scene(paths) as scene:
        source = choose(Job(scene=tuple(paths), output="out.tif"), scene)
        source.prepare(scene, lambda fraction: None)
        rows = columns = slice(0, 200)
        values = scene.read(rows, columns)
        holes = source.holes(rows, columns, values, scene.empty(values))
    assert source.name == "gap mask"
    np.testing.assert_array_equal(holes, np.stack([gaps, gaps]))


def test_fill_bit_of_the_quality_band_gives_stripes_without_collar(write):
    gaps = stripes(240, 240, at=-0.8)
    gaps[:, :30] = True
    scene = textured(2, 240, 240)
    qa = np.where(gaps, 1, 5440).astype("uint16")
    path = write(np.stack([np.zeros_like(qa), qa]), "qa.tif", names=("sr_cloud_qa", "pixel_qa"))
    holes, source = found(write(scene), qa=path)
    assert source.name == "fill of qa.tif" and holes.shape == (2, 240, 240)
    assert not holes[:, :, :28].any() and not (holes & ~gaps).any()
    assert not (gaps & ~holes[0])[2:-2, 31:].any()


def test_dropped_pixels_of_the_saturation_band(write):
    qa = np.zeros((1, 5, 5), "uint16")
    qa[0, 1, 2], qa[0, 3, 3] = 1 << 9, 1 << 2
    holes, _ = found(write(textured(1, 5, 5)), qa=write(qa, "LE07_QA_RADSAT.TIF"))
    assert np.argwhere(holes).tolist() == [[0, 1, 2]]


def test_a_quality_band_of_floats_is_refused(write):
    with pytest.raises(JobError, match="integers of QA_PIXEL"):
        found(write(textured(1, 4, 4)), qa=write(np.zeros((1, 4, 4), "float32"), "qa.tif"))


# Polygons. The square covers rows 2 to 4 and columns 3 to 6, a little inside the pixels' edges.
SQUARE = [(500095, 4999935), (500205, 4999935), (500205, 4999855), (500095, 4999855), (500095, 4999935)]
EXPECTED = [[row, column] for row in (2, 3, 4) for column in (3, 4, 5, 6)]


def geojson(tmp_path, crs):
    shape = transform_geom(GRID["crs"], crs, {"type": "Polygon", "coordinates": [SQUARE]}, precision=9)
    content = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": shape}]}
    if crs != "EPSG:4326":
        content["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{crs.replace(':', '::')}"}}
    (tmp_path / "area.geojson").write_text(json.dumps(content))
    return str(tmp_path / "area.geojson")


def geopackage(tmp_path, layers=("area",)):
    """A GeoPackage as far as a reader of polygons looks, with one square in a MultiPolygon Z."""
    base = sqlite3.connect(tmp_path / "area.gpkg")
    base.execute("CREATE TABLE gpkg_geometry_columns (table_name, column_name, srs_id)")
    base.execute("CREATE TABLE gpkg_spatial_ref_sys (srs_id, organization, organization_coordsys_id, definition)")
    base.execute("INSERT INTO gpkg_spatial_ref_sys VALUES (32633, 'EPSG', 32633, 'undefined')")
    ring = b"".join(struct.pack("<3d", x, y, 7.0) for x, y in SQUARE)
    polygon = struct.pack("<BIII", 1, 1003, 1, len(SQUARE)) + ring
    wkb = struct.pack("<BII", 1, 1006, 1) + polygon
    header = b"GP\0" + bytes([0b11]) + struct.pack("<i", 32633) + struct.pack("<4d", 0, 0, 0, 0)
    for layer in layers:
        base.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', 32633)", (layer,))
        base.execute(f'CREATE TABLE "{layer}" (fid INTEGER, geom BLOB)')
        base.execute(f'INSERT INTO "{layer}" VALUES (1, ?)', (header + wkb,))
    base.commit()
    base.close()
    return str(tmp_path / "area.gpkg")


def shapefile(tmp_path):
    points = b"".join(struct.pack("<2d", x, y) for x, y in reversed(SQUARE))
    content = struct.pack("<I4dIII", 5, 0, 0, 0, 0, 1, len(SQUARE), 0) + points
    record = struct.pack(">II", 1, len(content) // 2) + content
    (tmp_path / "area.shp").write_bytes(b"\0\0\x27\x0a" + bytes(96) + record)
    (tmp_path / "area.prj").write_text(rasterio.crs.CRS.from_user_input(GRID["crs"]).to_wkt())
    return str(tmp_path / "area.shp")


@pytest.mark.parametrize("kind", ["EPSG:4326", "EPSG:32633", "EPSG:3857", "gpkg", "shp"])
def test_polygons_in_any_crs_and_format(write, tmp_path, kind):
    makers = {"gpkg": geopackage, "shp": shapefile}
    mask = makers[kind](tmp_path) if kind in makers else geojson(tmp_path, kind)
    holes, source = found(write(textured(2, 9, 9)), task="masked", mask=mask)
    assert np.argwhere(holes[1]).tolist() == EXPECTED
    assert source.name.startswith("polygons area.") and not source.notes


def test_polygons_are_the_same_in_every_window(write, tmp_path):
    path = write(textured(1, 9, 9))
    with open_scene([path]) as scene:
        source = choose(Job(scene=(path,), output="o.tif", mask=geojson(tmp_path, "EPSG:4326")), scene)
        source.prepare(scene, lambda fraction: None)
        for row, column in np.ndindex(9, 9):
            place = slice(row, row + 1), slice(column, column + 1)
            values = scene.read(*place)
            assert source.holes(*place, values, scene.empty(values)).item() == ([row, column] in EXPECTED)


def test_layers_are_named_when_there_are_several(write, tmp_path):
    mask, scene = geopackage(tmp_path, ("clouds", "glint")), write(textured(1, 9, 9))
    with pytest.raises(JobError, match="clouds, glint"):
        found(scene, mask=mask)
    holes, _ = found(scene, mask=mask, mask_layer="glint")
    assert holes.sum() == len(EXPECTED)


def test_a_file_without_polygons_is_refused(write, tmp_path):
    (tmp_path / "p.geojson").write_text('{"type": "Point", "coordinates": [1, 2]}')
    with pytest.raises(JobError, match="no polygon"):
        found(write(textured(1, 4, 4)), mask=str(tmp_path / "p.geojson"))
