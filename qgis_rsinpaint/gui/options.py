"""Settings > Options > RS Inpaint: which Python runs the backend, whether it works, how long it stays warm."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QFontMetrics, QIcon
from qgis.PyQt.QtWidgets import (
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
)

from .. import settings
from ..translate import tr
from ..worker.errors import WorkerError
from ..worker.locate import VARIABLE, locate
from ..worker.pool import Pool
from .backend_test import BackendTest

ICON = Path(__file__).resolve().parents[1] / "icons" / "icon.svg"


class OptionsPage(QgsOptionsPageWidget):
    """The page. Nothing is stored before `apply`; Test takes what is typed, stored or not."""

    def __init__(self, parent, factory: OptionsFactory) -> None:
        super().__init__(parent)
        self._factory, self._test = factory, None
        self.python = QgsFileWidget()
        self.python.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.python.setDialogTitle(tr("Python of the backend"))
        self.python.setFilePath(settings.python())
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.test_button = QPushButton(tr("Test"))
        self.result = QPlainTextEdit()
        self.result.setReadOnly(True)
        self.result.setPlaceholderText(tr("Press Test to see version and devices."))
        self.result.setFixedHeight(9 * QFontMetrics(self.result.font()).lineSpacing())
        self.keep = QSpinBox()
        self.keep.setRange(0, settings.MAXIMUM_KEEP_SECONDS)
        self.keep.setSuffix(tr(" s"))
        self.keep.setSpecialValueText(tr("do not keep"))
        self.keep.setValue(settings.keep_seconds())
        self.keep.setToolTip(tr("A backend that is kept starts the next job at once, and holds its memory until then."))
        self._lay_out()
        self.python.fileChanged.connect(self.show_status)
        self.test_button.clicked.connect(self.start_test)
        self.show_status()

    def _lay_out(self) -> None:
        path = QLabel(tr("&Python of the backend"))
        path.setBuddy(self.python)
        keep = QLabel(tr("&Keep the backend ready for"))
        keep.setBuddy(self.keep)
        row = QHBoxLayout()
        row.addWidget(self.test_button)
        row.addStretch()
        backend = QGroupBox(tr("Backend"))
        inside = QVBoxLayout(backend)
        for widget in (path, self.python, self.status):
            inside.addWidget(widget)
        inside.addLayout(row)
        inside.addWidget(self.result)
        work = QGroupBox(tr("While working"))
        form = QFormLayout(work)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.FieldsStayAtSizeHint)
        form.addRow(keep, self.keep)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(backend)
        layout.addWidget(work)
        layout.addStretch()

    def apply(self) -> None:
        """Store what the page shows; a warm worker may be another Python's, so it goes."""
        settings.store(self.python.filePath(), self.keep.value())
        self._factory.pool.drop_idle()

    def show_status(self, _path: str = "") -> None:
        """Say which Python would be used, and who says so."""
        try:
            backend = locate(self.python.filePath())
        except WorkerError as problem:
            self.status.setText(str(problem))
            return
        reasons = {
            "setting": tr("Using {}"),
            "environment": tr("Nothing set: using {}") + tr(" (from the variable {})").format(VARIABLE),
            "repository": tr("Nothing set: using {}"),
        }
        self.status.setText(reasons[backend.origin].format(backend.python))

    def start_test(self) -> None:
        """Run the backend in the background and show what it says."""
        self.test_button.setEnabled(False)
        self.result.setPlainText(tr("Testing… the first start can take a minute."))
        self._test = BackendTest(self.python.filePath())
        self._test.taskCompleted.connect(self.show_test)
        self._test.taskTerminated.connect(self.show_test)
        self._factory.start(self._test)

    def show_test(self) -> None:
        """Show what the finished test has found."""
        self.test_button.setEnabled(True)
        self.result.setPlainText(self._test.text or tr("The test was cancelled."))


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the page whenever the options open; holds tests that outlive it.

    Args:
        pool: the provider's workers.
    """

    def __init__(self, pool: Pool) -> None:
        super().__init__()
        self.pool = pool
        self._tests: list[BackendTest] = []
        self.setTitle("RS Inpaint")

    def icon(self) -> QIcon:
        return QIcon(str(ICON))

    def createWidget(self, parent) -> OptionsPage:
        return OptionsPage(parent, self)

    def start(self, test: BackendTest) -> None:
        """Run a test; it is kept referenced, since the task manager does not do so."""
        self._tests = [running for running in self._tests if not running.done] + [test]
        QgsApplication.taskManager().addTask(test)

    def stop_tests(self) -> None:
        """Cancel what still runs and wait for it: its code is about to be unloaded."""
        for test in self._tests:
            if not test.done:
                test.cancel()
                test.waitForFinished(2000)
        self._tests = []
