"""What the plugin's tests share: a fake backend, a small striped scene, QGIS where a test asks for it."""

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from fakes import FAKE_WORKER, Desk, children, fake_program  # noqa: E402


@pytest.fixture
def fake_command():
    """The command line of the fake worker."""
    return (sys.executable, "-I", str(FAKE_WORKER))


@pytest.fixture
def fake_python(tmp_path_factory, monkeypatch):
    """A program that takes a Python's arguments and is the fake worker; also set as the backend's Python."""
    program = fake_program(tmp_path_factory.mktemp("fake backend"))
    monkeypatch.setenv("RSINPAINT_PYTHON", str(program))
    return program


@pytest.fixture(scope="session")
def qgis_app():
    """QGIS without a window, with a throw-away profile and Processing, but without our provider."""
    from qgis.testing import start_app

    application = start_app()
    sys.path.append("/usr/share/qgis/python/plugins")
    from processing.core.Processing import Processing

    Processing.initialize()
    return application


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
