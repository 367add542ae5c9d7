"""How a call or a worker ended, in words; and what it left behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .errors import Cancelled, WorkerError
from .lines import Message


def refusal(error: Message) -> WorkerError | Cancelled:
    """What an `error` message of the worker says, as an exception to be raised."""
    code = str(error.get("code", "internal"))
    if code == "canceled":
        return Cancelled()
    message = str(error.get("message") or "The backend failed without giving a reason")
    return WorkerError(code, message, str(error.get("hint") or ""), str(error.get("trace") or ""))


def death(status: int | None, last_words: str, program: str, stopped: bool = False) -> WorkerError:
    """Say in words how a worker ended.

    Args:
        status: its exit status; negative: the signal that ended it (POSIX).
        last_words: the end of its stderr.
        program: the interpreter that ran it.
        stopped: we ended it ourselves.
    """
    status = 0 if status is None else status
    if stopped:
        return WorkerError("died", "The backend was stopped, because the plugin is being unloaded")
    if "No module named" in last_words and "rsinpaint" in last_words:
        return WorkerError(
            "not_installed",
            f"The Python `{program}` has no RS Inpaint backend in it",
            "Choose another in Settings > Options > RS Inpaint",
            last_words,
        )
    if status in (-9, 137, 0xC0000017):
        text, hint = "The backend was ended by the system, probably because memory ran out", "Close other programs"
    elif status in (-11, -6, -7, -4, 134, 139, 0xC0000005):
        text, hint = f"The backend crashed (status {status})", "Try again with Device set to `cpu`"
    else:
        text, hint = f"The backend ended unexpectedly (status {status})", "The log has its last words"
    return WorkerError("died", text, hint, last_words)


def remove_litter(outputs: Sequence[str], pid: int) -> None:
    """Remove what the killed worker `pid` left beside its outputs: `.NAME.rsinpaint-PID-*`."""
    for output in outputs:
        path = Path(output)
        for unfinished in path.parent.glob(f".*.rsinpaint-{pid}[.-]*"):
            if unfinished.name.startswith("." + path.stem):
                try:
                    unfinished.unlink()
                except OSError:
                    continue  # the next run sweeps what is still locked now
