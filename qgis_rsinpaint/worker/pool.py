"""Workers for whoever asks, one call at a time each; one is kept warm for the next call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .client import HELLO_SECONDS, POLL_SECONDS, Client, OnEvent
from .errors import Cancelled, WorkerError

LIMIT = 2
"""Calls at the same time; each may use all cores and its own share of memory."""


class Pool:
    """Lends workers.

    No lock is held during a call. QGIS's old batch dialog runs algorithms in the main thread, where the events
    that keep the window alive can start a second run inside the first: behind one lock that waits for ever.

    Args:
        limit: calls at the same time.
        hello_seconds: how long a new worker may take to greet.
    """

    def __init__(self, *, limit: int = LIMIT, hello_seconds: float = HELLO_SECONDS) -> None:
        self._limit, self._hello_seconds = limit, hello_seconds
        self._lock = threading.Lock()  # guards the four fields below, never held while waiting for anything
        self._slots_taken = 0
        self._busy: set[Client] = set()
        self._idle: Client | None = None
        self._timer: threading.Timer | None = None
        self._shut = False

    def call(
        self,
        command: Sequence[str],
        method: str,
        params: Mapping[str, Any],
        on_event: OnEvent = lambda message: None,
        is_cancelled: Callable[[], bool] = lambda: False,
        *,
        keep_seconds: float = 0.0,
        may_wait: bool = True,
        outputs: Sequence[str] = (),
    ) -> Any:
        """Have `method` done by an idle worker, or by a new one if there is none.

        Args:
            command: how a worker is started; an idle one that was started otherwise is not used.
            keep_seconds: how long the worker stays warm afterwards; 0: it ends at once.
            may_wait: whether to wait while `limit` calls are under way. Not in the main thread: the call that
                would have to end may be the one that is waiting for us.
            on_event, is_cancelled, outputs: as `Client.call`.

        Raises:
            Cancelled, WorkerError: as `Client.call`; also `busy`.
        """
        self._take_slot(on_event, is_cancelled, may_wait)
        client: Client | None = None
        try:
            client = self._take_idle(tuple(command)) or Client(
                command,
                hello_seconds=self._hello_seconds,
                is_cancelled=lambda: self._shut or is_cancelled(),
                on_wait=lambda: on_event({"type": "tick"}),
            )
            with self._lock:
                if self._shut:
                    raise WorkerError("died", "The plugin is being unloaded")
                self._busy.add(client)
            return client.call(method, params, on_event, is_cancelled, outputs=outputs)
        finally:
            self._give_back(client, keep_seconds)

    def drop_idle(self) -> None:
        """End the warm worker, if there is one; calls under way go on."""
        with self._lock:
            client, self._idle = self._idle, None
            self._cancel_timer()
        if client is not None:
            client.close()

    def shutdown(self) -> None:
        """End all workers and wait for them; calls under way fail with `died`, later ones too."""
        with self._lock:
            self._shut = True
            clients = [*self._busy, *([self._idle] if self._idle else [])]
            self._idle = None
            self._cancel_timer()
        for client in clients:
            client.kill()

    def pids(self) -> list[int]:
        """Process ids of the workers that run now, for diagnostics."""
        with self._lock:
            return [client.pid for client in (*self._busy, *([self._idle] if self._idle else [])) if client.alive]

    def _take_slot(self, on_event: OnEvent, is_cancelled: Callable[[], bool], may_wait: bool) -> None:
        while True:
            with self._lock:
                if self._shut:
                    raise WorkerError("died", "The plugin is being unloaded")
                if self._slots_taken < self._limit:
                    self._slots_taken += 1
                    return
            if not may_wait:
                raise WorkerError(
                    "busy", f"{self._limit} other repairs are under way", "Start it again when one has ended"
                )
            if is_cancelled():
                raise Cancelled
            on_event({"type": "tick"})
            time.sleep(POLL_SECONDS)

    def _take_idle(self, command: tuple[str, ...]) -> Client | None:
        with self._lock:
            client, self._idle = self._idle, None
            self._cancel_timer()
        if client is None or (client.alive and client.command == command):
            return client
        client.close()  # it died in its sleep, or the options name another Python now
        return None

    def _give_back(self, client: Client | None, keep_seconds: float) -> None:
        with self._lock:
            self._slots_taken -= 1
            if client is None:
                return
            self._busy.discard(client)
            if client.alive and keep_seconds > 0 and self._idle is None and not self._shut:
                self._idle = client
                self._timer = threading.Timer(keep_seconds, self._retire, [client])
                self._timer.daemon = True
                self._timer.start()
                return
        client.close()

    def _retire(self, client: Client) -> None:
        with self._lock:
            if self._idle is not client:
                return  # it was lent again in the moment in which its time was up
            self._idle = None
        client.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
