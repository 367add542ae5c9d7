"""The command line: a thin face of jobs and fill. Heavy libraries are imported inside the commands that need them."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, get_args

import click
import msgspec

from . import __version__
from .catalogue import models
from .environment import prepare
from .errors import Cancelled, JobError
from .jobs import DamageJob, Format, Job, MaskJob, Task, read_job
from .options import band_list, common, debug, memory_bytes, nodata_list

DONE, FAILED, WRONG_USAGE, CANCELLED = 0, 1, 2, 130


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 1 the job failed, 2 wrong usage, 130 cancelled."""
    settings = {"debug": False}
    try:
        code = cli.main(args=arguments, prog_name="rsinpaint", standalone_mode=False, obj=settings) or DONE
        sys.stdout.flush()
    except click.UsageError as problem:
        problem.show()
        code = WRONG_USAGE
    except (Cancelled, click.Abort, KeyboardInterrupt):
        click.echo("Cancelled, nothing was written", err=True)
        code = CANCELLED
    except BrokenPipeError:  # `rsinpaint models list | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = FAILED
    except JobError as problem:
        code = _failed(str(problem), settings)
    except ImportError as problem:
        code = _failed(f"A library cannot be loaded ({problem}). `rsinpaint doctor` shows what is missing", settings)
    except Exception as problem:
        # A bug of ours, or a library's: still one sentence, and the way to the rest.
        hint = "" if settings["debug"] else "; `--debug` shows where"
        code = _failed(f"Unexpected {type(problem).__name__}: {problem}{hint}", settings)
    sys.exit(code)


def _failed(sentence: str, settings: Mapping[str, bool]) -> int:
    if settings["debug"]:
        import traceback

        traceback.print_exc()
    click.echo(f"Error: {sentence}", err=True)
    return FAILED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="rsinpaint")
def cli() -> None:
    """Repair missing data in satellite rasters: stripes, clouds, dead lines, holes."""


@cli.command()
@click.argument("scene", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="OUT", help="GeoTIFF to be made.")
@click.option("--task", type=click.Choice(get_args(Task)), help="What is missing; default: slcoff.")
@click.option("--model", metavar="ID", help="See `rsinpaint models list`; default: auto.")
@click.option("--mask", metavar="FILE", help="Raster (1 = hole) or polygons; default: found by the rule of the task.")
@click.option("--mask-values", metavar="V", help="Values of the mask that are holes: 1,2-5.")
@click.option("--mask-layer", metavar="NAME", help="Layer of a mask file that has several.")
@click.option("--qa", metavar="FILE", help="Landsat QA_PIXEL or QA_RADSAT band that says where data is missing.")
@click.option("--bands", callback=band_list, metavar="1,2,3", help="Bands to be repaired; default: all.")
@click.option("--nodata", callback=nodata_list, metavar="V", help="One value, or one a band: 0 or 0,none,nan.")
@click.option("--out-mask", metavar="FILE", help="Also write where pixels were filled (1).")
@click.option("--out-uncertainty", metavar="FILE", help="Also write the expected error, in the scene's units.")
@click.option("--device", metavar="D", help="auto, cpu, cuda, cuda:N or mps.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads; default: all.")
@click.option("--memory", "memory_bytes", callback=memory_bytes, metavar="2G", help="Memory that a job may use.")
@click.option("--format", type=click.Choice(get_args(Format)), help="Kind of GeoTIFF; default: gtiff.")
@click.option("--overwrite", is_flag=True, default=None, help="Replace outputs that exist.")
@common
def fill(quiet: bool, as_json: bool, **given: Any) -> None:
    """Fill the holes of SCENE: one raster, the single-band files of one bundle, or a bundle's folder."""
    prepare(given["threads"])
    job = _request(given)

    def run(progress: Any, cancelled: Callable[[], bool]) -> dict[str, Any]:
        from .fill import fill as fill_scene

        report = fill_scene(job, progress, cancelled)
        return _plain(report) | {"filled": report.filled, "left_open": report.left_open}

    _work(run, "fill_text", quiet=quiet, as_json=as_json)


@cli.command()
@click.argument("scene", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="MASK", help="GeoTIFF to be made; 1 = hole.")
@click.option("--method", required=True, metavar="M", help="Rule that finds the holes: nodata, slcoff, qapixel ...")
@click.option("--mask", metavar="FILE", help="Raster or polygons to be turned into a mask of this scene.")
@click.option("--mask-values", metavar="V", help="Values of FILE that are holes: 1,2-5.")
@click.option("--mask-layer", metavar="NAME", help="Layer of FILE, where it has several.")
@click.option("--qa", metavar="FILE", help="Landsat QA_PIXEL or QA_RADSAT band.")
@click.option("--bands", callback=band_list, metavar="1,2,3", help="Bands to be looked at; default: all.")
@click.option("--nodata", callback=nodata_list, metavar="V", help="One value, or one a band: 0 or 0,none,nan.")
@click.option("--overwrite", is_flag=True, default=None, help="Replace an output that exists.")
@common
def mask(quiet: bool, as_json: bool, **given: Any) -> None:
    """Write where SCENE has holes."""
    job = _request(given, MaskJob)

    def run(progress: Any, cancelled: Callable[[], bool]) -> dict[str, Any]:
        from .fill import make_mask

        return _plain(make_mask(job, progress, cancelled))

    _work(run, "plain_text", quiet=quiet, as_json=as_json)


@cli.command()
@click.argument("scene", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="DAMAGED", help="GeoTIFF to be made.")
@click.option("--mask-out", "mask_output", required=True, metavar="MASK", help="Where pixels were taken away (1).")
@click.option("--kind", required=True, metavar="K", help="slcoff, clouds, lines or irregular.")
@click.option(
    "--amount", type=float, required=True, metavar="P", help="Share of holes; slcoff: distance from nadir. 0 to 1."
)
@click.option("--seed", type=int, default=0, show_default=True, metavar="N", help="Same number, same holes.")
@click.option("--nodata", callback=nodata_list, metavar="V", help="One value, or one a band: 0 or 0,none,nan.")
@click.option("--overwrite", is_flag=True, default=None, help="Replace outputs that exist.")
@common
def simulate(quiet: bool, as_json: bool, **given: Any) -> None:
    """Make holes in SCENE, to see how well they can be filled."""
    job = _request(given, DamageJob)

    def run(progress: Any, cancelled: Callable[[], bool]) -> dict[str, Any]:
        from .fill import damage

        return _plain(damage(job, progress, cancelled))

    _work(run, "plain_text", quiet=quiet, as_json=as_json)


@cli.command("ecea-apply")
@click.option("--input", "picture", required=True, metavar="FILE", help="The corrupted picture, any size.")
@click.option("--output", "folder", required=True, metavar="DIR", help="Folder for the two results.")
@click.option("--vis-min", "low", type=float, default=0.0, show_default=True, help="Reflectance shown as black.")
@click.option("--vis-max", "high", type=float, default=0.4, show_default=True, help="Reflectance shown as white.")
@click.option("--gamma", type=float, default=1.4, show_default=True, help="Shown is reflectance to the power of 1/G.")
@click.option("--model", default="ecea", show_default=True, metavar="ID", help="`rsinpaint models fetch ecea` gets it.")
@click.option("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:N or mps.")
@common
def ecea_apply(quiet: bool, as_json: bool, picture: str, folder: str, **given: Any) -> None:
    """Fill a corrupted picture with ECEA: writes DIR/inpainting.tif, and the input as DIR/ground_truth.tif."""
    prepare()
    model, device = given.pop("model"), given.pop("device")

    def run(progress: Any, cancelled: Callable[[], bool]) -> dict[str, Any]:
        from .ecea_apply import Visible
        from .ecea_apply import ecea_apply as apply

        report = apply(picture, folder, Visible(**given), progress, cancelled, model=model, device=device)
        return _plain(report) | {"filled": report.filled, "left_open": report.left_open}

    _work(run, "fill_text", quiet=quiet, as_json=as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug
def doctor(as_json: bool) -> None:
    """Show versions, devices, models and disk; exit with 1 when it cannot run."""
    from .console import stdout_reserved
    from .doctor import examine, sheet

    prepare()
    with stdout_reserved():
        found = examine()
    click.echo(json.dumps(found, indent=2) if as_json else sheet(found))
    if not found["ok"]:
        click.get_current_context().exit(FAILED)


@cli.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def worker(arguments: tuple[str, ...]) -> None:
    """Serve the plugin: JSON lines on stdin and stdout."""
    from .worker import main as serve

    serve(list(arguments))


cli.add_command(models)


def _request(given: Mapping[str, Any], kind: type[Any] = Job) -> Any:
    """Options that were given -> a valid job; wrong ones are wrong usage (exit code 2)."""
    fields = {name: value for name, value in given.items() if value is not None and value != ()}
    try:
        return read_job(fields, kind)
    except JobError as problem:
        raise click.UsageError(str(problem)) from None


def _plain(report: msgspec.Struct) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(report)
    return fields


def _work(run: Callable[..., dict[str, Any]], text: str, *, quiet: bool, as_json: bool) -> None:
    """Run a job under Ctrl-C, with progress on stderr, and print its report on stdout."""
    from . import console

    with _stop_on_signals() as stop, console.stdout_reserved(), console.ProgressView(quiet=quiet) as view:
        report = run(view, lambda: bool(stop))
    if as_json:
        click.echo(json.dumps(report))
    elif not quiet:
        click.echo(getattr(console, text)(report))


@contextmanager
def _stop_on_signals() -> Iterator[list[int]]:
    """Ctrl-C and termination ask the job to stop where it can clean up; a second one does not wait.

    Yields:
        A list that is empty until a signal arrives.
    """
    received: list[int] = []

    def note(number: int, _: object) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    main()
