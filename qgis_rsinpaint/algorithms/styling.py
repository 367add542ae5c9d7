"""Outputs that look like their input: QGIS would stretch them anew, and before and after could not be compared."""

from __future__ import annotations

from qgis.core import QgsProcessingLayerPostProcessorInterface, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtXml import QDomDocument
from qgis.utils import iface

KEPT: dict[str, QgsProcessingLayerPostProcessorInterface] = {}
"""Post-processors by output. QGIS keeps no reference: a collected one is skipped in silence (qgis/QGIS#47533)."""


def style_of(layer: QgsRasterLayer) -> str:
    """The layer's style as XML text, which may go to any thread."""
    document = QDomDocument()
    layer.exportNamedStyle(document)
    return document.toString()


class StyleLikeInput(QgsProcessingLayerPostProcessorInterface):
    """Gives a loaded output the style of its input. QGIS calls it in the main thread.

    Args:
        key: the output, under which it is kept until then.
        style: from `style_of`.
    """

    def __init__(self, key: str, style: str) -> None:
        super().__init__()
        self.key, self.style = key, style

    @classmethod
    def keep(cls, key: str, style: str) -> StyleLikeInput:
        """Make one that lives until it has been used."""
        KEPT[key] = cls(key, style)
        return KEPT[key]

    def postProcessLayer(self, layer, context, feedback) -> None:
        document = QDomDocument()
        document.setContent(self.style)
        layer.importNamedStyle(document)
        layer.triggerRepaint()
        if iface is not None and QgsProject.instance().mapLayer(layer.id()) is not None:
            iface.layerTreeView().refreshLayerSymbology(layer.id())
        # Not now: this very object is in use until the method has returned.
        QTimer.singleShot(0, lambda: KEPT.pop(self.key, None))
