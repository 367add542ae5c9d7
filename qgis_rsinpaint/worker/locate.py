"""Which Python runs the backend. Never `sys.executable`: inside QGIS that is another program on every system."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import WorkerError

VARIABLE = "RSINPAINT_PYTHON"
WHERE_TO_SET = "Choose one in Settings > Options > RS Inpaint"


@dataclass(frozen=True)
class Backend:
    """The Python that runs the backend."""

    python: str
    """Absolute path of the interpreter; links are not followed, since that would leave the virtual environment."""
    origin: str
    """Who named it: `setting`, `environment` or `repository`."""

    def command(self, idle_seconds: float) -> tuple[str, ...]:
        """The worker's command line; it ends by itself after `idle_seconds` without a request."""
        return (
            *(self.python, "-I", "-u", "-X", "utf8", "-m", "rsinpaint.worker"),
            *("--idle", f"{idle_seconds:g}"),
        )


def locate(setting: str = "", environ: Mapping[str, str] | None = None, plugin_file: str = __file__) -> Backend:
    """Find the backend's Python: the setting, else the variable RSINPAINT_PYTHON, else the repository's `.venv`.

    Args:
        setting: path from the options page; empty: not set.
        environ: environment variables; None: those of this process.
        plugin_file: a file of the plugin, from whose real place the repository is found.

    Raises:
        WorkerError: `not_installed`: what was named does not exist or cannot be started, or nothing was found.
            What the user has named is never silently replaced by something else.
    """
    environ = os.environ if environ is None else environ
    named = ((setting.strip(), "setting"), (environ.get(VARIABLE, "").strip(), "environment"))
    for path, origin in named:
        if not path:
            continue
        found = _interpreter(Path(path).expanduser())
        if found is None:
            source = "The backend's Python in the options" if origin == "setting" else f"The Python in {VARIABLE}"
            raise WorkerError(
                "not_installed", f"{source}, `{path}`, is not a program that can be started", WHERE_TO_SET
            )
        return Backend(found, origin)
    for folder in Path(plugin_file).resolve().parents:
        found = _interpreter(folder / ".venv")
        if found is not None and (folder / "backend").is_dir():
            return Backend(found, "repository")
    raise WorkerError(
        "not_installed",
        "The backend that does the filling is not installed: no Python is set for it, and there is no `.venv` beside "
        "the plugin's sources",
        WHERE_TO_SET + ", or run `make setup` in the repository",
    )


def _interpreter(path: Path) -> str | None:
    """`path` itself when it is a program, or the interpreter inside when it is a virtual environment's folder."""
    candidates = [path]
    if path.is_dir():
        candidates = [path / "bin" / "python", path / "Scripts" / "python.exe", path / "python.exe"]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return os.path.abspath(candidate)
    return None
