"""Fill masked areas: what a raster mask or polygons mark, else what the scene itself calls nodata."""

from __future__ import annotations

from collections.abc import Iterator

from qgis.core import (
    QgsFeature,
    QgsFeatureRequest,
    QgsFields,
    QgsProcessing,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterLayer,
    QgsProcessingUtils,
    QgsVectorFileWriter,
    QgsWkbTypes,
)

from .base import FillAlgorithm, tr
from .sources import is_file_based, source_of

# Of the layer's name, for the file that the log and the report name: no file system takes more than 255 bytes.
NAME_LENGTH = 40


class FillMaskedAreas(FillAlgorithm):
    TASK = "masked"
    MASK_RASTER, MASK_VECTOR = "MASK_RASTER", "MASK_VECTOR"

    def name(self) -> str:  # frozen: models and scripts call it
        return "fillmaskedareas"

    def displayName(self) -> str:
        return tr("Fill masked areas")

    def group(self) -> str:
        return tr("Repair")

    def groupId(self) -> str:
        return "repair"

    def shortDescription(self) -> str:
        return tr("Fills the areas that a raster mask or polygons mark, or the areas without data.")

    def tags(self) -> list[str]:
        return tr("mask,polygons,selection,gaps,holes,nodata,fill,inpaint,remove,repair").split(",")

    def initAlgorithm(self, configuration=None) -> None:
        self.add_scene()
        self.add(
            QgsProcessingParameterRasterLayer(self.MASK_RASTER, tr("Mask (raster)"), optional=True),
            help=tr(
                "A raster of the same grid with 1 where the scene is to be filled. Give this or polygons; where "
                "neither is given, areas without data (nodata) inside the scene are filled."
            ),
        )
        self.add(
            QgsProcessingParameterFeatureSource(
                self.MASK_VECTOR,
                tr("Mask (polygons)"),
                [QgsProcessing.SourceType.TypeVectorPolygon],
                optional=True,
            ),
            help=tr(
                "Polygons around what is to be filled, in any coordinate system; every pixel that they touch is "
                "filled. With `Selected features only` ticked, only those count."
            ),
        )
        self.add_bands()
        self.add_model()
        self.add_outputs()

    def checkParameterValues(self, parameters, context):
        fault = self._fault(parameters, context)
        return (False, fault) if fault else super().checkParameterValues(parameters, context)

    def job(self, parameters, context) -> dict:
        fault = self._fault(parameters, context)
        if fault:
            raise QgsProcessingException(fault)
        fields = super().job(parameters, context)
        layer = self.parameterAsRasterLayer(parameters, self.MASK_RASTER, context)
        polygons = self.parameterAsSource(parameters, self.MASK_VECTOR, context)
        if layer is not None:
            return fields | {"mask": source_of(layer)}
        return fields | {"mask": written(polygons, context)} if polygons is not None else fields

    def _fault(self, parameters: dict, context: QgsProcessingContext) -> str:
        """What is wrong with the two masks, as a sentence; empty if nothing is."""
        layer = self.parameterAsRasterLayer(parameters, self.MASK_RASTER, context)
        polygons = self.parameterAsSource(parameters, self.MASK_VECTOR, context)
        # A mask that cannot be opened must not pass for none: other areas would be filled than were asked for.
        if layer is None and parameters.get(self.MASK_RASTER):
            return self.invalidRasterError(parameters, self.MASK_RASTER)
        if polygons is None and parameters.get(self.MASK_VECTOR):
            return self.invalidSourceError(parameters, self.MASK_VECTOR)
        if layer is not None and polygons is not None:
            return tr("Give a raster mask or polygons, not both")
        if layer is not None and not is_file_based(layer):
            return tr("{} is not a raster file. Save it as GeoTIFF first: Layer > Save As…").format(layer.name())
        if polygons is not None and not _holds_polygons(polygons):  # scripts can pass any layer
            return tr("{} holds no polygons. Lines and points can be buffered first").format(polygons.sourceName())
        if polygons is not None and polygons.featureCount() == 0:
            return nothing_in(polygons)
        return ""


def _holds_polygons(source: QgsProcessingFeatureSource) -> bool:
    return QgsWkbTypes.geometryType(source.wkbType()) == QgsWkbTypes.GeometryType.PolygonGeometry


def nothing_in(source: QgsProcessingFeatureSource) -> str:
    """The sentence for a layer, or a selection, that is empty."""
    what = tr("{} has no polygons to be filled. If only selected features are to be used, select some")
    return what.format(source.sourceName())


def written(polygons: QgsProcessingFeatureSource, context: QgsProcessingContext) -> str:
    """Path of a GeoPackage with the polygons: layers may be in memory, filtered, selected from or being edited.

    It lies in the temporary folder of Processing, which QGIS removes when it ends.

    Raises:
        QgsProcessingException: there is no polygon, or the file cannot be written.
    """
    path = QgsProcessingUtils.generateTempFilename(f"{polygons.sourceName()[:NAME_LENGTH]}.gpkg")
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName, options.layerName = "GPKG", "polygons"
    kind, crs = QgsWkbTypes.Type.MultiPolygon, polygons.sourceCrs()
    writer = QgsVectorFileWriter.create(path, QgsFields(), kind, crs, context.transformContext(), options)
    count = 0 if writer.errorMessage() else sum(writer.addFeature(outline) for outline in outlines(polygons))
    problem = writer.errorMessage()
    del writer  # which writes what is still in memory
    if problem:
        raise QgsProcessingException(tr("The polygons cannot be written to {}: {}").format(path, problem))
    if not count:
        raise QgsProcessingException(nothing_in(polygons))
    return path


def outlines(polygons: QgsProcessingFeatureSource) -> Iterator[QgsFeature]:
    """Features with the polygons alone, without curves and heights.

    Their validity is not checked: a polygon that crosses itself touches pixels like any other, and where the check
    stops a run, it throws through Python, which ends QGIS (measured with 3.22).
    """
    skip = QgsProcessingFeatureSource.Flag.FlagSkipGeometryValidityChecks
    for feature in polygons.getFeatures(QgsFeatureRequest().setNoAttributes(), skip):
        for geometry in feature.geometry().coerceToType(QgsWkbTypes.Type.MultiPolygon):
            if not geometry.isEmpty():
                outline = QgsFeature()
                outline.setGeometry(geometry)
                yield outline
