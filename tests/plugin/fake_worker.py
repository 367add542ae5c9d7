"""Stands in for the backend's worker: no torch, no rasterio, and faults on demand. Standard library only.

The greeting is chosen by the environment variable RSINPAINT_FAKE (`no_hello`, `slow_hello`, `wrong_protocol`,
`no_module`), what `fill` does by a word in the name of the scene or by the parameter `fake`.
"""

import json
import os
import shutil
import sys
import threading
import time

MODES = ("fail", "abort", "hang", "noise", "giant", "half", "slow", "clean", "left", "oom")
OUT = os.fdopen(os.dup(1), "wb", 0)
CANCELLED: set[int] = set()


def send(**message):
    OUT.write(json.dumps(message).encode() + b"\n")


def mode_of(params):
    if "fake" in params:
        return params["fake"]
    name = os.path.basename(params["scene"][0])
    return next((mode for mode in MODES if mode in name), "ok")


def temporary(output):
    folder, name = os.path.split(output)
    return os.path.join(folder, f".{name}.rsinpaint-{os.getpid()}-0bbfd16a.part.tif")


def work(request, output, seconds):
    """Pretend to work; False when cancelled."""
    with open(temporary(output), "wb") as part:
        part.write(b"unfinished")
    steps = max(1, round(seconds / 0.02))
    for step in range(steps):
        if request in CANCELLED:
            os.unlink(temporary(output))
            send(type="error", id=request, error={"code": "canceled", "message": "cancelled"})
            return False
        text = f"window {step + 1} of {steps}"
        send(type="progress", id=request, stage="fill", fraction=step / steps, done=step, total=steps, text=text)
        time.sleep(0.02)
    return True


def misbehave(request, mode, output):
    """The faults after which nothing more is said."""
    if mode in ("abort", "oom", "half", "hang"):
        with open(temporary(output), "wb") as part:
            part.write(b"unfinished")
    if mode == "abort":
        print("Fatal Python error: invented", file=sys.stderr, flush=True)
        os.abort()
    if mode == "oom":
        os.kill(os.getpid(), 9)
    if mode == "half":
        OUT.write(b'{"type":"result","id":')
        os._exit(3)
    if mode == "hang":
        time.sleep(3600)


def fill(request, params):
    mode, output = mode_of(params), params.get("output", "")
    misbehave(request, mode, output)
    if mode == "fail":
        send(
            type="error",
            id=request,
            error={
                "code": "unsupported_raster",
                "message": f"`{os.path.basename(params.get('scene', ['x'])[0])}` is a palette raster",
                "hint": "Pass one with measured values",
                "trace": "Traceback (invented)",
            },
        )
        return
    if mode == "noise":
        OUT.write(b"library says hi\n[1, 2]\n\xff\xfe\n{}\n")
        print("x" * 200_000, file=sys.stderr, flush=True)  # more than a pipe holds
    if mode == "giant":
        OUT.write(b'{"type":"log","text":"' + b"x" * (3 << 20) + b'"}\n')
    if output:
        if not work(request, output, 20.0 if mode == "slow" else 0.1):
            return
        for made in (output, params.get("out_mask"), params.get("out_uncertainty")):
            if made:
                shutil.copyfile(params["scene"][0], temporary(made))
                os.replace(temporary(made), made)
    filled, left = (0, 0) if mode == "clean" else (10, 2 if mode == "left" else 0)
    notes = ["`the mask` marks no pixel: the output equals the input"] if mode == "clean" else []
    result = {"output": output, "model": "fake", "device": "cpu", "filled": filled, "left_open": left, "notes": notes}
    result |= {"seconds": 0.1, "pid": os.getpid(), "bands": [], "echo": params, "task": params.get("task")}
    send(type="result", id=request, result=result)


def answer(request, method, params):
    if method == "fill":
        fill(request, params)
    elif method == "probe":
        devices = [{"id": "cpu", "name": "fake processor"}]
        result = {"torch": "2.13.0+fake", "devices": devices, "cpu_threads": 2, "rasterio": "1.5.1", "gdal": "3.12.0"}
        send(type="result", id=request, result=result | {"prefix": sys.prefix, "environ": dict(os.environ)})
    else:
        send(type="error", id=request, error={"code": "bad_method", "message": f"unknown method `{method}`"})


def listen(requests):
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if message["method"] == "cancel":
            CANCELLED.add(message["params"]["id"])
        elif message["method"] == "ping":
            send(type="result", id=message["id"], result={})
        else:
            requests.append(message)
    os._exit(0)


def main():
    greeting = os.environ.get("RSINPAINT_FAKE", "")
    if greeting == "no_module":
        sys.exit("/somewhere/python: No module named rsinpaint")
    if greeting == "no_hello":
        print("still importing", file=sys.stderr, flush=True)
        time.sleep(3600)
    if greeting == "slow_hello":
        time.sleep(0.5)
    protocol = 99 if greeting == "wrong_protocol" else 1
    send(type="hello", protocol=protocol, version="0.0.fake", pid=os.getpid(), python="3.11")
    requests = []
    threading.Thread(target=listen, args=[requests], daemon=True).start()
    while True:
        if requests:
            message = requests.pop(0)
            answer(message["id"], message["method"], message["params"])
        time.sleep(0.005)


if __name__ == "__main__":
    main()
