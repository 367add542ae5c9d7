"""Make dist/qgis_rsinpaint.zip, which QGIS installs with Plugins > Install from ZIP. Same sources, same bytes."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "qgis_rsinpaint"
LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
MANDATORY = ("LICENSE", "metadata.txt", "__init__.py", "plugin.py")
LIMIT_BYTES = 20 << 20
# The earliest date that a zip can hold: the time of packing must not change the bytes.
NO_DATE = (1980, 1, 1, 0, 0, 0)


def files() -> Iterator[Path]:
    """What belongs into the zip. Links are followed when read: LICENSE, metadata.txt and help live elsewhere."""
    for path in sorted(PLUGIN.rglob("*")):
        inner = path.relative_to(PLUGIN)
        hidden = any(part.startswith(".") or part in LEFT_OUT for part in inner.parts)
        if path.is_file() and not hidden and path.suffix not in {".pyc", ".pyo"}:
            yield path


def package(output: Path) -> int:
    """Write the zip; returns its size in bytes.

    Raises:
        SystemExit: a file is missing that QGIS's plugin site demands, or the zip is too large.
    """
    missing = [name for name in MANDATORY if not (PLUGIN / name).is_file()]
    if missing:
        raise SystemExit(f"package: {', '.join(missing)} is missing in {PLUGIN.name}")
    output.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files():
            entry = zipfile.ZipInfo(f"{PLUGIN.name}/{path.relative_to(PLUGIN).as_posix()}", NO_DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, path.read_bytes())
    size = output.stat().st_size
    if size > LIMIT_BYTES:
        raise SystemExit(f"package: {output} has {size} bytes, at most {LIMIT_BYTES} are accepted")
    return size


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist" / f"{PLUGIN.name}.zip"
    print(f"{target}: {package(target) / 1024:.0f} KiB")
