"""A small client for tests: starts a worker and speaks its protocol."""

import contextlib
import json
import os
import queue
import subprocess
import threading

PIPE = subprocess.PIPE


class Client:
    """Starts a worker and speaks its protocol; `stderr` collects what it printed."""

    def __init__(self, command, *arguments, env=None):
        self.process = subprocess.Popen(
            [*command, *arguments], stdin=PIPE, stdout=PIPE, stderr=PIPE, env=os.environ | (env or {})
        )
        self._lines: queue.Queue = queue.Queue()
        self.stderr: list[str] = []
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._drain)]
        for thread in self._threads:
            thread.start()
        self.hello = self.read()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _drain(self):
        self.stderr += (line.decode() for line in self.process.stderr)

    def read(self, timeout=10):
        """The next message; None at the end of the worker's output."""
        return self._lines.get(timeout=timeout)

    def write(self, data: bytes):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, **request):
        self.write(json.dumps(request).encode() + b"\n")

    def start(self, number, what, **fields):
        """Ask for a fill in which the stand-in does `what`, and wait until it has begun."""
        self.send(id=number, method="fill", params={"scene": "a.tif", "output": f"{what}.tif", **fields})
        return self.answer(number, kinds=("progress",))

    def answer(self, number, kinds=("result", "error")):
        while (message := self.read()) is not None:
            if message.get("id") == number and message["type"] in kinds:
                return message
        raise EOFError(self.ended())

    def call(self, number, method, **params):
        self.send(id=number, method=method, params=params)
        return self.answer(number)

    def ended(self, timeout=5):
        return self.process.wait(timeout)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(BrokenPipeError):  # half a line may still be in its buffer
                pipe.close()
