"""The Processing provider: a list of algorithms and the workers they share."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import settings
from .algorithms.fill_masked_areas import FillMaskedAreas
from .algorithms.fill_slcoff_gaps import FillSlcOffGaps
from .translate import tr
from .worker.errors import WorkerError
from .worker.locate import locate
from .worker.pool import Pool

ALGORITHMS = (FillMaskedAreas, FillSlcOffGaps)
HERE = Path(__file__).parent


class RsInpaintProvider(QgsProcessingProvider):
    """Provider `rsinpaint`.

    Args:
        desktop: whether there is a QGIS window. Without one a worker ends with the job that it was started for.
    """

    def __init__(self, *, desktop: bool) -> None:
        super().__init__()
        self.desktop = desktop
        self.pool = Pool()

    def id(self) -> str:  # frozen: stored in models, scripts and the history
        return "rsinpaint"

    def name(self) -> str:
        return "RS Inpaint"

    def longName(self) -> str:
        return tr("RS Inpaint {} (repair of missing data in satellite rasters)").format(self.versionInfo())

    def versionInfo(self) -> str:
        for line in (HERE / "metadata.txt").read_text(encoding="utf-8").splitlines():
            if line.startswith("version="):
                return line.partition("=")[2].strip()
        return ""

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(HERE / "icons" / "icon.svg")

    def loadAlgorithms(self) -> None:
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        return ["tif", "tiff"]  # the backend writes GeoTIFF only

    def defaultRasterFileExtension(self) -> str:
        return "tif"

    def warningMessage(self) -> str:
        try:
            locate(settings.python())
        except WorkerError as problem:
            return str(problem)
        return ""

    def keep_seconds(self) -> int:
        """How long a worker is kept warm after a job."""
        return settings.keep_seconds() if self.desktop else 0
