"""Pack a data set for training.

    python -m training.prepare SOURCE FOLDER -o train.npz [options of the source]
        [--held_out NAME ... --held_out_output held_out.npz] [--tiles FOLDER]

`packing` says what the files hold; `docs/preparing-data.md` shows a command for each source.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import rasterio
from jsonargparse import ArgumentParser

from rsinpaint.errors import JobError

from .packing import LeftOut, Sample, write
from .sources import SOURCES

COMMON = ("output", "held_out", "held_out_output", "tiles")


def parser() -> ArgumentParser:
    """A command for each source; its options are the parameters of its function."""
    whole = ArgumentParser(prog="python -m training.prepare", description=(__doc__ or "").splitlines()[0])
    commands = whole.add_subcommands(dest="source", required=True)
    for name, source in SOURCES.items():
        summary = (source.__doc__ or "").splitlines()[0]
        command = ArgumentParser(description=summary)
        command.add_function_arguments(source, as_group=False, as_positional=True)
        command.add_argument("-o", "--output", type=Path, required=True, help="packed file for training")
        command.add_argument(
            "--held_out", nargs="+", default=[], metavar="NAME", help="samples, places, or text files that list them"
        )
        command.add_argument("--held_out_output", type=Path, help="packed file for those; left out: they are dropped")
        command.add_argument("--tiles", type=Path, metavar="FOLDER", help="write GeoTIFFs there, too, to look at")
        commands.add_subcommand(name, command, help=summary)
    return whole


def names_of(entries: Iterable[str]) -> Iterator[str]:
    """Names as given, or from the lines of a file; endings of pictures are cut off, since samples have none."""
    for entry in entries:
        lines = Path(entry).read_text(encoding="utf-8").split() if Path(entry).is_file() else [entry]
        for line in lines:
            yield Path(line).stem if Path(line).suffix.lower() in (".png", ".tif", ".jpg") else line


def show(samples: Iterable[Sample | LeftOut], folder: Path) -> Iterator[Sample | LeftOut]:
    """Pass samples on, and write what each holds to GeoTIFFs."""
    folder.mkdir(parents=True, exist_ok=True)
    for sample in samples:
        if isinstance(sample, Sample):
            for kind in ("values", "cloudy", "masks"):
                planes = getattr(sample, kind)
                if planes is None:
                    continue
                count, height, width = planes.shape
                profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": planes.dtype}
                with rasterio.open(folder / f"{sample.name}_{kind}.tif", "w", compress="deflate", **profile) as file:
                    file.write(planes)
        yield sample


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    given = parser().parse_args(arguments)
    options = vars(given[given.source])
    output, held_out, held_out_output, tiles = (options.pop(name) for name in COMMON)
    try:
        samples = SOURCES[given.source](**options)
        if tiles:
            samples = show(samples, tiles)
        written = write(samples, output, held_out=names_of(held_out), held_out_output=held_out_output)
    except JobError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(f"{written.train} samples in {output}, {output.stat().st_size / 2**20:.1f} MiB")
    if held_out:
        print(f"{written.held_out} held out" + (f" in {held_out_output}" if held_out_output else ""))
    for why, count in written.left_out.most_common():
        print(f"{count} left out: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
