"""One backend process: started, spoken to in JSON lines, cancelled, killed. Safe to use from any thread.

No Qt here: a `QProcess` is bound to the thread that made it, while a warm worker is used by changing threads.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .endings import death, refusal, remove_litter
from .environment import clean_environment
from .errors import Cancelled, WorkerError
from .lines import LINE_BYTES, Message, read_lines, read_message

PROTOCOL = 1
HELLO_SECONDS = 10.0
"""Virus scanners make a first start slow; the worker greets before it imports anything heavy."""
POLL_SECONDS = 0.1
GRACE_SECONDS = 0.7
"""How long a cancelled worker may take to stop by itself; with the poll this keeps a cancel below one second."""
SILENCE_SECONDS = 30.0

OnEvent = Callable[[Message], None]


class Client:
    """A running worker. Use it for one call at a time (`Pool` sees to that), then `close` it.

    Args:
        command: program and arguments.
        hello_seconds: how long to wait for the greeting.
        is_cancelled: asked while waiting for the greeting.
        on_wait: called about every 0.1 s while waiting for the greeting.

    Raises:
        WorkerError: `no_hello`, `died`, `unsupported_protocol` or `not_installed`.
        Cancelled: `is_cancelled` said yes.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        hello_seconds: float = HELLO_SECONDS,
        is_cancelled: Callable[[], bool] = lambda: False,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.command = tuple(command)
        self.hello: Message = {}
        self._ids = itertools.count(1)
        self._messages: queue.Queue[Message] = queue.Queue()
        self._tail: deque[str] = deque(maxlen=200)
        self._sending = threading.Lock()
        self._closing = False
        self._process = self._start()
        self._readers = [
            threading.Thread(target=reader, name="rsinpaint worker", daemon=True)
            for reader in (self._read_messages, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()
        try:
            self._await_hello(hello_seconds, is_cancelled, on_wait)
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether it still runs and can be spoken to."""
        return not self._closing and self._process.poll() is None

    @property
    def pid(self) -> int:
        """As the worker gives it: on Windows the process that was started is only a launcher."""
        return int(self.hello.get("pid", self._process.pid))

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        on_event: OnEvent = lambda message: None,
        is_cancelled: Callable[[], bool] = lambda: False,
        *,
        grace: float = GRACE_SECONDS,
        outputs: Sequence[str] = (),
    ) -> Any:
        """Send one request and see it through.

        Args:
            on_event: is given `progress` and `log` messages, and `{"type": "tick"}` about every 0.1 s of silence.
            is_cancelled: asked about every 0.1 s. A worker that has not stopped `grace` seconds later is killed.
            outputs: files that the call may leave unfinished; if the worker dies, its temporaries beside them go.

        Returns:
            The result: for most methods a dict of fields.

        Raises:
            Cancelled: the call was cancelled; the worker may or may not be alive.
            WorkerError: refused by the worker, or `died`.
        """
        try:
            return self._exchange(method, params, on_event, is_cancelled, grace)
        except BaseException as problem:
            if not isinstance(problem, (WorkerError, Cancelled)):
                self.kill()  # it is in the middle of something that nobody listens to any more
            if not self.alive:
                remove_litter(outputs, self.pid)
            raise

    def _exchange(
        self, method: str, params: Mapping[str, Any], on_event: OnEvent, is_cancelled: Callable[[], bool], grace: float
    ) -> Any:
        request = next(self._ids)
        self._send({"id": request, "method": method, "params": dict(params)})
        cancelled_at: float | None = None
        silence = _Silence(self._ping)
        while True:
            if cancelled_at is None and is_cancelled():
                cancelled_at = time.monotonic()
                self._send({"method": "cancel", "params": {"id": request}})
            if cancelled_at is not None and time.monotonic() - cancelled_at > grace:
                self.kill()
                raise Cancelled
            try:
                message = self._messages.get(timeout=POLL_SECONDS)
            except queue.Empty:
                on_event(silence.tick())
                continue
            silence.broken()
            kind = message["type"]
            if kind == "_eof":
                if cancelled_at is not None:
                    raise Cancelled
                raise self._death()
            if message.get("id") != request:
                continue  # a late message of an earlier call, or the answer to a ping
            if kind == "result":
                return message.get("result")
            if kind == "error":
                raise refusal(message.get("error") or {})
            on_event(message)

    def close(self, seconds: float = 1.0) -> None:
        """Ask it to end (end of input), wait, kill what is left. Leaves no child, no open pipe."""
        self._closing = True
        self._close_input()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """End it now, with all that it has started, and wait for it."""
        self._closing = True
        if self._process.poll() is None:
            try:
                if os.name == "posix":
                    os.killpg(self._process.pid, signal.SIGKILL)  # it leads a session of its own
                else:
                    self._process.kill()
            except ProcessLookupError:
                pass  # it ended between the question and the signal
        self._process.wait()
        self._close_input()
        for reader in self._readers:
            if reader.is_alive() and reader is not threading.current_thread():
                reader.join(1.0)

    def last_words(self, lines: int = 20) -> str:
        """The end of what it wrote to stderr (and to stdout, where that was no message)."""
        return "\n".join(list(self._tail)[-lines:])

    def _start(self) -> subprocess.Popen[bytes]:
        options: dict[str, Any] = {}
        if os.name == "posix":
            # Not PR_SET_PDEATHSIG: Linux ties it to the thread that forks. End of input is what ends an orphan.
            options["start_new_session"] = True
        else:
            options["creationflags"] = getattr(subprocess, "CREATE_NO_WINDOW", 0)
        try:
            return subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=clean_environment(),
                cwd=tempfile.gettempdir(),  # it exists, is nobody's data, and Windows locks the folder one stands in
                **options,
            )
        except OSError as problem:
            raise WorkerError(
                "not_installed",
                f"The backend's Python `{self.command[0]}` does not start ({problem.strerror})",
                "Choose another in Settings > Options > RS Inpaint",
            ) from problem

    def _await_hello(self, seconds: float, is_cancelled: Callable[[], bool], on_wait: Callable[[], None]) -> None:
        deadline = time.monotonic() + seconds
        while True:
            if is_cancelled():
                raise Cancelled
            if time.monotonic() > deadline:
                self.kill()
                raise WorkerError(
                    "no_hello",
                    f"The backend did not answer within {seconds:g} seconds",
                    "Try again, or press Test in Settings > Options > RS Inpaint",
                    self.last_words(),
                )
            try:
                message = self._messages.get(timeout=min(POLL_SECONDS, seconds))
            except queue.Empty:
                on_wait()
                continue
            if message["type"] == "_eof":
                raise self._death()
            if message["type"] == "hello":
                break
        if message.get("protocol") != PROTOCOL:
            raise WorkerError(
                "unsupported_protocol",
                f"The backend speaks protocol {message.get('protocol')}, this plugin speaks protocol {PROTOCOL}",
                "Update the older of the two",
            )
        self.hello = message

    def _send(self, message: Message) -> None:
        line = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
        if len(line) > LINE_BYTES:
            raise WorkerError("bad_request", f"The request is too long ({len(line)} bytes, at most {LINE_BYTES})")
        try:
            with self._sending:
                self._process.stdin.write(line)
                self._process.stdin.flush()
        except (OSError, ValueError):
            return  # it is gone or closed: the reader reports the end, with the reason

    def _ping(self) -> None:
        self._send({"id": next(self._ids), "method": "ping", "params": {}})

    def _death(self) -> WorkerError:
        stopped = self._closing
        self.kill()  # end of output without end of process happens, too
        return death(self._process.returncode, self.last_words(), self.command[0], stopped)

    def _close_input(self) -> None:
        with self._sending, contextlib.suppress(OSError):  # unsent bytes for a process that is gone
            self._process.stdin.close()

    def _read_messages(self) -> None:
        with self._process.stdout as pipe:
            for line in read_lines(pipe):
                message = read_message(line)
                if message is None:
                    self._tail.append(line[:500].decode("utf-8", "replace").rstrip())
                else:
                    self._messages.put(message)
        self._messages.put({"type": "_eof"})

    def _read_errors(self) -> None:
        # Always drained: a full pipe (64 KiB) would stop the worker.
        with self._process.stderr as pipe:
            for line in read_lines(pipe):
                self._tail.append(line[:2000].decode("utf-8", "replace").rstrip())


class _Silence:
    """Asks for a sign of life after half a minute of silence; never kills: a slow disk is not a fault."""

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping, self._since, self._stage = ping, time.monotonic(), 0

    def broken(self) -> None:
        self._since, self._stage = time.monotonic(), 0

    def tick(self) -> Message:
        silent = time.monotonic() - self._since
        if self._stage == 0 and silent > SILENCE_SECONDS:
            self._stage = 1
            self._ping()
        elif self._stage == 1 and silent > 3 * SILENCE_SECONDS:
            self._stage = 2
            text = f"The backend has not answered for {silent:.0f} seconds. Wait, or cancel."
            return {"type": "log", "level": "warning", "text": text}
        return {"type": "tick"}
