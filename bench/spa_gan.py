"""CPU seconds of SpA-GAN a Mpx: the whole pipeline beside a plain implementation that takes the picture at once.

    python bench/spa_gan.py [--side 1024]

The plain one computes what the published description says, layer by layer: one large picture, rows of numbers plane by
plane (no channels_last), the layers whose products are thrown away included, four directions as depthwise
convolutions. Both answer the same, which is checked. Leaves bench/results/spa_gan.md.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from cost import SOURCE, measure
from safetensors.torch import load_file
from tables import keep
from torch import Tensor
from torch.nn import functional as F

from rsinpaint.models import registry

MODEL = "spa-gan-rice1"
Weights = dict[str, Tensor]


def plain(weights: Weights, picture: Tensor) -> Tensor:
    """The published network on (1, 3, rows, columns), blue, green, red in 0 to 1."""

    def conv(x: Tensor, name: str, **how: int) -> Tensor:
        return F.conv2d(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"), **how)

    def block(x: Tensor, name: str) -> Tensor:
        x = F.relu(conv(x, f"{name}.group1.conv1"))
        x = F.relu(conv(x, f"{name}.group1.conv2", padding=2, dilation=2))
        return conv(x, f"{name}.group1.conv3")

    def directions(z: Tensor, name: str) -> Tensor:
        moved = {one: conv(z, f"{name}.{one}_weight", groups=32) for one in ("up", "right", "down", "left")}
        up, right, down, left = (z.clone() for _ in range(4))
        up[:, :, 1:] = F.relu(moved["up"][:, :, :-1] + z[:, :, 1:])
        right[..., :-1] = F.relu(moved["right"][..., 1:] + z[..., :-1])
        down[:, :, :-1] = F.relu(moved["down"][:, :, 1:] + z[:, :, :-1])
        left[..., 1:] = F.relu(moved["left"][..., :-1] + z[..., 1:])
        return torch.cat([up, right, down, left], dim=1)

    def attention(x: Tensor) -> Tensor:
        layer = "SAM1.attention_layer"
        shares = F.relu(conv(F.relu(conv(x, f"{layer}.conv1", padding=1)), f"{layer}.conv2", padding=1))
        shares = torch.sigmoid(conv(shares, f"{layer}.conv3"))
        z = conv(x, "SAM1.conv1")
        for step, mix in (("SAM1.irnn1", "SAM1.conv2"), ("SAM1.irnn2", "SAM1.conv3")):
            z = directions(z, step)
            _ = torch.cat([part * shares[:, n : n + 1] for n, part in enumerate(z.split(32, dim=1))], dim=1)
            z = conv(z, mix)
        return torch.sigmoid(conv(F.relu(z), "SAM1.conv_out"))

    x = F.relu(conv(picture, "conv_in.0", padding=1))
    for number in range(1, 18):
        if number in (4, 7, 10, 13):
            share = attention(x)
        weighted = 4 <= number <= 15
        x = F.relu(block(x, f"res_block{number}") * (share if weighted else 1) + x)
    return conv(x, "conv_out.0", padding=1)


def make_picture(path: Path, side: int) -> np.ndarray:
    with rasterio.open(SOURCE) as file:
        piece = file.read([3, 2, 1]).astype(np.float64)
    low, high = np.percentile(piece, [1, 99])
    piece = np.clip(255 * (piece - low) / (high - low), 1, 255).astype(np.uint8)
    piece = np.pad(piece, ((0, 0), *((0, max(side - size, 0)) for size in piece.shape[1:])), mode="symmetric")
    piece = np.ascontiguousarray(piece[:, :side, :side])
    with rasterio.open(path, "w", driver="GTiff", height=side, width=side, count=3, dtype="uint8") as out:
        out.write(piece)
    return piece


def run_plain(picture: Path, answer: Path) -> None:
    """The plain implementation, in a process of its own; prints CPU seconds of the network and peak MiB."""
    torch.set_num_threads(1)
    weights = load_file(registry.weights_path(registry.find(MODEL)))
    with rasterio.open(picture) as file:
        planes = torch.from_numpy(file.read()[::-1].astype(np.float32) / 255)[None]
    with torch.inference_mode():
        begin = time.process_time()
        made = plain(weights, planes)
        seconds = time.process_time() - begin
    np.save(answer, made[0].flip(0).numpy())
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--plain", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.plain:
        run_plain(*given.plain)
        return 0
    with tempfile.TemporaryDirectory() as name:
        picture, answer, out = (Path(name) / one for one in ("picture.tif", "plain.npy", "out.tif"))
        make_picture(picture, given.side)
        command = [sys.executable, __file__, "--plain", str(picture), str(answer)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        plain_cpu, plain_peak = float(told[0]), float(told[1])
        fill = [str(Path(sys.executable).with_name("rsinpaint")), "fill", str(picture), "-o", str(out), "--quiet"]
        fill += ["--task", "clouds", "--model", MODEL, "--device", "cpu", "--threads", "1", "--overwrite"]
        cpu, _, peak = measure(fill)
        start, _, _ = measure([sys.executable, "-c", "import torch, rasterio, scipy.sparse.linalg"])
        with rasterio.open(out) as file:
            made = file.read().astype(int)
        expected = np.clip(np.rint(255 * np.load(answer)), 0, 255)
        if np.abs(made - expected).max() > 1:
            raise RuntimeError("the two answers differ")
    size = given.side**2 / 1e6
    lines = [
        f"{given.side} x {given.side} pixels, one thread. Made by `python bench/spa_gan.py`.",
        "",
        "| run | CPU s/Mpx | peak MiB |",
        "| --- | --- | --- |",
        f"| plain implementation, the network alone | {plain_cpu / size:.1f} | {plain_peak:.0f} |",
        f"| `rsinpaint fill`, all but the start ({start:.1f} s) | {(cpu - start) / size:.1f} | {peak:.0f} |",
        "",
        f"Ratio {(cpu - start) / plain_cpu:.2f}; with the start {cpu / plain_cpu:.2f}.",
    ]
    print("\n".join(lines), keep("spa_gan", "\n".join(lines), readme=False), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
