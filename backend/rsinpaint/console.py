"""What a person at a terminal sees of a job: its progress, and what was done."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

from tqdm import tqdm

if TYPE_CHECKING:
    from .fill import Progress

LINE_SECONDS = 5.0
"""Log files and pipes get a line of progress this often."""

RATE_SECONDS = 0.5
"""A rate that was measured for less is not shown."""


class ProgressView:
    """Shows progress on stderr: a bar on a terminal, a plain line now and then elsewhere, or nothing.

    Use as a context manager; call with each `Progress`.
    """

    def __init__(self, *, quiet: bool, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self.fraction = 0.0
        self._stage = ""
        self._stage_start = self._last_line = time.monotonic()
        self._first_done = 0
        self._start = time.monotonic()
        self._bar: tqdm | None = None
        if not quiet and self.stream.isatty():
            shape = "{desc} {percentage:3.0f} % |{bar}| {elapsed} passed, {remaining} left{postfix}"
            self._bar = tqdm(
                total=1.0,
                file=self.stream,
                bar_format=shape,
                leave=False,
                dynamic_ncols=True,
                mininterval=0.2,
                miniters=0,
                smoothing=0.05,  # windows take unequal times; a nervous estimate helps nobody
            )

    def __enter__(self) -> "ProgressView":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if progress.stage != self._stage:
            self._stage, self._stage_start, self._first_done = progress.stage, now, progress.done
        step = max(progress.fraction - self.fraction, 0.0)
        self.fraction += step
        if self._bar is not None:
            self._bar.set_description_str(progress.stage, refresh=False)
            self._bar.set_postfix_str(self._rate(progress, now), refresh=False)
            self._bar.update(step)
        elif not self.quiet and now - self._last_line >= LINE_SECONDS:
            self._last_line = now
            left = (now - self._start) * (1 - self.fraction) / self.fraction if self.fraction > 0.01 else None
            parts = [f"{progress.stage} {self.fraction:.0%}", self._rate(progress, now)]
            parts += [f"{_duration(left)} left"] if left is not None else []
            print(", ".join(part for part in parts if part), file=self.stream, flush=True)

    def _rate(self, progress: "Progress", now: float) -> str:
        passed = now - self._stage_start
        pixels = progress.done - self._first_done
        return f"{pixels / passed / 1e6:.2f} Mpx/s" if passed > RATE_SECONDS and pixels > 0 else ""


def fill_text(report: Mapping[str, Any]) -> str:
    """What a fill did: one sentence, a table where there are several bands, and the notes."""
    bands = report["bands"]
    filled, left_open = report["filled"], report["left_open"]
    model = report["model"] or "no model"
    lines = [
        f"Filled {filled:,} pixels in {_bands(bands)} of {report['output']} with {model} on {report['device']} "
        f"in {_duration(report['seconds'])}, {left_open:,} left open (holes: {report['mask_source']})"
    ]
    if len(bands) > 1:
        width = max(4, *(len(band["name"]) for band in bands))
        lines.append(f"  {'band':>4}  {'name':<{width}}  {'holes':>14}  {'filled':>14}  {'left open':>14}")
        lines += [
            f"  {band['band']:>4}  {band['name']:<{width}}  {band['holes']:>14,}  {band['filled']:>14,}"
            f"  {band['left_open']:>14,}"
            for band in bands
        ]
    return "\n".join(lines + _notes(report))


def plain_text(report: Mapping[str, Any]) -> str:
    """What `mask` and `simulate` did, from whatever fields their reports have."""
    lines = [f"Wrote {report['output']}"]
    for name, value in report.items():
        if name in ("output", "notes"):
            continue
        text = ", ".join(_number(one) for one in value) if isinstance(value, (list, tuple)) else _number(value)
        lines.append(f"  {name.replace('_', ' ')}: {text}")
    return "\n".join(lines + _notes(report))


@contextmanager
def stdout_reserved() -> Iterator[None]:
    """Send to stderr what libraries print to stdout, C code included, so that a report stays readable JSON."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _notes(report: Mapping[str, Any]) -> list[str]:
    return [f"note: {note}" for note in report.get("notes", ())]


def _bands(bands: list[Any]) -> str:
    return "1 band" if len(bands) == 1 else f"{len(bands)} bands"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
