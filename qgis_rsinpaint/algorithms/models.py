"""Which models the user can choose: those that come with the backend, and those in the user's folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

AUTO = "auto"
BUNDLED = ("anyband-s", "tension-spline", "harmonic", "inverse-distance", "local-ridge")
BUNDLED_FOR = {"clouds": ("spa-gan-rice1", "spa-gan-rice2")}
"""Beside these, what comes with the backend for one task alone."""


def models_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where the backend keeps models that were added: RSINPAINT_MODELS, else its data folder of this system."""
    environ = os.environ if environ is None else environ
    if environ.get("RSINPAINT_MODELS"):
        return Path(environ["RSINPAINT_MODELS"]).expanduser()
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "rsinpaint"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "rsinpaint" / "models"


def model_ids(task: str, folder: Path | None = None) -> list[str]:
    """`auto`, the bundled models, then the user's models for `task` by name.

    Args:
        task: slcoff, clouds, lines, masked or ocean; a card that names no task suits any.
        folder: where cards are looked for; None: `models_folder()`.
    """
    ids = [AUTO, *BUNDLED, *BUNDLED_FOR.get(task, ())]
    folder = models_folder() if folder is None else folder
    for path in sorted(folder.glob("*.json")):
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # a broken card is the backend's to report: `rsinpaint models verify`
        if not isinstance(card, dict) or not isinstance(card.get("id"), str):
            continue
        if card["id"] not in ids and task in (card.get("tasks") or [task]):
            ids.append(card["id"])
    return ids
