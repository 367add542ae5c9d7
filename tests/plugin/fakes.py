"""Stand-ins that the plugin's tests share: a backend, QGIS's `iface`; and who our children are. No pytest here."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FAKE_WORKER = HERE / "fake_worker.py"


def fake_program(folder: Path) -> Path:
    """Write a program that takes a Python's arguments and is the fake worker."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{FAKE_WORKER}"\n')
    program.chmod(0o755)
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
