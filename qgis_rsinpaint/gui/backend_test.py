"""Asks a backend what it is, without keeping the window waiting."""

from __future__ import annotations

import time

from qgis.core import QgsTask

from ..translate import tr
from ..worker.client import Client
from ..worker.errors import Cancelled, WorkerError
from ..worker.locate import locate

PROBE_SECONDS = 180.0
"""The first import of torch is slow under a virus scanner."""


class BackendTest(QgsTask):
    """Starts the backend of `path` in a background thread and has it tell its version and devices.

    Args:
        path: as typed into the options page; empty: whatever is found.
    """

    def __init__(self, path: str) -> None:
        super().__init__(tr("Test of the RS Inpaint backend"), QgsTask.Flag.CanCancel)
        self.path, self.text, self.done = path, "", False

    def finished(self, ok: bool) -> None:
        # QGIS deletes a finished task, and with it all that a Python reference could be asked; not our own fields.
        self.done = True

    def run(self) -> bool:
        deadline = time.monotonic() + PROBE_SECONDS
        client: Client | None = None
        try:
            backend = locate(self.path)
            client = Client(backend.command(60), is_cancelled=self.isCanceled)
            found = client.call("probe", {}, is_cancelled=lambda: self.isCanceled() or time.monotonic() > deadline)
            self.text = describe(backend.python, client.hello, found)
            return True
        except WorkerError as problem:
            self.text = str(problem)
        except Cancelled:
            self.text = tr("The test was cancelled, or took longer than {:g} seconds.").format(PROBE_SECONDS)
        finally:
            if client is not None:
                client.close()
        return False


def describe(python: str, hello: dict, found: dict) -> str:
    """What a backend has told about itself, a line each."""
    lines = [
        tr("RS Inpaint backend {}, Python {}").format(hello.get("version", "?"), hello.get("python", "?")),
        python,
        tr("torch {}, rasterio {}, GDAL {}").format(*(found.get(key, "?") for key in ("torch", "rasterio", "gdal"))),
    ]
    for device in found.get("devices") or []:
        memory = ""
        if device.get("total_mb"):
            free, total = (float(device.get(key) or 0) / 1024 for key in ("free_mb", "total_mb"))
            memory = tr(", {:.1f} of {:.1f} GiB free").format(free, total)
        lines.append(tr("Device {}: {}").format(device.get("id", "?"), device.get("name", "?")) + memory)
    return "\n".join(lines)
