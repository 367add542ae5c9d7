"""Fill SLC-off gaps: Landsat 7 ETM+ scenes acquired after 31 May 2003."""

from __future__ import annotations

import os
import re

from qgis.core import QgsProcessingParameterRasterLayer

from .base import FillAlgorithm, tr
from .sources import source_of

# Names under which quality bands are delivered: QA_PIXEL, pixel_qa, BQA, QA_RADSAT, radsat_qa, or `..._QA.tif`.
QUALITY_BAND = re.compile(r"(?:^|[_\W])(?:B?QA|QA_PIXEL|PIXEL_QA|QA_RADSAT|RADSAT_QA)(?=$|[_\W])", re.IGNORECASE)


class FillSlcOffGaps(FillAlgorithm):
    TASK = "slcoff"

    def name(self) -> str:  # frozen: models and scripts call it
        return "fillslcoffgaps"

    def displayName(self) -> str:
        return tr("Fill SLC-off gaps")

    def group(self) -> str:
        return tr("Repair")

    def groupId(self) -> str:
        return "repair"

    def shortDescription(self) -> str:
        return tr("Fills the wedge-shaped stripes of Landsat 7 scenes acquired after 31 May 2003.")

    def tags(self) -> list[str]:
        return tr("landsat,etm+,stripes,gaps,nodata,destripe,inpaint,repair").split(",")

    def initAlgorithm(self, configuration=None) -> None:
        self.add_scene()
        self.add(
            QgsProcessingParameterRasterLayer(self.MASK, tr("Mask or quality band"), optional=True),
            help=tr(
                "Leave empty to find the stripes from their geometry. Else a raster of the same grid: a mask "
                "(1 = gap), an official gap mask (a file named _GM_, 0 = gap), or a Landsat quality band "
                "(QA_PIXEL or QA_RADSAT, known by its name)."
            ),
        )
        self.add_bands()
        self.add_model()
        self.add_outputs()

    def job(self, parameters, context) -> dict:
        fields = super().job(parameters, context)
        layer = self.parameterAsRasterLayer(parameters, self.MASK, context)
        if layer is None:
            return fields
        source = source_of(layer)
        return fields | {"qa" if is_quality_band(source) else "mask": source}


def is_quality_band(source: str) -> bool:
    """Whether a raster's file name is that of a Landsat quality band.

    >>> is_quality_band("LE07_L2SP_090084_QA_PIXEL.TIF"), is_quality_band("squared_qatar_mask.tif")
    (True, False)
    """
    return QUALITY_BAND.search(os.path.basename(source)) is not None
