"""Shows the plugin's windows on a real X display, saves pictures of them, prints what is visible as JSON.

Called by test_screenshots.py under Xvfb, in a process of its own, since the other tests run without a display.
Usage: take_screenshots.py FOLDER
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent / "plugin")]

from fakes import Desk, fake_program  # noqa: E402
from qgis.core import QgsProject, QgsRasterLayer  # noqa: E402
from qgis.PyQt.QtWidgets import QAbstractButton, QGroupBox, QLabel, QPlainTextEdit, QToolButton, QWidget  # noqa: E402
from qgis.testing import start_app  # noqa: E402
from scenes import striped_scene  # noqa: E402

SPARE = 2
"""Pixels by which styles round text sizes."""


def texts(window: QWidget) -> list[dict]:
    """Every visible label and button: its text and whether there is room for it."""
    found = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or not isinstance(widget, (QLabel, QAbstractButton)) or not widget.text():
            continue
        if isinstance(widget, QToolButton) and not widget.icon().isNull():
            continue  # shows its icon
        needed = widget.sizeHint()
        wraps = isinstance(widget, QLabel) and widget.wordWrap()
        height = widget.heightForWidth(widget.width()) if wraps else needed.height()
        cut = widget.height() + SPARE < height or (not wraps and widget.width() + SPARE < needed.width())
        found.append({"text": widget.text().replace("&", ""), "cut": cut, "size": [widget.width(), widget.height()]})
    return found


class Studio:
    """Takes the pictures."""

    def __init__(self, application, folder: Path) -> None:
        self.application, self.folder, self.shots = application, folder, {}

    def settle(self, until=lambda: False, seconds: float = 0.5, limit: float = 0.0) -> None:
        """Let events happen for `seconds`, or up to `limit` seconds until something is so."""
        start = time.monotonic()
        while time.monotonic() - start < (limit or seconds) and not until():
            self.application.processEvents()
            time.sleep(0.01)

    def take(self, name: str, window: QWidget) -> None:
        self.settle()
        image = window.grab().toImage()
        path = self.folder / f"{name}.png"
        image.save(str(path))
        colours = {image.pixel(x, y) for x in range(0, image.width(), 3) for y in range(0, image.height(), 3)}
        self.shots[name] = {
            "path": str(path),
            "size": [image.width(), image.height()],
            "colours": len(colours),
            "title": window.windowTitle(),
            "texts": texts(window),
            "pages": [edit.toPlainText() for edit in window.findChildren(QPlainTextEdit)],
        }


def algorithm_dialog(studio: Studio, scene: str) -> None:
    from processing.gui.AlgorithmDialog import AlgorithmDialog
    from qgis.core import QgsApplication

    layer = QgsRasterLayer(scene, "LE07_20100116 (Menindee Lakes)")
    QgsProject.instance().addMapLayer(layer)
    for name, shot in (("fillmaskedareas", "masked_areas"), ("fillslcoffgaps", "algorithm")):
        kept = QgsApplication.processingRegistry().createAlgorithmById(f"rsinpaint:{name}")
        dialog = AlgorithmDialog(kept)
        dialog.resize(1000, 900)
        dialog.show()
        studio.settle()
        # Python sees QGIS's collapsible box as a plain one.
        dialog.findChild(QGroupBox, "grpAdvanced").setProperty("collapsed", False)
        studio.take(shot, dialog)
        if shot != "algorithm":
            dialog.close()
    dialog.runButton().click()
    studio.settle(lambda: dialog.runButton().isEnabled() and bool(dialog.results()), limit=20)
    studio.take("log", dialog)
    studio.shots["log"]["log"] = dialog.findChild(QWidget, "txtLog").toPlainText()
    dialog.close()


def options_page(studio: Studio, plugin) -> None:
    page = plugin.options.createWidget(None)
    page.setWindowTitle("RS Inpaint")
    page.resize(720, 480)
    page.show()
    studio.take("options", page)
    page.test_button.click()
    studio.settle(lambda: page.test_button.isEnabled(), limit=120)
    studio.take("options_tested", page)
    page.python.setFilePath("/nowhere/python")
    page.test_button.click()
    studio.settle(lambda: page.test_button.isEnabled(), limit=20)
    studio.take("options_wrong", page)
    page.close()


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    application = start_app()
    sys.path.append("/usr/share/qgis/python/plugins")
    from processing.core.Processing import Processing

    from qgis_rsinpaint import classFactory

    Processing.initialize()
    plugin = classFactory(Desk())
    plugin.initGui()
    studio = Studio(application, folder)
    with tempfile.TemporaryDirectory() as place:
        os.environ.pop("RSINPAINT_PYTHON", None)
        options_page(studio, plugin)
        os.environ["RSINPAINT_PYTHON"] = str(fake_program(Path(place)))
        algorithm_dialog(studio, striped_scene(Path(place) / "scene.tif")[0])
    plugin.unload()
    print(json.dumps(studio.shots))


if __name__ == "__main__":
    main()
