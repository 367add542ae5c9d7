"""Progress at a steady pace: never more lines than a reader wants, never a silence that looks like a crash."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fill import Progress

SHORTEST_SECONDS = 0.1
LONGEST_SECONDS = 0.8
"""Below the second that the protocol promises, since a busy machine wakes threads late."""


class Pulse:
    """Passes the newest progress of one job on, at most 10 times a second, and repeats it when there is none.

    A context manager: sends a first line on entry, and none after exit. The fraction never falls.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], number: Any) -> None:
        self._send = send
        self._message: dict[str, Any] = {
            "type": "progress",
            "id": number,
            "stage": "load",
            "fraction": 0.0,
            "done": 0,
            "total": 0,
            "text": "",
        }
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._fresh = False
        self._sent = time.monotonic()
        self._thread = threading.Thread(target=self._beat, name="pulse", daemon=True)

    def progress(self, progress: "Progress") -> None:
        """Take note of how far the job is; cheap, may be called as often as it likes."""
        with self._lock:
            self._message = self._message | {
                "stage": progress.stage,
                "fraction": min(1.0, max(progress.fraction, self._message["fraction"])),
                "done": progress.done,
                "total": progress.total,
                "text": progress.text,
            }
            self._fresh = True

    def __enter__(self) -> "Pulse":
        self._send(self._message)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        if kind is None and self._fresh:
            self._send(self._message)  # the last word, usually 1.0

    def _beat(self) -> None:
        while not self._ended.wait(SHORTEST_SECONDS):
            now = time.monotonic()
            with self._lock:
                due = now - self._sent >= (SHORTEST_SECONDS if self._fresh else LONGEST_SECONDS)
                message, self._fresh = self._message, self._fresh and not due
            if due:
                self._sent = now
                self._send(message)
