"""Life cycle of the plugin: what `initProcessing` and `initGui` add, `unload` takes away, in mirrored order."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from .provider import RsInpaintProvider
from .translate import tr

ICON = Path(__file__).parent / "icons" / "icon.svg"
TITLE = "RS Inpaint"


class RsInpaint:
    """The plugin. `iface` is None under `qgis_process`, which calls `initProcessing` alone.

    Everything handed to QGIS is kept referenced here: QGIS keeps no reference to Python objects.
    """

    def __init__(self, iface) -> None:
        self.iface = iface
        self.provider: RsInpaintProvider | None = None
        self.options = None
        self.actions: list[QAction] = []

    def initProcessing(self) -> None:
        """Add the provider; both QGIS and `initGui` may call it in one run."""
        if self.provider is None:
            self.provider = RsInpaintProvider(desktop=self.iface is not None)
            QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add the provider, the options page and the entries in the Raster menu."""
        from .gui.options import OptionsFactory  # qgis.gui is of no use without a desktop

        self.initProcessing()
        self.options = OptionsFactory(self.provider.pool)
        self.iface.registerOptionsWidgetFactory(self.options)
        for text, slot in ((tr("Fill SLC-off gaps…"), self.open_fill), (tr("Settings…"), self.open_options)):
            action = QAction(QIcon(str(ICON)), text, self.iface.mainWindow())
            action.triggered.connect(slot)
            self.iface.addPluginToRasterMenu(TITLE, action)
            self.actions.append(action)

    def unload(self) -> None:
        """Take everything away; workers are killed and waited for, so that a reload leaves no child."""
        for action in self.actions:
            self.iface.removePluginRasterMenu(TITLE, action)
            action.deleteLater()
        self.actions = []
        if self.options is not None:
            self.options.stop_tests()
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.options = None
        if self.provider is not None:
            provider, self.provider = self.provider, None
            provider.pool.shutdown()
            QgsApplication.processingRegistry().removeProvider(provider)

    def open_fill(self) -> None:
        """The dialog of the algorithm, as the toolbox opens it."""
        import processing

        processing.execAlgorithmDialog("rsinpaint:fillslcoffgaps")

    def open_options(self) -> None:
        """Settings > Options > RS Inpaint."""
        self.iface.showOptionsDialog(self.iface.mainWindow(), TITLE)
