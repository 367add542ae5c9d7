"""Reloads the plugin ten times as QGIS's plugin manager does, with a run in between; prints what is left.

Called by test_provider.py in a process of its own: a reload throws away the modules that other tests hold.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parent)]

from fakes import ROOT, Desk, children  # noqa: E402
from qgis.testing import start_app  # noqa: E402

NAME = "qgis_rsinpaint"


def count(registry):
    providers = sum(provider.id() == "rsinpaint" for provider in registry.providers())
    open_files = len(os.listdir("/proc/self/fd"))
    return {
        "children": len(children()),
        "threads": threading.active_count(),
        "files": open_files,
        "providers": providers,
    }


def main():
    source, folder = sys.argv[1:]
    application = start_app()
    sys.path.append("/usr/share/qgis/python/plugins")
    import processing
    import qgis.utils
    from processing.core.Processing import Processing
    from qgis.core import QgsApplication

    Processing.initialize()
    qgis.utils.iface = Desk()
    qgis.utils.plugin_paths = [str(ROOT)]
    qgis.utils.updateAvailablePlugins()
    registry = QgsApplication.processingRegistry()

    def run(number):
        output = os.path.join(folder, f"out{number}.tif")
        result = processing.run("rsinpaint:fillslcoffgaps", {"INPUT": source, "OUTPUT": output})
        assert result["FILLED_PIXELS"] == 10, result

    def cycle(number):
        assert qgis.utils.loadPlugin(NAME) and qgis.utils.startPlugin(NAME)
        run(number)
        warm = len(children())
        assert qgis.utils.unloadPlugin(NAME)
        assert not qgis.utils.iface.pages and not qgis.utils.iface.entries
        return warm

    cycle(0)
    application.processEvents()
    before = count(registry)
    for number in range(1, 11):
        warm = cycle(number)
        application.processEvents()
    deadline = time.monotonic() + 5
    while threading.active_count() > before["threads"] and time.monotonic() < deadline:
        time.sleep(0.02)
    print(json.dumps({"before": before, "after": count(registry), "warm": warm}))


if __name__ == "__main__":
    main()
