"""The plugin's settings, each with its type and default. Read them in the main thread only."""

from __future__ import annotations

from qgis.core import QgsSettings

PYTHON = "rsinpaint/backend/python"
KEEP_SECONDS = "rsinpaint/backend/keep_warm_seconds"
DEFAULT_KEEP_SECONDS = 60
MAXIMUM_KEEP_SECONDS = 3600


def python() -> str:
    """The backend's Python as the user has set it; empty: not set."""
    return QgsSettings().value(PYTHON, "", type=str)


def keep_seconds() -> int:
    """How long a worker stays in memory after its last job, in seconds; 0: not at all."""
    value = QgsSettings().value(KEEP_SECONDS, DEFAULT_KEEP_SECONDS, type=int)
    return min(max(value, 0), MAXIMUM_KEEP_SECONDS)


def store(python_path: str, keep: int) -> None:
    """Keep what the options page shows; an empty path removes the setting."""
    settings = QgsSettings()
    if python_path.strip():
        settings.setValue(PYTHON, python_path.strip())
    else:
        settings.remove(PYTHON)
    settings.setValue(KEEP_SECONDS, int(keep))
