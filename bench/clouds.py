"""How well the published SpA-GAN weights see through cloud, each on its own kind: RICE1 thin, RICE2 thick.

    python bench/clouds.py [--pairs FOLDER] [--readme]

Each cloudy picture goes through `rsinpaint.fill` as `rsinpaint fill PICTURE --task clouds --model ID` sends it, and
is compared with the clear one as a whole, since every pixel may have changed. PSNR: peak 255, three bands together,
mean over pictures, of what was written (8 bits). SSIM: of the luma, uniform window of 7 pixels; `published` doubles
its span as the published figures do, which flatters. Leaves bench/results/clouds.md.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np
import rasterio
from metrics import Picture, psnr, ssim_of_luma
from tables import ROOT, keep

from rsinpaint.fill import fill
from rsinpaint.jobs import read_job

PAIRS = ROOT.parent / "shared" / "data" / "validate"
SETS = {"rice1": "RICE1, thin", "rice2": "RICE2, thick"}
SPAN = 255


class Scores(NamedTuple):
    psnr: float
    ssim: float
    published: float


def scored(made: Picture, truth: Picture) -> Scores:
    # the luma's weights meet blue, green, red, as published
    turned = made[::-1], truth[::-1]
    return Scores(psnr(made, truth, peak=SPAN), ssim_of_luma(*turned, span=SPAN), ssim_of_luma(*turned, span=2 * SPAN))


def read(path: Path) -> Picture:
    with rasterio.open(path) as file:
        return np.asarray(file.read([1, 2, 3]))


def cleared(path: Path, model: str, folder: Path) -> Picture:
    output = folder / f"{path.stem}_{model}.tif"
    job = {"scene": str(path), "output": str(output), "task": "clouds", "model": model, "device": "cpu"}
    fill(read_job(job), lambda progress: None, lambda: False)
    return read(output)


def table(pairs: Path, folder: Path) -> str:
    lines = ["| pictures | | PSNR dB | SSIM | SSIM published |", "| --- | --- | --- | --- | --- |"]
    for name, title in SETS.items():
        runs: dict[str, list[Scores]] = {}
        pictures = sorted((pairs / f"cloud_pairs_{name}" / "cloudy").glob("*.png"))
        for path in pictures:
            truth = read(path.parents[1] / "clear" / path.name)
            runs.setdefault("as it came", []).append(scored(read(path), truth))
            for model in (f"spa-gan-{other}" for other in SETS):
                runs.setdefault(model, []).append(scored(cleared(path, model, folder), truth))
        for fill_name, scores in runs.items():
            columns = zip(zip(*scores, strict=True), (2, 3, 3), strict=True)
            means = " | ".join(f"{fmean(column):.{places}f}" for column, places in columns)
            lines.append(f"| {title}, {len(pictures)} | {fill_name} | {means} |")
    head = "Means over whole pictures; the figures of the other kind's weights show what the wrong choice costs."
    return f"{head} Made by `python bench/clouds.py`.\n\n" + "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=Path, default=PAIRS, help="folder of cloud_pairs_rice1 and _rice2")
    parser.add_argument("--readme", action="store_true", help="put the table into the README, too")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = table(given.pairs, Path(folder))
    print(text, keep("clouds", text, readme=given.readme), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
