"""Fill masked areas through the real backend: raster, polygons of any kind of layer, neither, both."""

import json
from pathlib import Path

import pytest
from listening import Listener
from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsFeature,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingUtils,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from scenes import SIZE, pixels, striped_scene

ID = "rsinpaint:fillmaskedareas"
# Row and column of the first pixel, rows and columns: rectangles of known pixels.
FIRST, SECOND = (30, 40, 8, 11), (90, 100, 12, 6)


@pytest.fixture(autouse=True)
def repository_backend(monkeypatch):
    monkeypatch.delenv("RSINPAINT_PYTHON", raising=False)


@pytest.fixture
def whole(tmp_path):
    """A scene that has only its collar empty."""
    return striped_scene(tmp_path / "scene.tif", stripes=False)[0]


@pytest.fixture
def run(plugin, tmp_path):
    import processing

    def run(source, **parameters):
        feedback, context = parameters.pop("feedback", None) or Listener(), QgsProcessingContext()
        context.setProject(QgsProject.instance())
        # As in the desktop, where a polygon that crosses itself stops an algorithm unless it says that it may.
        context.setInvalidGeometryCheck(QgsFeatureRequest.InvalidGeometryCheck.GeometryAbortOnInvalid)
        given = {"INPUT": source, "MODEL": "harmonic", "OUTPUT": str(tmp_path / "filled.tif"), **parameters}
        result = processing.run(ID, given, context=context, feedback=feedback)
        return result, feedback

    return run


@pytest.fixture
def polygons():
    """Makes memory layers of geometries in the scene's CRS, in the project."""
    made = []

    def polygons(*geometries, crs="EPSG:32655", kind="Polygon"):
        layer = QgsVectorLayer(f"{kind}?crs={crs}", "what / I drew", "memory")
        if crs:
            here = QgsCoordinateReferenceSystem("EPSG:32655")
            there = QgsCoordinateTransform(here, layer.crs(), QgsProject.instance().transformContext())
        for geometry in geometries:
            feature = QgsFeature()
            if crs:
                geometry.transform(there)
            feature.setGeometry(geometry)
            assert layer.dataProvider().addFeature(feature)
        QgsProject.instance().addMapLayer(layer)
        made.append(layer.id())
        return layer

    yield polygons
    for layer in made:
        QgsProject.instance().removeMapLayer(layer)


def outline(row, column, rows, columns):
    """The rectangle around these pixels, a quarter of a pixel smaller on each side."""
    left, top = 500000.0 + 30.0 * column, 6400000.0 - 30.0 * row
    box = QgsRectangle(left + 7.5, top - 30.0 * rows + 7.5, left + 30.0 * columns - 7.5, top - 7.5)
    return QgsGeometry.fromRect(box)


def places(row, column, rows, columns):
    """The flat indexes of these pixels in one band."""
    return {r * SIZE + c for r in range(row, row + rows) for c in range(column, column + columns)}


def raster_mask(path, marked):
    mask = gdal.GetDriverByName("GTiff").Create(str(path), SIZE, SIZE, 1, gdal.GDT_Byte)
    flat = bytes(place in marked for place in range(SIZE * SIZE))
    mask.GetRasterBand(1).WriteRaster(0, 0, SIZE, SIZE, flat)
    return str(path)


def values(path):
    return memoryview(pixels(path)).cast("h")


def filled_places(path):
    """The flat indexes that a raster of filled pixels marks, alike in both bands."""
    flat = bytes(pixels(path))
    bands = {flat[start : start + SIZE * SIZE] for start in range(0, len(flat), SIZE * SIZE)}
    assert len(bands) == 1
    return {place for place, mark in enumerate(bands.pop()) if mark}


def check_filled(result, source, marked, marks):
    """Exactly the marked pixels were filled, and all others are what they were."""
    assert (result["FILLED_PIXELS"], result["UNFILLED_PIXELS"]) == (2 * len(marked), 0)
    assert filled_places(marks) == marked
    before, after = values(source), values(result["OUTPUT"])
    assert all(old == new for place, (old, new) in enumerate(zip(before, after)) if place % SIZE**2 not in marked)
    inside = [place for place in range(len(after)) if place % SIZE**2 in marked]
    assert all(after[place] != 0 for place in inside)
    assert any(before[place] != after[place] for place in inside)


def test_a_raster_mask_says_what_is_filled(run, whole, tmp_path):
    marked, marks = places(*FIRST) | places(*SECOND), str(tmp_path / "marks.tif")
    mask = raster_mask(tmp_path / "mask.tif", marked)
    result, _ = run(whole, MASK_RASTER=mask, OUTPUT_MASK=marks)
    check_filled(result, whole, marked, marks)
    report = json.loads(result["REPORT"])
    assert (report["task"], report["mask_source"]) == ("masked", "mask mask.tif")


@pytest.mark.parametrize("crs", ["EPSG:32655", "PROJ:+proj=laea +lat_0=-30 +lon_0=140 +datum=WGS84", ""])
def test_polygons_of_any_crs_say_what_is_filled(run, whole, polygons, tmp_path, crs):
    """In the scene's, in one without a number, and in none, which is taken as the scene's."""
    marks = str(tmp_path / "marks.tif")
    layer = polygons(outline(*FIRST), outline(*SECOND), crs=crs)
    assert layer.crs().isValid() == bool(crs)
    result, _ = run(whole, MASK_VECTOR=layer, OUTPUT_MASK=marks)
    check_filled(result, whole, places(*FIRST) | places(*SECOND), marks)
    assert json.loads(result["REPORT"])["mask_source"] == "polygons what _ I drew.gpkg"


def test_degrees_do_too(run, whole, polygons, tmp_path):
    """The sides of a rectangle are bent there by far less than a pixel."""
    marks = str(tmp_path / "marks.tif")
    result, _ = run(whole, MASK_VECTOR=polygons(outline(*FIRST), crs="EPSG:4326"), OUTPUT_MASK=marks)
    check_filled(result, whole, places(*FIRST), marks)


def test_only_selected_features_are_filled_if_so_asked(run, whole, polygons, tmp_path):
    marks = str(tmp_path / "marks.tif")
    layer = polygons(outline(*FIRST), outline(*SECOND), crs="EPSG:3857")
    layer.selectByIds([2])
    selected = QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True)
    result, _ = run(whole, MASK_VECTOR=selected, OUTPUT_MASK=marks)
    check_filled(result, whole, places(*SECOND), marks)


def test_unsaved_edits_count(run, whole, polygons, tmp_path):
    marks = str(tmp_path / "marks.tif")
    layer = polygons(outline(*FIRST))
    layer.startEditing()
    drawn = QgsFeature()
    drawn.setGeometry(outline(*SECOND))
    assert layer.addFeature(drawn) and layer.deleteFeature(1)
    result, _ = run(whole, MASK_VECTOR=layer, OUTPUT_MASK=marks)
    layer.rollBack()
    check_filled(result, whole, places(*SECOND), marks)


def test_a_filter_of_the_layer_counts(run, whole, polygons, tmp_path):
    marks = str(tmp_path / "marks.tif")
    layer = polygons(outline(*FIRST), outline(*SECOND))
    assert layer.setSubsetString("$id = 2") and layer.featureCount() == 1
    result, _ = run(whole, MASK_VECTOR=layer, OUTPUT_MASK=marks)
    check_filled(result, whole, places(*SECOND), marks)


def test_a_curved_and_a_self_crossing_polygon_are_filled(run, whole, polygons, tmp_path):
    """Curves are not read by the backend; QGIS would stop at the other one."""
    marks = str(tmp_path / "marks.tif")
    circle = "CurvePolygon(CircularString(502400 6397600,502700 6397600,502400 6397600))"
    bow_tie = "Polygon((501200 6399100,501530 6398860,501530 6399100,501200 6398860,501200 6399100))"
    layer = polygons(QgsGeometry.fromWkt(circle), kind="CurvePolygon")
    crossed = QgsFeature()
    crossed.setGeometry(QgsGeometry.fromWkt(bow_tie))
    assert layer.dataProvider().addFeature(crossed)
    run(whole, MASK_VECTOR=layer, OUTPUT_MASK=marks)
    filled = filled_places(marks)
    assert {80 * SIZE + 85, 34 * SIZE + 41, 34 * SIZE + 49} <= filled, "the circle's middle, both wings"
    assert not {70 * SIZE + 85, 90 * SIZE + 85, 30 * SIZE + 45} & filled


def test_without_a_mask_what_has_no_data_inside_is_filled(run, scene, tmp_path):
    marks = str(tmp_path / "marks.tif")
    holes = {place for place, value in enumerate(values(scene)[: SIZE * SIZE]) if value == 0}
    result, _ = run(scene, OUTPUT_MASK=marks)
    filled = filled_places(marks)
    assert filled <= holes and len(filled) > 1000
    assert all(6 <= place // SIZE < SIZE - 6 and 6 <= place % SIZE < SIZE - 6 for place in filled), "the collar"
    check_filled(result, scene, filled, marks)
    assert json.loads(result["REPORT"])["mask_source"] == "nodata inside the scene"


def test_both_masks_are_refused_before_anything_starts(run, whole, polygons, tmp_path):
    mask = raster_mask(tmp_path / "mask.tif", places(*FIRST))
    with pytest.raises(QgsProcessingException, match="Give a raster mask or polygons, not both"):
        run(whole, MASK_RASTER=mask, MASK_VECTOR=polygons(outline(*FIRST)))
    assert not (tmp_path / "filled.tif").exists()


@pytest.mark.parametrize("selected", [True, False])
def test_an_empty_layer_or_selection_is_an_error_in_words(run, whole, polygons, tmp_path, selected):
    layer = polygons(outline(*FIRST)) if selected else polygons()
    given = QgsProcessingFeatureSourceDefinition(layer.id(), selectedFeaturesOnly=True) if selected else layer
    with pytest.raises(QgsProcessingException, match="what / I drew has no polygons to be filled"):
        run(whole, MASK_VECTOR=given)
    assert not (tmp_path / "filled.tif").exists()


def test_features_without_a_geometry_are_none(run, whole, polygons, tmp_path):
    """Which shows when they are written; QGIS then has the sentence in its log and raises its own."""
    layer, feedback = polygons(), Listener()
    assert layer.dataProvider().addFeature(QgsFeature())
    with pytest.raises(QgsProcessingException):
        run(whole, MASK_VECTOR=layer, feedback=feedback)
    assert any("what / I drew has no polygons to be filled" in error for error in feedback.errors)
    assert not (tmp_path / "filled.tif").exists()


def test_a_full_or_locked_temporary_folder_is_an_error_in_words(run, whole, polygons, tmp_path, monkeypatch):
    feedback, path = Listener(), str(tmp_path / "nowhere" / "polygons.gpkg")
    monkeypatch.setattr(QgsProcessingUtils, "generateTempFilename", lambda name: path)
    with pytest.raises(QgsProcessingException):
        run(whole, MASK_VECTOR=polygons(outline(*FIRST)), feedback=feedback)
    assert any(f"The polygons cannot be written to {path}: " in error for error in feedback.errors)


@pytest.mark.parametrize("kind", ["LineString", "Point"])
def test_lines_and_points_are_refused(run, whole, polygons, kind):
    with pytest.raises(QgsProcessingException, match="what / I drew holds no polygons"):
        run(whole, MASK_VECTOR=polygons(kind=kind))


@pytest.mark.parametrize(
    "given",
    [
        {"MASK_RASTER": "nowhere.tif"},
        {"MASK_VECTOR": "nowhere.gpkg"},
        {"MASK_VECTOR": QgsProcessingFeatureSourceDefinition("nowhere.gpkg", selectedFeaturesOnly=True)},
    ],
    ids=["raster", "polygons", "selected polygons"],
)
def test_a_mask_that_is_not_there_does_not_pass_for_none(run, scene, tmp_path, given):
    with pytest.raises(QgsProcessingException, match="nowhere"):
        run(scene, **given)
    assert not (tmp_path / "filled.tif").exists()


def test_a_web_map_is_no_mask(run, whole):
    layer = QgsRasterLayer("type=xyz&url=file:///nowhere/%7Bz%7D.png&zmax=1&zmin=0", "a map", "wms")
    with pytest.raises(QgsProcessingException, match="a map is not a raster file"):
        run(whole, MASK_RASTER=layer)


def test_polygons_beside_the_scene_leave_a_copy_and_a_warning(run, whole, polygons):
    result, feedback = run(whole, MASK_VECTOR=polygons(outline(-200, 40, 8, 8)))
    assert result["FILLED_PIXELS"] == 0 and pixels(result["OUTPUT"]) == pixels(whole)
    assert any("marks no pixel" in warning for warning in feedback.warnings)


def test_an_output_does_not_replace_the_mask(run, whole, tmp_path):
    mask = raster_mask(tmp_path / "mask.tif", places(*FIRST))
    before = Path(mask).read_bytes()
    with pytest.raises(QgsProcessingException, match="which is an input of the same run"):
        run(whole, MASK_RASTER=mask, OUTPUT_MASK=mask)
    assert Path(mask).read_bytes() == before
