"""The worker: serves the plugin with JSON lines on stdin and stdout, one job at a time.

Until `hello` is out nothing but the standard library is imported, so that the plugin sees life at once.
`methods.py` says what can be asked; here is the transport: who reads, who writes, who may interrupt whom.

    reader thread   stdin -> requests; answers `ping`, marks `cancel`, refuses a second job; end of input ends all
    main thread     one job at a time
    pulse thread    passes progress on: at most 10 lines a second, at least one a second
"""

import argparse
import json
import os
import platform
import queue
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO, NoReturn

from . import __version__
from .errors import Cancelled, JobError
from .pulse import Pulse

PROTOCOL = 1
LINE_LIMIT_BYTES = 1 << 20
IDLE_SECONDS = 600.0
GOODBYE_SECONDS = 0.5
"""What a job gets to remove its temporary files when the plugin is gone."""

LOST_DEVICE = ("device-side assert", "illegal memory access")
"""After these CUDA errors every later call fails: only a new process helps."""
LOST_DEVICE_STATUS = 3


def main(arguments: list[str] | None = None) -> NoReturn:
    """Serve until the input ends, `shutdown` comes, or nothing was asked for a while."""
    options = _options(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a shared terminal is the parent's: it cancels
    source, out = _take_pipes()
    worker = Worker(source, out, idle_seconds=options.idle)
    hello = {"protocol": PROTOCOL, "version": __version__, "pid": os.getpid(), "python": platform.python_version()}
    worker.send({"type": "hello", **hello})
    if options.protocol != PROTOCOL:
        problem = JobError(
            f"Protocol {options.protocol} was asked for", f"{PROTOCOL}", "Update the plugin or rsinpaint"
        )
        worker.send(_error(None, problem, code="unsupported_protocol"))
        _leave(2)
    worker.serve()
    _leave(0)


class Worker:
    """Reads requests from `source`, writes answers to `out`; both are binary and unbuffered on the way out."""

    def __init__(self, source: BinaryIO, out: BinaryIO, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._source, self._out, self._idle_seconds = source, out, idle_seconds
        self._write_lock = threading.Lock()
        self._state_lock = threading.Lock()
        self._requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._current: Any = None  # id of the job that runs or waits to be taken up
        self._busy = False
        self._stop = threading.Event()
        self._resting = threading.Event()
        self._resting.set()

    def serve(self) -> None:
        """Take up one request at a time until told to end or idle for too long."""
        threading.Thread(target=self._listen, name="reader", daemon=True).start()
        while True:
            try:
                request = self._requests.get(timeout=self._idle_seconds)
            except queue.Empty:
                with self._state_lock:
                    if self._busy:  # came in at the last moment
                        continue
                    return
            if request is None:
                return
            self._answer(request)

    def send(self, message: dict[str, Any]) -> None:
        """Write one message as one line; if nobody reads any more, end."""
        line = json.dumps(_plain(message), allow_nan=False).encode("ascii") + b"\n"  # any file name survives
        with self._write_lock:
            try:
                self._out.write(line)
                self._out.flush()
            except (OSError, ValueError):
                _leave(0)

    def _answer(self, request: dict[str, Any]) -> None:
        from .methods import METHODS

        number, pulse = request["id"], Pulse(self.send, request["id"])
        try:
            with pulse:
                result = METHODS[request["method"]](request["params"], pulse.progress, self._stop.is_set)
            answer = {"type": "result", "id": number, "result": result}
        except BaseException as problem:  # whatever it is, the plugin gets an answer and the worker lives on
            answer = _error(number, problem)
            problem.__traceback__ = None  # it holds the job's arrays and tensors
        with self._state_lock:  # free before the answer is out: the next request may come at once
            self._busy, self._current = False, None
            self._stop.clear()
            self._resting.set()
        self.send(answer)
        if any(text in answer.get("error", {}).get("message", "") for text in LOST_DEVICE):
            _leave(LOST_DEVICE_STATUS)

    def _listen(self) -> None:
        """The reader thread."""
        while line := self._source.readline(LINE_LIMIT_BYTES + 1):
            if not line.endswith(b"\n"):
                if len(line) <= LINE_LIMIT_BYTES:
                    break  # half a line: the plugin died while it wrote
                self._skip_line()
                self._refuse(None, "bad_request", f"A line is longer than {LINE_LIMIT_BYTES} bytes")
            elif line.strip():
                self._take(line)
        # The plugin is gone. Let the job clean up, but never outlive the plugin for long.
        self._stop.set()
        self._resting.wait(GOODBYE_SECONDS)
        _leave(0)

    def _skip_line(self) -> None:
        while (rest := self._source.readline(LINE_LIMIT_BYTES)) and not rest.endswith(b"\n"):
            pass

    def _take(self, line: bytes) -> None:
        """Sort one line: what can be answered at once is, a job goes to the main thread."""
        try:
            number, method, params = _parse(line)
        except JobError as problem:
            self.send(_error(None, problem))
            return
        if method == "cancel":
            with self._state_lock:
                if self._busy and params.get("id") == self._current:
                    self._stop.set()
        elif method == "shutdown":
            self._stop.set()
            self._requests.put(None)
        elif number is None:
            self._refuse(None, "bad_request", f"The request `{method}` has no `id`")
        elif method == "ping":
            self.send({"type": "result", "id": number, "result": {}})
        else:
            self._enqueue(number, method, params)

    def _enqueue(self, number: Any, method: str, params: dict[str, Any]) -> None:
        from .methods import METHODS

        if method not in METHODS:
            known = ", ".join([*METHODS, "ping", "cancel", "shutdown"])
            self._refuse(number, "bad_method", f"There is no method `{method}`", f"Known methods: {known}")
            return
        with self._state_lock:
            busy, self._busy = self._busy, True
            if not busy:
                self._current = number
                self._resting.clear()
        if busy:
            self._refuse(number, "busy", "The worker is at another job", "Wait for it, or cancel it")
        else:
            self._requests.put({"id": number, "method": method, "params": params})

    def _refuse(self, number: Any, code: str, message: str, hint: str = "") -> None:
        self.send({"type": "error", "id": number, "error": {"code": code, "message": message, "hint": hint}})


def _parse(line: bytes) -> tuple[Any, str, dict[str, Any]]:
    """One line -> id (None if there is none), method, params."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise JobError(f"A line is no JSON ({problem})") from None
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        raise JobError("A line is no object with a `method`")
    params = request.get("params") or {}
    if not isinstance(params, dict):
        raise JobError(f"The `params` of `{request['method']}` are no object")
    return request.get("id"), request["method"], params


def _error(number: Any, problem: BaseException, code: str = "") -> dict[str, Any]:
    """An exception as the protocol has it; only what is a bug of ours carries a trace."""
    hint, trace = "", ""
    if isinstance(problem, JobError):
        code = code or problem.code
        message = f"{problem.what}, expected {problem.expected}" if problem.expected else problem.what
        hint = problem.remedy
    elif isinstance(problem, Cancelled):
        code, message = "canceled", "Cancelled, nothing was written"
    elif type(problem).__name__ == "OutOfMemoryError":  # torch's; it is not imported here
        code, message = "gpu_out_of_memory", "The graphics card's memory is used up"
        hint = "Close other programs that use it, or choose the device `cpu`"
    elif isinstance(problem, MemoryError):
        code, message = "out_of_memory", "The computer's memory is used up"
        hint = "Close other programs, or allow the job less memory"
    else:
        code, message = "internal", f"{type(problem).__name__}: {problem}"
        hint = "This is a fault of the program: please report it with the details"
        trace = "".join(traceback.format_exception(problem))
        print(trace, file=sys.stderr, flush=True)
    return {"type": "error", "id": number, "error": {"code": code, "message": message, "hint": hint, "trace": trace}}


def _plain(value: Any) -> Any:
    """JSON has no NaN: the protocol writes "nan", "inf", "-inf"."""
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol; whatever else reads or prints gets nothing and stderr.

    GDAL, libtiff and OpenMP write to descriptor 1 from C; child processes would read descriptor 0.
    """
    out = os.fdopen(os.dup(1), "wb", 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    source = os.fdopen(os.dup(0), "rb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return source, out


def _leave(status: int) -> NoReturn:
    """End without the interpreter's farewell: the reader thread sits in a read that nothing interrupts."""
    sys.stderr.flush()
    os._exit(status)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="rsinpaint worker", description="Serve the plugin on stdin and stdout.")
    parser.add_argument("--protocol", type=int, default=PROTOCOL, metavar="N")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, metavar="SECONDS", help="end after so long unused")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
