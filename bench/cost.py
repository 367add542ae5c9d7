"""What a repair costs: CPU seconds for each megapixel and band, and peak memory, on a large striped scene.

    python bench/cost.py [--rows 7000 --columns 8000] [--model anyband-s] [--readme]

The scene is a real one repeated, with gains that change over it, 6 bands uint16, under full SLC-off stripes. Beside
it: GDAL's fillnodata (smoothing 2) on whole bands, and a plain copy by windows. Each runs in a process of its own,
with one thread. Leaves bench/results/cost.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window
from tables import ROOT, keep

from rsinpaint.masks.simulate import slcoff

SOURCE = ROOT.parent / "shared" / "data" / "train" / "multispectral" / "Corumba_LC08_20190809.tif"
STEP = 512
COPY = """
import sys, rasterio
from rasterio.windows import Window
with rasterio.Env(GDAL_CACHEMAX=64), rasterio.open(sys.argv[1]) as scene:
    with rasterio.open(sys.argv[2], "w", **scene.profile) as out:
        for _, window in scene.block_windows(1):
            out.write(scene.read(window=window), window=window)
"""
FILLNODATA = """
import sys, rasterio
from rasterio.fill import fillnodata
with rasterio.open(sys.argv[1]) as scene, rasterio.open(sys.argv[2], "w", **scene.profile) as out:
    for band in scene.indexes:
        out.write(fillnodata(scene.read(band), scene.read_masks(band), 100.0, 2), band)
"""


def make_scene(path: Path, rows: int, columns: int, source: Path) -> float:
    """Write the scene by windows; the share of its pixels that are holes."""
    with rasterio.open(source) as file:
        piece, profile = np.maximum(file.read(), 1), file.profile
    height, width = piece.shape[1:]
    gaps = slcoff((rows, columns), np.random.default_rng(0), offset=0.02, half_swath=columns / 2)
    profile |= {"height": rows, "width": columns, "nodata": 0, "tiled": True, "blockxsize": STEP, "blockysize": STEP}
    profile |= {"compress": "deflate", "zlevel": 1, "predictor": 2, "interleave": "band"}
    with rasterio.open(path, "w", **profile) as out:
        for row in range(0, rows, STEP):
            for column in range(0, columns, STEP):
                y, x = np.arange(row, min(row + STEP, rows)), np.arange(column, min(column + STEP, columns))
                # mirrored at every other repetition, so that no edge is there which the scene has not
                from_y = np.where(y // height % 2, height - 1 - y % height, y % height)
                from_x = np.where(x // width % 2, width - 1 - x % width, x % width)
                values = piece[:, from_y][:, :, from_x] * (1 + 0.05 * np.sin(row / 700 + column / 900))
                values = np.clip(values, 1, 65535).astype(np.uint16)
                values[:, gaps[row : row + STEP, column : column + STEP]] = 0
                out.write(values, window=Window(column, row, x.size, y.size))
    return float(gaps.mean())


def measure(command: list[str]) -> tuple[float, float, float]:
    """CPU seconds, wall seconds and peak MiB of a process."""
    begin = time.monotonic()
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    child = subprocess.Popen(command, env=os.environ | threads, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise RuntimeError(f"{command[:3]} ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - begin, usage.ru_maxrss / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=7000)
    parser.add_argument("--columns", type=int, default=8000)
    parser.add_argument("--source", type=Path, default=SOURCE, help="6-band scene that is repeated")
    parser.add_argument("--model", action="append", help="repeatable; default: anyband-s and tension-spline")
    parser.add_argument("--folder", type=Path, help="where the large files go; default: a temporary folder")
    parser.add_argument("--readme", action="store_true", help="also put the table into the README")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rsinpaint-cost-", dir=given.folder))
    scene, out = folder / "scene.tif", folder / "out.tif"
    try:
        # in a process of its own: a child inherits the peak of the memory of the process that starts it
        with get_context("spawn").Pool(1) as pool:
            share = pool.apply(make_scene, (scene, given.rows, given.columns, given.source))
        program = str(Path(sys.executable).with_name("rsinpaint"))
        runs = {
            f"rsinpaint fill, {model}": [
                *(program, "fill", str(scene), "-o", str(out), "--overwrite", "--model", model),
                *("--device", "cpu", "--threads", "1", "--quiet"),
            ]
            for model in given.model or ["anyband-s", "tension-spline"]
        }
        runs["gdal_fillnodata, smoothing 2"] = [sys.executable, "-c", FILLNODATA, str(scene), str(out)]
        runs["plain copy by windows"] = [sys.executable, "-c", COPY, str(scene), str(out)]
        size = given.rows * given.columns * 6 / 1e6
        lines = ["| run | CPU s/Mpx/band | CPU s | wall s | peak MiB |", "| --- | --- | --- | --- | --- |"]
        for name, command in runs.items():
            cpu, wall, peak = measure(command)
            lines.append(f"| {name} | {cpu / size:.3f} | {cpu:.0f} | {wall:.0f} | {peak:.0f} |")
            print(json.dumps({"run": name, "cpu_s": cpu, "wall_s": wall, "peak_mib": peak}), flush=True)
    finally:
        shutil.rmtree(folder)
    head = (
        f"{given.rows} x {given.columns} pixels, 6 bands, uint16, {100 * share:.0f} % under stripes; whole processes, "
        "one thread. Made by `python bench/cost.py`."
    )
    text = "\n".join([head, "", *lines])
    print(text, f"\n{keep('cost', text, readme=given.readme).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
