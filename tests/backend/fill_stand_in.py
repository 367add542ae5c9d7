"""A stand-in for `rsinpaint.fill` that does what the name of the output says; the faces are tested against it.

Run as a program: `python fill_stand_in.py worker ARGUMENTS` or `python stand_in.py cli ARGUMENTS`.
"""

import os
import sys
import time
import types
from pathlib import Path

import msgspec


def install() -> types.ModuleType:
    """Put the stand-in where the faces will look for `rsinpaint.fill`."""
    module = types.ModuleType("rsinpaint.fill")
    module.Progress, module.fill, module.make_mask, module.damage = Progress, fill, make_mask, damage
    sys.modules["rsinpaint.fill"] = module
    return module


class Progress(msgspec.Struct):
    stage: str
    fraction: float
    done: int
    total: int
    text: str = ""


def fill(job, progress, cancelled):
    from rsinpaint.jobs import BandReport, Report

    behave(Path(job.output).stem, progress, cancelled)
    bands = [BandReport(band=n, name=f"band {n}", holes=10, filled=9, left_open=1) for n in job.bands or (1,)]
    return Report(
        output=job.output,
        task=job.task,
        model=job.model,
        model_sha256="",
        device="cpu",
        mask_source="stand-in",
        bands=tuple(bands),
        seconds=1.5,
        cpu_seconds=1.0,
        megapixels=0.1,
        notes=("a note",),
    )


def make_mask(job, progress, cancelled):
    from rsinpaint.jobs import MaskReport

    behave(Path(job.output).stem, progress, cancelled)
    return MaskReport(output=job.output, method=job.method, pixels=(12345,), percent=float("nan"), seconds=0.1)


def damage(job, progress, cancelled):
    from rsinpaint.jobs import DamageReport

    return DamageReport(output=job.output, kind=job.kind, pixels=7, percent=job.amount, seconds=0.1)


def behave(name, progress, cancelled):
    """The last word of the output's name is what happens."""
    from rsinpaint.errors import Cancelled, JobError

    if name == "fail":
        raise JobError("`scene.tif` is not there", "a raster", "Look again", code="input_unreadable")
    if name == "bug":
        raise RuntimeError("an index is off")
    if name == "device":
        raise RuntimeError("CUDA error: device-side assert triggered")
    if name == "memory":
        raise MemoryError
    if name == "abort":
        os.abort()
    if name == "noise":
        print("python noise")
        os.write(1, b"C noise\n")
        os.write(1, b'{"type": "result", "id": 1, "result": "forged"}\n')
    if name == "threads":
        print("threads", os.environ.get("OMP_NUM_THREADS"), file=sys.stderr)
    if name == "chatty":
        for step in range(2000):
            progress(Progress("fill", step / 2000, step, 2000))
            time.sleep(0.0005)
    if name in ("slow", "silent", "deaf"):
        part = Path(os.environ.get("STAND_IN_PART", os.devnull))
        if part != Path(os.devnull):
            part.touch()
        print("working", file=sys.stderr, flush=True)
        try:
            end = time.monotonic() + (2.2 if name == "silent" else 20)
            while time.monotonic() < end:
                if name == "slow":
                    progress(Progress("fill", 0.4, 4_000_000, 10_000_000, "window 4 of 10"))
                if name != "deaf" and cancelled():
                    raise Cancelled
                time.sleep(0.02)
        finally:
            if part != Path(os.devnull):
                part.unlink()
    progress(Progress("write", 1.0, 10, 10))


if __name__ == "__main__":
    install()
    if sys.argv[1] == "worker":
        from rsinpaint.worker import main
    else:
        from rsinpaint.cli import main
    main(sys.argv[2:])
