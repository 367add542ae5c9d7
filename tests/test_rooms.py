"""Who may import whom: read from the sources, without running them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BACKEND = ROOT / "backend" / "rsinpaint"
PLUGIN = ROOT / "qgis_rsinpaint"

BASE = {"errors", "jobs", "progress"}
"""Plain data and words, for everybody."""
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "jobs": {"errors"},
    "progress": set(),
    "tiles": set(),
    "options": BASE,
    "environment": BASE,
    "classical": set(),
    "networks": set(),
    "raster": BASE,
    "masks": BASE,
    "models": BASE | {"classical", "networks", "tiles"},
    "pieces": BASE | {"raster", "tiles"},
    "decide": BASE | {"raster", "masks", "tiles"},
    "damage": BASE | {"raster", "masks", "tiles"},
    "outputs": BASE | {"raster", "tiles"},
    "fill": BASE | {"raster", "masks", "tiles", "models", "classical", "decide", "damage", "pieces", "outputs"},
    "ecea_apply": BASE | {"fill", "decide", "raster", "tiles"},
    "catalogue": BASE | {"models", "options"},
    "doctor": BASE | {"models", "environment"},
    "console": BASE,
    "pulse": BASE,
    "methods": BASE | {"fill", "raster", "catalogue", "models", "environment"},
    "worker": BASE | {"methods", "pulse", "environment"},
    "cli": BASE
    | {"fill", "ecea_apply", "options", "catalogue", "console", "doctor", "worker", "environment", "models"},
}
"""Room -> rooms that it may use. Rooms are files and folders of `rsinpaint`."""
TORCH = ("networks", "models/device.py", "models/network.py", "models/importers")
"""The only places that may import torch."""


def imports(path: Path) -> list[tuple[str, int]]:
    """Absolute names that a file imports, with the level of relative ones written out; type checking left out."""
    found = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.module or "", node.lineno))
        elif isinstance(node, ast.ImportFrom):
            inside = path.relative_to(path_root(path)).parent.parts
            base = [path_root(path).name, *inside][: len(inside) + 2 - node.level]
            modules = [node.module] if node.module else [alias.name for alias in node.names]
            found += [(".".join([*base, module]), node.lineno) for module in modules]
    return found


def path_root(path: Path) -> Path:
    return BACKEND if BACKEND in path.parents else PLUGIN


def sources(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.py")) if "__pycache__" not in path.parts]


def room_of(path: Path) -> str:
    return path.relative_to(BACKEND).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sources(BACKEND), ids=lambda path: str(path.relative_to(BACKEND)))
def test_a_room_uses_only_the_rooms_below_it(path):
    room = room_of(path)
    if room == "__init__":
        assert not imports(path)
        return
    assert room in ALLOWED, f"{path} is a new room: say in ALLOWED what it may use"
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] != "rsinpaint" or len(parts) < 2:
            continue
        used = parts[1]
        assert used == room or used in ALLOWED[room] or used.startswith("__"), f"{path}:{line} must not use `{used}`"


def test_every_room_in_the_list_is_there():
    there = {room_of(path) for path in sources(BACKEND)} - {"__init__"}
    assert there == set(ALLOWED)


@pytest.mark.parametrize("path", sources(BACKEND), ids=lambda path: str(path.relative_to(BACKEND)))
def test_torch_stays_behind_its_border_and_qgis_out(path):
    place = path.relative_to(BACKEND).as_posix()
    for name, line in imports(path):
        top = name.split(".")[0]
        assert top not in ("qgis", "PyQt5", "PyQt6", "qgis_rsinpaint", "training"), f"{path}:{line} imports {name}"
        if top == "torch":
            assert place.startswith(TORCH), f"{path}:{line} imports torch"


def test_networks_know_torch_alone():
    for path in sources(BACKEND / "networks"):
        for name, line in imports(path):
            top = name.split(".")[0]
            standard = top in ("collections", "itertools", "importlib", "typing", "math", "functools", "dataclasses")
            assert top in ("torch", "rsinpaint", "__future__") or standard, f"{path}:{line} imports {name}"


@pytest.mark.parametrize("path", sources(PLUGIN), ids=lambda path: str(path.relative_to(PLUGIN)))
def test_the_plugin_imports_qgis_and_the_standard_library_only(path):
    import sys

    for name, line in imports(path):
        top = name.split(".")[0]
        known = top in sys.stdlib_module_names or top in ("qgis", "qgis_rsinpaint", "processing")
        assert known, f"{path}:{line} imports {name}, which QGIS's Python need not have"


def test_nothing_imports_the_plugin_and_training_is_not_imported_by_the_backend():
    for folder in (BACKEND, ROOT / "training", ROOT / "bench", ROOT / "scripts"):
        for path in sources(folder):
            tops = {ast_name.split(".")[0] for ast_name, _ in _absolute(path)}
            assert "qgis_rsinpaint" not in tops, path
            assert folder != BACKEND or "training" not in tops, path


def _absolute(path: Path) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.append((node.module or "", node.lineno))
    return found
