"""What the plugin's tests share: a fake backend, a small striped scene, QGIS where a test asks for it."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FAKE_WORKER = HERE / "fake_worker.py"
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(HERE))
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture
def fake_command():
    """The command line of the fake worker."""
    return (sys.executable, "-I", str(FAKE_WORKER))


@pytest.fixture
def fake_python(tmp_path_factory, monkeypatch):
    """A program that takes a Python's arguments and is the fake worker; also set as the backend's Python."""
    program = tmp_path_factory.mktemp("fake backend") / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{FAKE_WORKER}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("RSINPAINT_PYTHON", str(program))
    return program


def children() -> list[tuple[int, str]]:
    """Process id and state of every child of this process; state `Z` is a zombie."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue  # it ended while we looked
            if int(fields[1]) == os.getpid():
                found.append((int(entry.name), fields[0]))
    return found


@pytest.fixture(scope="session")
def qgis_app():
    """QGIS without a window, with a throw-away profile and Processing, but without our provider."""
    from qgis.testing import start_app

    application = start_app()
    sys.path.append("/usr/share/qgis/python/plugins")
    from processing.core.Processing import Processing

    Processing.initialize()
    return application


class Desk:
    """As much of QGIS's `iface` as the plugin touches; whatever it adds is counted. Anything else is an error."""

    def __init__(self):
        self.pages, self.entries, self.opened = [], [], []

    def mainWindow(self):
        return None

    def registerOptionsWidgetFactory(self, factory):
        self.pages.append(factory)

    def unregisterOptionsWidgetFactory(self, factory):
        self.pages.remove(factory)

    def addPluginToRasterMenu(self, menu, action):
        self.entries.append((menu, action))

    def removePluginRasterMenu(self, menu, action):
        self.entries.remove((menu, action))

    def showOptionsDialog(self, parent, page):
        self.opened.append(page)


@pytest.fixture
def plugin(qgis_app):
    """The plugin as in the desktop: provider, options page, menu entries."""
    from qgis_rsinpaint import classFactory

    loaded = classFactory(Desk())
    loaded.initGui()
    yield loaded
    loaded.unload()
    assert children() == [], "a worker outlived the plugin"


@pytest.fixture
def scene(tmp_path):
    """A small striped scene on disk."""
    from scenes import striped_scene

    return striped_scene(tmp_path / "scene.tif")[0]
