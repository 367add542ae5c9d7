"""doctor: can this installation run, and with what? Survives whatever is missing, and names it."""

import importlib
import importlib.metadata
import platform
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import __version__
from .environment import cpu_threads, devices
from .errors import JobError

LIBRARIES = ("numpy", "scipy", "rasterio", "torch", "safetensors", "msgspec", "platformdirs", "tqdm", "click")
TORCH_AT_LEAST = (2, 6)
"""Before it, loading with `weights_only` was not safe."""

DISK_WARNING_BYTES = 1 << 30


def examine() -> dict[str, Any]:
    """Look at everything that a job needs.

    Returns:
        Plain data: `ok`, `problems` (why it cannot run), `warnings`, and under `versions`, `devices`, `models`,
        `disk` what was found. `ok` is False exactly when there are problems.
    """
    problems: list[str] = []
    warnings: list[str] = []
    found = {
        "versions": _versions(problems),
        "cpu_threads": cpu_threads(),
        "devices": _devices(problems, warnings),
        "models": _models(problems, warnings),
        "disk": _disk(warnings),
    }
    return {"ok": not problems, "problems": problems, "warnings": warnings, **found}


def sheet(found: dict[str, Any]) -> str:
    """What `examine` found, as text for a terminal."""
    lines = [f"{name:<12} {version}" for name, version in found["versions"].items()]
    lines += [f"{'threads':<12} {found['cpu_threads']}", "", "devices"]
    for device in found["devices"]:
        memory = f", {device['free_mb']:,} of {device['total_mb']:,} MiB free" if "free_mb" in device else ""
        lines.append(f"  {device['id']:<18} {_state(device)}{device['name']}{memory}")
    lines += ["", "models"]
    lines += [f"  {model['id']:<18} {_state(model)}{model['title']}" for model in found["models"]]
    lines += ["", "disk"]
    lines += [f"  {place['free_mb']:,} MiB free in {place['folder']} ({place['use']})" for place in found["disk"]]
    lines += ["", *(f"warning: {text}" for text in found["warnings"])]
    lines += [f"problem: {text}" for text in found["problems"]]
    lines.append("rsinpaint can run" if found["ok"] else "rsinpaint cannot run")
    return "\n".join(lines)


def _state(entry: dict[str, Any]) -> str:
    return "ok   " if entry["ok"] else "BAD  "


def _versions(problems: list[str]) -> dict[str, str]:
    versions = {"rsinpaint": __version__, "python": platform.python_version(), "executable": sys.executable}
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
            versions[name] = importlib.metadata.version(name)
        # A wheel for another system or a missing system library ends in OSError, not ImportError.
        except (ImportError, OSError) as problem:
            versions[name] = "missing"
            problems.append(f"{name} cannot be loaded ({problem}): install rsinpaint again")
    if versions["rasterio"] != "missing":
        versions["gdal"] = importlib.import_module("rasterio").__gdal_version__
    found = tuple(int(part) for part in re.findall(r"\d+", versions["torch"])[:2])
    if found and found < TORCH_AT_LEAST:
        problems.append(f"torch {versions['torch']} is installed, expected at least 2.6: install rsinpaint again")
    return versions


def _devices(problems: list[str], warnings: list[str]) -> list[dict[str, Any]]:
    try:
        found = devices()
    except (ImportError, OSError):
        return []  # already told under versions
    except RuntimeError as problem:
        problems.append(f"torch finds no device ({problem})")
        return []
    warnings += [f"device {one['id']} does not work ({one['problem']})" for one in found if not one["ok"]]
    return found


def _models(problems: list[str], warnings: list[str]) -> list[dict[str, Any]]:
    try:
        from .models import registry  # here: it must be possible to say that its libraries are missing
    except ImportError:
        return []  # told under versions
    cards, broken = registry.survey()
    warnings += [str(problem) for problem in broken]
    found: list[dict[str, Any]] = []
    for card in cards:
        entry = {"id": card.id, "title": card.title, "version": card.version, "sha256": card.sha256, "ok": True}
        try:
            registry.verify(card)
        except JobError as problem:
            entry |= {"ok": False, "problem": str(problem)}
            shipped = registry.folder(card) == registry.BUNDLED
            (problems if shipped else warnings).append(str(problem))
        found.append(entry)
    if not any(entry["ok"] for entry in found):
        problems.append("there is no model that works: install rsinpaint again")
    return found


def _disk(warnings: list[str]) -> list[dict[str, Any]]:
    places = [("temporary files", Path(tempfile.gettempdir()))]
    try:
        from .models import registry

        places.append(("models", registry.user_folder()))
    except ImportError:
        pass  # told under versions
    found = []
    for use, folder in places:
        there = next(place for place in (folder, *folder.parents) if place.is_dir())
        free = shutil.disk_usage(there).free
        found.append({"use": use, "folder": str(folder), "free_mb": free >> 20})
        if free < DISK_WARNING_BYTES:
            warnings.append(f"only {free >> 20} MiB are free in {folder} ({use})")
    return found
