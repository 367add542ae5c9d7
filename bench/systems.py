"""What the published systems cost on a large scene: peak memory, and CPU seconds for each Mpx that holds holes.

    python bench/systems.py [--side 5120] [--block 1024] [--network spa_gan ...]

The scene is a real one repeated, 3 bands of 8 bits; stripes lie over a block in its middle, as only windows with holes
cost anything. Networks have their published size and weights of chance: what they compute costs the same. Each runs
as `rsinpaint fill` in a process of its own, with one thread. Leaves bench/results/systems.md.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from cost import SOURCE, STEP, measure
from rasterio.windows import Window
from tables import ROOT, keep

from rsinpaint.masks.simulate import slcoff

SYSTEMS: dict[str, dict[str, object]] = {
    "spa_gan": {},
    "edge_learning": {},
    "cmun": {},
    "ecea": {"mode": "as_published"},
    "ocean_gated": {"bands": 3},
    "simt": {},
}
"""Network -> what differs from its own defaults."""
GUESS = {"ecea": "harmonic"}
BANDS = 3
SIDE = 256
"""Of the windows of networks that look at all of their input, as published."""


def make_scene(scene: Path, mask: Path, side: int, block: int) -> None:
    """Write scene and mask by windows."""
    with rasterio.open(SOURCE) as file:
        piece = file.read([3, 2, 1]).astype(np.float64)
        profile = {"driver": "GTiff", "crs": file.crs, "transform": file.transform}
    low, high = np.percentile(piece, [1, 99])
    piece = np.clip(255 * (piece - low) / (high - low), 1, 255).astype(np.uint8)
    piece = np.pad(piece, ((0, 0), (0, piece.shape[1]), (0, piece.shape[2])), mode="symmetric")
    start = (side - block) // 2
    holes = np.zeros((side, side), np.uint8)
    holes[start : start + block, start : start + block] = slcoff((block, block), np.random.default_rng(0), offset=0.5)
    profile |= {"height": side, "width": side, "tiled": True, "blockxsize": STEP, "blockysize": STEP, "dtype": "uint8"}
    with rasterio.open(scene, "w", count=BANDS, **profile) as out:
        for row in range(0, side, STEP):
            for column in range(0, side, STEP):
                rows, columns = (np.arange(first, min(first + STEP, side)) for first in (row, column))
                part = piece[:, rows % piece.shape[1]][:, :, columns % piece.shape[2]]
                out.write(part, window=Window(column, row, columns.size, rows.size))
    with rasterio.open(mask, "w", count=1, compress="deflate", **profile) as out:
        out.write(holes, 1)


def make_model(name: str, folder: Path) -> str:
    """A card and weights of chance, which keep the spread of what passes through; the model's id."""
    import torch
    from safetensors.torch import save_file

    from rsinpaint.models import registry
    from rsinpaint.networks import build

    torch.manual_seed(0)
    network = build(name, SYSTEMS[name])
    for weight in network.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=weight[0].numel() ** -0.5)
    _settle(network)
    file = folder / f"chance-{name.replace('_', '-')}.safetensors"
    save_file({key: tensor.contiguous().clone() for key, tensor in network.state_dict().items()}, file)
    content = file.read_bytes()
    fields = json.loads((registry.BUNDLED / "spa-gan-rice1.json").read_text(encoding="utf-8")) | {
        "id": file.stem,
        "tasks": ["masked"],
        "network": name,
        "config": SYSTEMS[name],
        "bands": BANDS,
        "needs_mask": True,
        "outputs": ["fill"],
        "window": SIDE if network.halo is None else None,
        "first_guess": GUESS.get(name),
        "weights": {"file": file.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
    }
    file.with_suffix(".json").write_text(json.dumps(fields), encoding="utf-8")
    return file.stem


def _settle(network: Any) -> None:
    """Let batch norms meet a picture, without which answers of chance weights run into their limits."""
    import torch

    norms = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.rand(1, BANDS, SIDE, SIDE), (torch.rand(1, 1, SIDE, SIDE) > 0.7).float())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=5120)
    parser.add_argument("--block", type=int, default=1024, help="side of the block under stripes")
    parser.add_argument("--network", action="append", choices=SYSTEMS, help="repeatable; default: all")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rsinpaint-systems-"))
    scene, mask, out = (folder / name for name in ("scene.tif", "mask.tif", "out.tif"))
    os.environ["RSINPAINT_MODELS"] = str(folder)
    program, lines = str(Path(sys.executable).with_name("rsinpaint")), []
    try:
        # in processes of their own: a child inherits the peak of the memory of the process that starts it
        with get_context("spawn").Pool(1) as pool:
            pool.apply(make_scene, (scene, mask, given.side, given.block))
            models = {name: pool.apply(make_model, (name, folder)) for name in given.network or SYSTEMS}
        for name, model in models.items():
            command = [program, "fill", str(scene), "-o", str(out), "--mask", str(mask), "--task", "masked"]
            command += ["--model", model, "--overwrite", "--device", "cpu", "--threads", "1", "--quiet"]
            cpu, wall, peak = measure(command)
            lines.append(f"| {name} | {cpu / given.block**2 * 1e6:.1f} | {cpu:.0f} | {wall:.0f} | {peak:.0f} |")
            print(lines[-1], flush=True)
    finally:
        shutil.rmtree(folder)
    head = (
        f"{given.side} x {given.side} pixels, {BANDS} bands of 8 bits, stripes over {given.block} x {given.block}; "
        "whole processes, one thread. Made by `python bench/systems.py`."
    )
    table = [
        "| network | CPU s/Mpx with holes | CPU s | wall s | peak MiB |",
        "| --- | --- | --- | --- | --- |",
        *lines,
    ]
    print(keep("systems", "\n".join([head, "", *table]), readme=False).relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
