"""A feedback that remembers, and what lies in a folder: shared by the tests that run the algorithm."""

import time

from qgis.core import QgsProcessingFeedback

ID = "rsinpaint:fillslcoffgaps"


class Listener(QgsProcessingFeedback):
    """Remembers what it is told."""

    def __init__(self, cancel_after=None):
        super().__init__(False)
        self.warnings, self.infos, self.errors, self.texts = [], [], [], []
        self.cancel_after, self.cancelled_at = cancel_after, None

    def pushWarning(self, warning):
        self.warnings.append(warning)

    def pushInfo(self, info):
        self.infos.append(info)

    def reportError(self, error, fatalError=False):
        self.errors.append(error)

    def setProgressText(self, text):
        self.texts.append(text)


def files(folder):
    """Names in a folder, but for the statistics that QGIS itself puts beside any raster it opens."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".aux.xml"))


def listener(cancel_after=None):
    """One for a run that must end within half a minute."""
    feedback = Listener(cancel_after)
    feedback.deadline = time.monotonic() + 30
    return feedback
