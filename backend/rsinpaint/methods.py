"""What the plugin can ask of a worker: one function a method, (params, progress, cancelled) -> plain data.

Each imports what it needs when it is asked, so that the worker starts at once and `models` needs no torch.
"""

import importlib
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from .environment import cpu_threads, devices, prepare
from .errors import JobError

if TYPE_CHECKING:
    from .fill import Progress

Params: TypeAlias = Mapping[str, Any]
Tell: TypeAlias = "Callable[[Progress], None]"
Ask: TypeAlias = Callable[[], bool]


def probe(params: Params, progress: Tell, cancelled: Ask) -> dict[str, Any]:
    """Versions and devices; imports torch."""
    _only(params)
    prepare()
    rasterio = importlib.import_module("rasterio")
    return {
        "torch": importlib.import_module("torch").__version__,
        "devices": devices(),
        "cpu_threads": cpu_threads(),
        "rasterio": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
    }


def models(params: Params, progress: Tell, cancelled: Ask) -> list[dict[str, Any]]:
    """The models that are installed, each with `ok`, and `problem` where that is False; imports no torch.

    `folder` names the user's models folder, for this and all later requests.
    """
    from .catalogue import summary
    from .models import registry

    _only(params, "folder")
    if params.get("folder"):
        os.environ["RSINPAINT_MODELS"] = str(params["folder"])
    cards, broken = registry.survey()
    found = []
    for card in cards:
        entry = summary(card) | {"ok": True}
        try:
            registry.verify(card)
        except JobError as problem:
            entry |= {"ok": False, "problem": str(problem)}
        found.append(entry)
    return found + [{"id": "", "ok": False, "problem": str(problem)} for problem in broken]


def load(params: Params, progress: Tell, cancelled: Ask) -> dict[str, Any]:
    """Get a model ready while the user still draws: imports torch and checks the weights."""
    from .models import registry

    _only(params, "model", "device")
    start = time.monotonic()
    prepare()
    model = params.get("model", "auto")
    if model != "auto":
        card = registry.find(model)
        registry.verify(card)
    importlib.import_module("rsinpaint.fill")
    importlib.import_module("torch")
    return {"seconds": time.monotonic() - start}


def inspect(params: Params, progress: Tell, cancelled: Ask) -> dict[str, Any]:
    """Size, bands and CRS of a scene."""
    from .raster.scene import open_scene

    _only(params, "source")
    source = params.get("source")
    paths = [source] if isinstance(source, str) else source
    if not isinstance(paths, list) or not paths or not all(isinstance(one, str) for one in paths):
        raise JobError("`source` is no scene", "a file name or a list of them")
    with open_scene(paths) as scene:
        bands = [
            {"name": name, "dtype": str(scene.dtype), "nodata": None if nodata is None else float(nodata)}
            for name, nodata in zip(scene.band_names, scene.nodata, strict=True)
        ]
        return {
            "width": scene.width,
            "height": scene.height,
            "bands": bands,
            "crs": scene.crs.to_string() if scene.crs else None,
            "transform": list(scene.transform)[:6] if scene.transform else None,
            "notes": list(scene.notes),
        }


def mask(params: Params, progress: Tell, cancelled: Ask) -> dict[str, Any]:
    """Write where a scene has holes; params are the fields of `MaskJob`."""
    from .jobs import MaskJob, read_job

    job = read_job(params, MaskJob)
    prepare()
    from .fill import make_mask

    result: dict[str, Any] = msgspec.to_builtins(make_mask(job, progress, cancelled))
    return result


def fill(params: Params, progress: Tell, cancelled: Ask) -> dict[str, Any]:
    """Fill the holes of a scene; params are the fields of `Job`, the result those of `Report` and the sums."""
    from .jobs import read_job

    job = read_job(params)
    prepare(job.threads)
    from .fill import fill as fill_scene

    report = fill_scene(job, progress, cancelled)
    result: dict[str, Any] = msgspec.to_builtins(report)
    return result | {"filled": report.filled, "left_open": report.left_open}


METHODS: dict[str, Callable[[Params, Tell, Ask], Any]] = {
    "probe": probe,
    "models": models,
    "load": load,
    "inspect": inspect,
    "mask": mask,
    "fill": fill,
}
"""By the name that a request carries."""


def _only(params: Params, *known: str) -> None:
    """Refuse misspelt parameters instead of ignoring them."""
    unknown = sorted(set(params) - set(known))
    if unknown:
        expected = f"only {', '.join(known)}" if known else "none"
        raise JobError(f"The request has unknown parameters: {', '.join(unknown)}", expected)
