"""How options of the command line are written, where that is more than a text or a number."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def debug(command: Command) -> Command:
    """Add --debug, which every command has."""
    return click.option(
        "--debug", is_flag=True, expose_value=False, callback=_debug, help="Show where an error arose."
    )(command)


def common(command: Command) -> Command:
    """Add --quiet, --json and --debug, which every command that works on a scene has."""
    for option in (
        debug,
        click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object."),
        click.option("--quiet", is_flag=True, help="Print errors only."),
    ):
        command = option(command)
    return command


def memory_bytes(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """`2G`, `1.5GiB`, `800M` -> bytes; units are powers of 1024."""
    if text is None:
        return None
    parts = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not parts:
        raise click.BadParameter(f"`{text}` is no amount of memory, expected a number and a unit such as 2G or 800M")
    return round(float(parts[1]) * UNITS[parts[2].upper()])


def band_list(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """`1,2,5-7` -> (1, 2, 5, 6, 7)."""
    if text is None:
        return None
    bands: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        first, last = (int(ends[1]), int(ends[2] or ends[1])) if ends else (0, 0)
        if not 1 <= first <= last <= first + 9999:
            raise click.BadParameter(f"`{text}` is no list of bands, expected numbers from 1 such as 1,2,5-7")
        bands.extend(range(first, last + 1))
    return tuple(bands)


def nodata_list(_: click.Context, __: click.Parameter, text: str | None) -> tuple[float | None, ...] | None:
    """`0` or `0,none,nan` -> numbers; None for a band that has no such value."""
    if text is None:
        return None
    try:
        return tuple(None if part.strip().lower() == "none" else float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"`{text}` is no nodata value, expected numbers, `nan` or `none`") from None


def model_id(_: click.Context, __: click.Parameter, text: str) -> str:
    """A name that a card can have."""
    if len(text) > 64 or not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", text):
        wanted = "up to 64 small letters, digits, dots and hyphens, a letter or digit first"
        raise click.BadParameter(f"`{text}` cannot be a model's name, expected {wanted}")
    return text


def _debug(context: click.Context, _: click.Parameter, given: bool) -> None:
    context.find_root().obj["debug"] |= given
