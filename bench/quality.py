"""How well SLC-off stripes are filled: every model of ours beside the classical peers, on the same holes.

Known pixels of whole scenes are hidden under stripes of 30, 60 and 90 % of the half swath and filled; only hidden
pixels are scored. Peers, masks and metrics are those of a script of their own (`--peers-script`).
Leaves bench/results/slcoff.csv (each run) and slcoff.md (the table).
"""

import argparse
import csv
import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from tables import RESULTS, ROOT, keep

SHARED = ROOT.parent / "shared"
MASKS = ("slcoff30", "slcoff60", "slcoff90")
BASELINE = "gdal_fillnodata_si2"
# Those that can be waited for; `--peers all` takes every one that runs here.
PEERS = (
    "nearest,columns_linear,gdal_fillnodata_si0,gdal_fillnodata_si2,laplace,griddata_linear,griddata_cubic,"
    "rbf_tps,biharmonic,ridge"
)
COMMAND = "make bench"
Runs = dict[tuple[str, str], dict[str, dict[str, float]]]
"""(scene, mask) -> name of what filled -> its scores."""


def our_models() -> list[str]:
    """Ids of all models that fill SLC-off stripes, as `rsinpaint models list` has them."""
    program = Path(sys.executable).with_name("rsinpaint")
    told = subprocess.run([program, "models", "list", "--json"], capture_output=True, text=True, check=True).stdout
    listed = json.loads(told)
    models = listed["models"] if isinstance(listed, dict) else listed
    return [model["id"] for model in models if "slcoff" in model["tasks"]]


def compare(given: argparse.Namespace, scenes: Sequence[Path], models: Sequence[str], table: Path) -> None:
    """Let the script of the peers do the work; leaves its CSV."""
    command = [sys.executable, str(given.peers_script), "--masks", ",".join(given.masks), "--csv", str(table), "-v"]
    command += ["--crop", str(given.crop), "--seed", str(given.seed)]
    command += [] if given.peers == "all" else ["--peers", given.peers]
    one = f"{sys.executable} {ROOT / 'bench' / 'candidate.py'}"
    for model in models:
        command += ["--candidate", f"{model}={one} {model} {{scene}} {{mask}} {{out}}"]
    # One thread each: CPU seconds are compared, and threads that wait in a loop count as work.
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    subprocess.run([*command, *map(str, scenes)], env={**os.environ, **threads}, stdout=subprocess.DEVNULL, check=True)


def read_runs(table: Path) -> Runs:
    """The CSV; runs that failed are left out."""
    runs: Runs = defaultdict(dict)
    with table.open(newline="") as lines:
        for line in csv.DictReader(lines):
            if not line["error"]:
                numbers = {name: float(line[name] or "nan") for name in line if name in FIELDS}
                runs[line["scene"], line["family"]][line["peer"]] = numbers
    return runs


FIELDS = ("psnr", "ssim", "cc", "sam", "open", "touched", "cpu_mpx_band", "peak_mib")


def mean(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return fmean(known) if known else math.nan


def as_table(runs: Runs, masks: Sequence[str], ours: Sequence[str]) -> str:
    """Markdown: one line for each model and peer, the best mean PSNR first; ours are bold."""
    names = {name for scores in runs.values() for name in scores}
    lines = []
    for name in names:
        mine = {key: scores[name] for key, scores in runs.items() if name in scores}
        by_mask = [mean([s["psnr"] for (_, mask), s in mine.items() if mask == one]) for one in masks]
        rest = {field: mean([scores[field] for scores in mine.values()]) for field in FIELDS}
        cells = [f"**{name}**" if name in ours else name, *(f"{value:.2f}" for value in by_mask)]
        cells += [f"{mean(by_mask):.2f}", f"{rest['ssim']:.3f}", f"{rest['cc']:.3f}", f"{rest['sam']:.2f}"]
        cells += [f"{100 * rest['open']:.1f}", f"{rest['cpu_mpx_band']:.2f}", f"{len(mine)}/{len(runs)}"]
        lines.append((-mean(by_mask), "| " + " | ".join(cells) + " |"))
    head = ["fill", *masks, "mean", "SSIM", "correlation", "SAM", "open %", "CPU s/Mpx/band", "runs"]
    rows = [text for _, text in sorted(lines)]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *rows])


def margins(runs: Runs, ours: Sequence[str]) -> str:
    """How far each trained or classical model of ours is above the baseline: on average, and on its worst scene."""
    lines = []
    for name in ours:
        by_scene: dict[str, list[float]] = defaultdict(list)
        for (scene, _), scores in runs.items():
            if name in scores and BASELINE in scores:
                by_scene[scene].append(scores[name]["psnr"] - scores[BASELINE]["psnr"])
        if not by_scene:
            continue
        gains = {scene: mean(values) for scene, values in by_scene.items()}
        worst = min(gains, key=lambda scene: gains[scene])
        above = sum(gain > 0 for gain in gains.values())
        lines.append(
            f"- {name}: {mean(list(gains.values())):+.2f} dB to {BASELINE}, above on {above} of {len(gains)} scenes, "
            f"least {gains[worst]:+.2f} dB ({worst})"
        )
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers-script", type=Path, default=SHARED / "bench" / "peers.py", metavar="FILE")
    parser.add_argument("--scenes", type=Path, default=SHARED / "data" / "validate" / "multispectral", metavar="FOLDER")
    parser.add_argument("--masks", type=lambda text: text.split(","), default=list(MASKS), metavar="A,B")
    parser.add_argument("--models", type=lambda text: text.split(","), metavar="A,B", help="default: all for slcoff")
    parser.add_argument("--peers", default=PEERS, metavar="A,B", help="'' for none, 'all' for what runs here")
    parser.add_argument("--crop", type=int, default=512, help="side of the window taken of each scene; 0 = all of it")
    parser.add_argument("--limit", type=int, help="only the first scenes of the folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readme", action="store_true", help="also put the table into the README")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    scenes = sorted(given.scenes.glob("*.tif"))[: given.limit]
    if not given.peers_script.is_file() or not scenes:
        print(f"{given.peers_script} or scenes in {given.scenes} are missing: see --help", file=sys.stderr)
        return 1
    models = given.models or our_models()
    RESULTS.mkdir(parents=True, exist_ok=True)
    table = RESULTS / "slcoff.csv"
    compare(given, scenes, models, table)
    runs = read_runs(table)
    count = f"{len(scenes)} scenes, windows of {given.crop} px" if given.crop else f"{len(scenes)} whole scenes"
    text = "\n".join(
        [
            f"Mean hole-only PSNR in dB over {count}; ours in bold. Made by `{COMMAND}`, seed {given.seed}; "
            "CPU seconds contain the start of torch, which weighs on small windows.",
            "",
            as_table(runs, given.masks, models),
            "",
            margins(runs, models),
        ]
    )
    print(text)
    print(f"\n{keep('slcoff', text, readme=given.readme).relative_to(ROOT)}")
    touched = sum(scores[name]["touched"] for scores in runs.values() for name in models if name in scores)
    missing = len(scenes) * len(given.masks) * len(models) - sum(name in s for s in runs.values() for name in models)
    if touched or missing:
        print(f"{touched:.0f} known pixels were changed, {missing} runs of ours failed: see {table}", file=sys.stderr)
    return 1 if touched or missing else 0


if __name__ == "__main__":
    sys.exit(main())
