"""What the plugin must not use: syntax newer than Python 3.9, PyQt by its own name, enums that Qt 6 has no more."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PLUGIN = Path(__file__).resolve().parents[1] / "qgis_rsinpaint"
OLDEST = (3, 9)
"""The Python of QGIS 3.22 on Windows and macOS."""
QT_MODULE = re.compile(r"Qt(Core|Gui|Widgets|Network|Svg|Xml|Test|PrintSupport)$")
CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*$")


def faults(source: str) -> Iterator[tuple[int, str]]:
    """Line number and finding of each fault in one file's text."""
    try:
        tree = ast.parse(source, feature_version=OLDEST)
    except SyntaxError as problem:
        yield problem.lineno or 0, f"is no Python {'.'.join(map(str, OLDEST))}: {problem.msg}"
        return
    # `Qt.MouseButton.LeftButton` holds `Qt.MouseButton`; a class inside a class is called. Neither is a fault.
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    inner |= {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        yield from ((node.lineno, text) for text in _imports(node))
        if isinstance(node, ast.Attribute) and node.attr == "exec_":
            yield node.lineno, "exec_() is gone in Qt 6: exec()"
        elif isinstance(node, ast.Attribute) and id(node) not in inner and _unscoped(node):
            yield node.lineno, f"enum without its scope: {ast.unparse(node)}"


def _imports(node: ast.AST) -> Iterator[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    if isinstance(node, ast.ImportFrom):
        names = [node.module or ""]
    for name in names:
        if name.split(".")[0] in {"PyQt5", "PyQt6", "PySide2", "PySide6", "sip"}:
            yield f"import from qgis.PyQt, not from {name}"


def _unscoped(node: ast.Attribute) -> bool:
    owner = node.value
    if not isinstance(owner, ast.Name) or not re.match(r"Q(t$|gs|gis$|[A-Z])", owner.id) or QT_MODULE.match(owner.id):
        return False
    return node.attr[0].isupper() and not CONSTANT.match(node.attr)


def main() -> int:
    found = [
        f"{path.relative_to(PLUGIN.parent)}:{line}: {text}"
        for path in sorted(PLUGIN.rglob("*.py"))
        for line, text in faults(path.read_text(encoding="utf-8"))
    ]
    print("\n".join(found) or "The plugin suits Python 3.9 and Qt 6")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
