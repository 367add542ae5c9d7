"""Score a network beside its guess on packed scenes, hole-only, with stripes at three distances from nadir.

This is for choosing checkpoints while training; what is published comes from `bench/`.
"""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rsinpaint.classical import GUESSES
from rsinpaint.classical.contract import zero
from rsinpaint.masks import simulate

from .crops import CropRecipe, Packed

SIDE = 192
OFFSETS = (0.3, 0.6, 0.9)


def _cases(packed: Path, recipe: CropRecipe) -> list[tuple[NDArray[Any], ...]]:
    """(truth, start, holes) of each place and offset; the same ones every time."""
    cases: list[tuple[NDArray[Any], ...]] = []
    for number, scenes in enumerate(Packed.read(packed).places):
        values, valid = scenes[-1]
        rows, columns = (min(SIDE, size // 16 * 16) for size in values.shape[1:])
        top, left = (values.shape[1] - rows) // 2, (values.shape[2] - columns) // 2
        window = np.s_[: _scored_bands(values), top : top + rows, left : left + columns]
        truth, known = values[window].astype(np.float32), valid[window]
        for offset in OFFSETS:
            rng = np.random.default_rng([number, int(10 * offset)])
            holes = np.broadcast_to(simulate.slcoff((rows, columns), rng, offset=offset), truth.shape) & known
            seen = known & ~holes
            mean = truth.mean((1, 2), keepdims=True, where=seen)
            std = truth.std((1, 2), keepdims=True, where=seen)
            z = np.where(known, (truth - mean) / std, 0)
            start = GUESSES[recipe.guess](np.where(seen, z, 0), seen, holes, zero)
            cases.append((z, start.astype(np.float32), holes))
    return cases


def _scored_bands(values: np.ndarray) -> int:
    """At most four bands are scored, to keep a check short."""
    return min(4, len(values))


def _run(network: nn.Module, start: np.ndarray, holes: np.ndarray) -> dict[str, NDArray[np.float32]]:
    network.eval()
    device = next(network.parameters()).device
    with torch.inference_mode():
        answer = network(
            torch.from_numpy(start)[None].to(device), torch.from_numpy(holes.astype(np.float32))[None].to(device)
        )
    network.train()
    return {name: plane[0].float().cpu().numpy() for name, plane in answer.items()}


def _psnr(fill: np.ndarray, truth: np.ndarray, holes: np.ndarray) -> float:
    values = []
    for band in range(len(truth)):
        low, high = np.percentile(truth[band], [0.1, 99.9])
        error = np.sqrt(np.mean((fill[band] - truth[band])[holes[band]] ** 2))
        values.append(20 * np.log10((high - low) / max(error, 1e-9)))
    return float(np.mean(values))


def evaluate(network: nn.Module, packed: Path, recipe: CropRecipe) -> dict[str, float]:
    """Mean gain over the guess in dB, in all and by distance from nadir, and coverage of the 80 % interval."""
    gains: dict[float, list[float]] = {offset: [] for offset in OFFSETS}
    inside: list[float] = []
    for number, (truth, start, holes) in enumerate(_cases(packed, recipe)):
        answer = _run(network, start, holes)
        gain = _psnr(answer["fill"], truth, holes) - _psnr(start, truth, holes)
        gains[OFFSETS[number % len(OFFSETS)]].append(gain)
        if "log_scale" in answer:
            wide = -np.log(1 - 0.8) * np.exp(answer["log_scale"])
            inside.append(float((np.abs(answer["fill"] - truth) <= wide)[holes].mean()))
    every = [gain for members in gains.values() for gain in members]
    scores = {"gain": float(np.mean(every)), "worst": float(np.min(every))}
    scores |= {f"gain{int(100 * offset)}": float(np.mean(members)) for offset, members in gains.items()}
    return scores | ({"cover80": float(np.mean(inside))} if inside else {})


def picture(network: nn.Module, packed: Path, recipe: CropRecipe, path: Path) -> None:
    """Damaged, guess, fill and truth of the first band of each place, side by side."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    path.parent.mkdir(parents=True, exist_ok=True)
    cases = _cases(packed, recipe)[1 :: len(OFFSETS)]
    figure, axes = pyplot.subplots(len(cases), 4, figsize=(12, 3 * len(cases)), squeeze=False)
    for row, (truth, start, holes) in zip(axes, cases, strict=True):
        fill = np.where(holes, _run(network, start, holes)["fill"], truth)
        low, high = np.percentile(truth[0], [1, 99])
        for axis, plane in zip(row, (np.where(holes, np.nan, truth), start, fill, truth), strict=True):
            axis.imshow(plane[0], cmap="gray", vmin=low, vmax=high)
            axis.set_axis_off()
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=100)
    pyplot.close(figure)
