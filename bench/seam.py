"""Whether a model that works window by window shows where its windows end: steps inside holes, at seams and elsewhere.

    python bench/seam.py [--model ID ...] [--scene FILE]

Without models: every published system with weights of chance, whose windows agree on nothing. Holes are hidden in a
real scene, filled by `rsinpaint.fill`, and the mean absolute difference of neighbours, both in a hole, is taken across
the lines where a window begins or ends, where two fade into each other, and elsewhere. 1.00: no seam. Leaves
bench/results/seam.md.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from systems import SYSTEMS, make_model
from tables import ROOT, keep

from rsinpaint.fill import fill
from rsinpaint.jobs import read_job
from rsinpaint.masks.simulate import SIMULATORS
from rsinpaint.models import registry
from rsinpaint.models.fixed_windows import starts
from rsinpaint.models.network import WINDOW
from rsinpaint.networks import kind as kind_of

SCENE = ROOT.parent / "shared" / "data" / "validate" / "multispectral" / "Zealand_S2A_20170527.tif"
SIDE = 700
"""Rows and columns that are taken of the scene: no multiple of anything."""
BANDS = 3
GRID = 8
"""Strides of these networks divide it."""
SEEDS = range(4)
"""Stripes cross a line in few places: single lines differ by half."""
HOLES = {"slcoff": 0.6, "clouds": 0.35}


def damaged(scene: Path, kind: str, seed: int, folder: Path) -> tuple[Path, Path, NDArray[np.bool_]]:
    """A piece of the scene, the mask of its holes, and the holes."""
    with rasterio.open(scene) as file:
        rows, columns = min(SIDE, file.height), min(SIDE, file.width)
        values = file.read([*range(1, BANDS + 1)], window=((0, rows), (0, columns)))
        profile = {"driver": "GTiff", "height": rows, "width": columns, "crs": file.crs, "transform": file.transform}
    holes = SIMULATORS[kind]((rows, columns), np.random.default_rng(seed), HOLES[kind])
    paths = folder / f"{kind}{seed}.tif", folder / f"{kind}{seed}_mask.tif"
    for path, planes in zip(
        paths, (np.where(holes, values[:, :1, :1], values), holes[None].astype("uint8")), strict=True
    ):
        with rasterio.open(path, "w", count=len(planes), dtype=planes.dtype, **profile) as out:
            out.write(planes)
    return *paths, holes


def steps_of(values: NDArray[np.float64], holes: NDArray[np.bool_], side: int) -> list[NDArray[np.float64]]:
    """Steps where windows begin or end, where they fade into each other, and elsewhere.

    Elsewhere: where one window alone is seen, at lines that lie alike on the grid that strides leave in what a network
    draws. Rows and columns together.
    """
    ends, fades, rest = [], [], []
    for axis in (0, 1):
        size = holes.shape[axis]
        first = np.array(starts(size, side))
        lines = np.arange(1, size)
        at_end = np.isin(lines, np.concatenate([first, first + side]))
        shared = ((lines[:, None] > first) & (lines[:, None] < first + side)).sum(1) > 1
        alike = np.isin(lines % GRID, lines[at_end] % GRID)
        steps = np.abs(np.diff(values, axis=axis + 1))
        both = np.take(holes, range(1, size), axis) & np.take(holes, range(size - 1), axis)
        for where, found in ((at_end, ends), (shared & alike, fades), (~shared & ~at_end & alike, rest)):
            found.append(steps[:, both & np.expand_dims(where, 1 - axis)].ravel())
    return [np.concatenate(found) for found in (ends, fades, rest)]


def filled_steps(
    model: str, scene: Path, mask: Path, holes: NDArray[np.bool_], folder: Path
) -> list[NDArray[np.float64]]:
    """`steps_of` what a model makes of a damaged scene."""
    output = str(folder / "out.tif")
    job = {"scene": str(scene), "mask": str(mask), "output": output, "task": "masked", "overwrite": True}
    fill(read_job(job | {"model": model, "device": "cpu"}), lambda progress: None, lambda: False)
    with rasterio.open(output) as file:
        return steps_of(file.read().astype(np.float64), holes, registry.find(model).window or WINDOW)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", action="append", default=[], metavar="ID", help="as `rsinpaint models list` has it")
    parser.add_argument("--scene", type=Path, default=SCENE)
    given = parser.parse_args()
    columns = [f"{kind}, {where}" for kind in HOLES for where in ("ends", "fade")]
    lines = [f"| model | {' | '.join(columns)} |", "| --- " * (1 + len(columns)) + "|"]
    with tempfile.TemporaryDirectory() as name:
        made = {kind: [damaged(given.scene, kind, seed, Path(name)) for seed in SEEDS] for kind in HOLES}
        if not given.model:
            os.environ["RSINPAINT_MODELS"] = name
            whole = [system for system in SYSTEMS if getattr(kind_of(system), "halo", 0) is None]
            given.model = [make_model(system, Path(name)) for system in whole]
        for model in given.model:
            found: list[float] = []
            for damages in made.values():
                every = [filled_steps(model, *damage, Path(name)) for damage in damages]
                ends, fades, rest = (float(np.concatenate(part).mean()) for part in zip(*every, strict=True))
                found += [ends / rest, fades / rest]
            lines.append(f"| {model} | {' | '.join(f'{one:.3f}' for one in found)} |")
            print(lines[-1], flush=True)
    head = "Steps inside holes where windows begin or end, and where they fade, by steps where there is one; 1 is best."
    print(keep("seam", f"{head} Made by `python bench/seam.py`.\n\n" + "\n".join(lines), readme=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
