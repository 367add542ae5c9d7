"""Tables of the README: between `<!-- table:NAME -->` and `<!-- /table:NAME -->` all is measured, nothing written."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"


def keep(name: str, text: str, *, readme: bool) -> Path:
    """Write a table to bench/results/NAME.md and, if asked, into the README.

    Raises:
        SystemExit: the README has no such marker.
    """
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.md"
    path.write_text(text.rstrip() + "\n", encoding="utf-8")
    if readme:
        page = ROOT / "README.md"
        pattern = re.compile(rf"(<!-- table:{name} -->\n).*?(<!-- /table:{name} -->)", re.DOTALL)
        changed, count = pattern.subn(lambda found: found[1] + text.rstrip() + "\n" + found[2], page.read_text("utf-8"))
        if count != 1:
            raise SystemExit(f"README.md has {count} pairs of markers `table:{name}`, expected 1")
        page.write_text(changed, encoding="utf-8")
    return path
