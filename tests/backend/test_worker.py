"""The worker's protocol and its faults, each against a real process."""

import json
import signal
import subprocess
import sys
import time

import pytest

import fill_stand_in
from worker_client import PIPE, Client

REAL = [sys.executable, "-I", "-u", "-X", "utf8", "-m", "rsinpaint.worker"]
STAND_IN = [sys.executable, fill_stand_in.__file__, "worker"]


@pytest.fixture
def start():
    clients = []

    def begin(command=STAND_IN, *arguments, env=None):
        clients.append(Client(command, *arguments, env=env))
        return clients[-1]

    yield begin
    for client in clients:
        client.close()


@pytest.fixture
def worker(start):
    return start()


def test_hello_is_said_before_anything_heavy_is_imported():
    code = "import sys, rsinpaint.worker; print(sorted({'numpy', 'torch', 'rasterio', 'msgspec'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_the_real_worker_greets_lists_models_and_shuts_down(start):
    client = start(REAL, "--protocol", "1")
    hello = client.hello
    assert hello["type"] == "hello" and hello["protocol"] == 1 and hello["pid"] == client.process.pid
    assert hello["python"].startswith("3.") and hello["version"]
    models = client.call(1, "models")["result"]
    assert {"harmonic", "tension-spline"} <= {model["id"] for model in models if model["ok"]}
    client.send(method="shutdown")
    assert client.read() is None and client.ended() == 0


def test_the_command_line_serves_too(start):
    client = start([sys.executable, "-m", "rsinpaint.cli", "worker"], "--idle", "60")
    assert client.hello["type"] == "hello" and client.call(1, "ping")["result"] == {}


def test_probe_names_devices(start):
    result = start(REAL).call(1, "probe")["result"]
    assert result["devices"][-1]["id"] == "cpu" and result["torch"] and result["gdal"] and result["cpu_threads"] >= 1


def test_another_protocol_is_refused_after_hello(start):
    client = start(REAL, "--protocol", "99")
    assert client.hello["protocol"] == 1
    assert client.read()["error"]["code"] == "unsupported_protocol" and client.ended() == 2


def test_a_fill_reports_progress_then_one_result(worker):
    first = worker.start(1, "good", bands=[1, 3], nodata="nan")
    assert first == {"type": "progress", "id": 1, "stage": "load", "fraction": 0.0, "done": 0, "total": 0, "text": ""}
    seen = []
    while (message := worker.read())["type"] != "result":
        seen.append(message)
    result = message["result"]
    assert seen[-1]["fraction"] == 1.0 and seen[-1]["stage"] == "write"
    assert (result["filled"], result["left_open"], result["output"]) == (18, 2, "good.tif")
    assert [band["band"] for band in result["bands"]] == [1, 3] and result["notes"] == ["a note"]


def test_mask_reports_and_nan_is_a_text(worker):
    worker.send(id=1, method="mask", params={"scene": ["a.tif"], "output": "good.tif", "method": "nodata"})
    result = worker.answer(1)["result"]
    assert result["percent"] == "nan" and result["pixels"] == [12345]


@pytest.mark.parametrize(
    ("line", "number", "code"),
    [
        (b"no json\n", None, "bad_request"),
        (b"[1]\n", None, "bad_request"),
        (b'{"id": 1}\n', None, "bad_request"),
        (b'{"method": "fill"}\n', None, "bad_request"),
        (b'{"id": 1, "method": "fill", "params": 3}\n', None, "bad_request"),
        (b'{"id": 1, "method": "paint"}\n', 1, "bad_method"),
        (b'{"id": 1, "method": "fill", "params": {"scene": "a.tif"}}\n', 1, "bad_request"),
        (b'{"id": 1, "method": "fill", "params": {"scene": "a", "output": "b", "colour": 1}}\n', 1, "bad_request"),
        (b'{"id": 1, "method": "probe", "params": {"x": 1}}\n', 1, "bad_request"),
        (b"\xff\xfe\n", None, "bad_request"),
        (b"[" * 100_000 + b"\n", None, "bad_request"),
        (b"x" * (3 << 20) + b"\n", None, "bad_request"),
    ],
    ids=range(12),
)
def test_what_is_not_understood_is_refused_and_the_worker_lives_on(worker, line, number, code):
    worker.write(line)
    while (answer := worker.read())["type"] == "progress":
        pass
    assert (answer["type"], answer["id"], answer["error"]["code"]) == ("error", number, code)
    assert answer["error"]["message"]
    assert worker.call(2, "ping")["result"] == {}


def test_blank_lines_unknown_keys_and_late_cancels_are_ignored(worker):
    worker.write(b'\n{"id": 1, "method": "ping", "colour": "red"}\n{"method": "cancel", "params": {"id": 7}}\n')
    assert worker.read() == {"type": "result", "id": 1, "result": {}}
    assert worker.start(7, "good") and worker.answer(7)["type"] == "result"


def test_cancel_stops_the_job_at_once_and_the_next_one_runs(worker):
    worker.start(1, "slow")
    asked = time.monotonic()
    worker.send(method="cancel", params={"id": 1})
    assert worker.answer(1)["error"]["code"] == "canceled" and time.monotonic() - asked < 0.5
    worker.start(2, "good")
    assert worker.answer(2)["type"] == "result"


def test_a_second_job_is_refused_and_the_first_goes_on(worker):
    worker.start(1, "slow")
    assert worker.call(2, "fill", scene="a.tif", output="good.tif")["error"]["code"] == "busy"
    worker.send(method="cancel", params={"id": 2})  # not the one that runs
    assert worker.call(3, "ping")["result"] == {}
    worker.send(method="cancel", params={"id": 1})
    assert worker.answer(1)["error"]["code"] == "canceled"


def test_prints_do_not_reach_the_protocol(worker):
    worker.start(1, "noise")
    assert worker.answer(1)["result"]["filled"] == 9
    assert worker.call(2, "ping")["result"] == {}
    worker.close()
    assert "python noise\n" in worker.stderr and "C noise\n" in worker.stderr


def test_a_job_error_carries_code_message_and_hint(worker):
    worker.start(1, "fail")
    error = worker.answer(1)["error"]
    assert error == {
        "code": "input_unreadable",
        "message": "`scene.tif` is not there, expected a raster",
        "hint": "Look again",
        "trace": "",
    }


def test_a_bug_is_answered_with_its_trace_and_the_worker_lives_on(worker):
    worker.start(1, "bug")
    error = worker.answer(1)["error"]
    assert error["code"] == "internal" and "an index is off" in error["message"] and "Traceback" in error["trace"]
    worker.start(2, "memory")
    assert worker.answer(2)["error"]["code"] == "out_of_memory"
    worker.start(3, "good")
    assert worker.answer(3)["type"] == "result"


def test_a_lost_graphics_card_ends_the_worker_after_the_answer(worker):
    worker.start(1, "device")
    assert worker.answer(1)["error"]["code"] == "internal"
    assert worker.read() is None and worker.ended() == 3


def test_progress_is_neither_a_flood_nor_a_silence(worker):
    started = time.monotonic()
    worker.start(1, "chatty")
    count = 1
    while worker.read()["type"] == "progress":
        count += 1
    assert 3 <= count <= 10 * (time.monotonic() - started) + 3

    worker.start(2, "silent")
    gaps, last = [], time.monotonic()
    while (message := worker.read())["type"] == "progress":
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
    assert message["type"] == "result" and len(gaps) >= 3 and max(gaps) < 1.0


def test_threads_are_set_before_libraries_are_imported(worker):
    worker.start(1, "threads", threads=3)
    worker.answer(1)
    worker.close()
    assert "threads 3\n" in worker.stderr


def test_the_end_of_input_ends_the_worker_and_its_temporary_files(start, tmp_path):
    part = tmp_path / "part"
    worker = start(env={"STAND_IN_PART": str(part)})
    worker.start(1, "slow")
    time.sleep(0.1)
    assert part.exists()
    worker.write(b'{"id": 2, "meth')  # half a line
    worker.process.stdin.close()
    assert worker.ended(2) == 0 and not part.exists()


def test_the_end_of_input_ends_even_a_job_that_does_not_listen(worker):
    worker.start(1, "deaf")
    worker.process.stdin.close()
    assert worker.ended(2) == 0


def test_shutdown_cancels_and_ends(worker):
    worker.start(1, "slow")
    worker.send(method="shutdown")
    assert worker.answer(1)["error"]["code"] == "canceled"
    assert worker.read() is None and worker.ended() == 0


def test_a_killed_parent_leaves_no_worker():
    # The worker writes to its parent's stdout: that pipe ends only when both are gone.
    code = f"import subprocess; subprocess.Popen({STAND_IN!r}, stdin=subprocess.PIPE).wait()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL, stdout=PIPE)
    try:
        assert json.loads(parent.stdout.readline())["type"] == "hello"
        killed = time.monotonic()
        parent.kill()
        assert parent.stdout.read() == b"" and time.monotonic() - killed < 1.0
    finally:
        parent.wait()
        parent.stdout.close()


def test_a_crash_shows_as_the_end_of_output(worker):
    worker.start(1, "abort")
    with pytest.raises(EOFError):
        worker.answer(1)
    assert worker.ended() == -signal.SIGABRT


def test_an_idle_worker_ends_itself_but_not_during_a_job(start):
    worker = start(STAND_IN, "--idle", "0.5")
    worker.start(1, "silent")
    assert worker.answer(1)["type"] == "result"
    rested = time.monotonic()
    assert worker.read() is None and worker.ended() == 0 and 0.3 < time.monotonic() - rested < 2


def test_ctrl_c_in_a_shared_terminal_is_the_parent_s_business(worker):
    worker.process.send_signal(signal.SIGINT)
    assert worker.call(1, "ping")["result"] == {}


def test_a_poisoned_environment_changes_nothing(start, tmp_path):
    poison = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "x"), "PYTHONIOENCODING": "ascii"}
    (tmp_path / "json.py").write_text("raise SystemExit('poison')")
    worker = start(REAL, env=poison)
    assert worker.hello["type"] == "hello"


def test_models_are_looked_for_in_the_folder_that_is_named(start, tmp_path):
    (tmp_path / "broken.json").write_text("{")
    models = start(REAL).call(1, "models", folder=str(tmp_path))["result"]
    (bad,) = [model for model in models if not model["ok"]]
    assert "broken.json" in bad["problem"]


def test_inspect_describes_a_scene(start, tmp_path):
    import numpy as np
    import rasterio

    path = str(tmp_path / "scene.tif")
    grid = {"width": 5, "height": 4, "count": 2, "dtype": "float32", "nodata": float("nan"), "crs": "EPSG:32631"}
    with rasterio.open(path, "w", **grid, transform=rasterio.Affine(30, 0, 0, 0, -30, 120)) as scene:
        scene.write(np.ones((2, 4, 5), "float32"))
        scene.descriptions = ("red", "nir")
    client = start(REAL)
    found = client.call(1, "inspect", source=path)["result"]
    assert (found["width"], found["height"], found["crs"]) == (5, 4, "EPSG:32631")
    assert found["bands"][1] == {"name": "nir", "dtype": "float32", "nodata": "nan"}
    assert client.call(2, "inspect", source=str(tmp_path / "none.tif"))["error"]["code"] == "input_unreadable"
    assert client.call(3, "inspect", source=[])["error"]["code"] == "bad_request"
