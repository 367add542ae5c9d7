"""The worker's client against every fault of a worker. Runs in any Python, without QGIS."""

import os
import subprocess
import sys
import threading
import time

import pytest
from fakes import FAKE_WORKER, ROOT, children

from qgis_rsinpaint.worker.client import GRACE_SECONDS, POLL_SECONDS, Client
from qgis_rsinpaint.worker.endings import death, remove_litter
from qgis_rsinpaint.worker.errors import Cancelled, WorkerError
from qgis_rsinpaint.worker.pool import Pool


@pytest.fixture
def client(fake_command):
    running = Client(fake_command)
    yield running
    running.close()
    assert not any(pid == running.pid for pid, _ in children()), "left a child or a zombie"


@pytest.fixture
def pool():
    lender = Pool()
    yield lender
    lender.shutdown()
    assert children() == []


def job(tmp_path, fake):
    scene = tmp_path / "scene.tif"
    scene.write_bytes(b"pixels")
    return {"fake": fake, "scene": [str(scene)], "output": str(tmp_path / "out.tif")}


def test_a_call_gives_progress_and_a_result(client, tmp_path):
    events = []
    result = client.call("fill", job(tmp_path, "ok"), events.append)
    assert result["filled"] == 10 and (tmp_path / "out.tif").exists()
    fractions = [event["fraction"] for event in events if event["type"] == "progress"]
    assert fractions and fractions == sorted(fractions)


def test_one_worker_takes_several_calls(client, tmp_path):
    pids = {client.call("fill", job(tmp_path, "ok"))["pid"] for _ in range(3)}
    assert pids == {client.pid}


def test_a_refusal_comes_in_words_and_the_worker_lives(client, tmp_path):
    with pytest.raises(WorkerError, match="is a palette raster. Pass one with measured values") as caught:
        client.call("fill", job(tmp_path, "fail"))
    assert caught.value.code == "unsupported_raster" and client.alive
    assert client.call("fill", job(tmp_path, "ok"))["filled"] == 10


def test_an_unknown_method_is_refused(client):
    with pytest.raises(WorkerError, match="unknown method `dance`"):
        client.call("dance", {})


@pytest.mark.parametrize("fake", ["noise", "giant"])
def test_noise_and_endless_lines_do_no_harm(client, tmp_path, fake):
    assert client.call("fill", job(tmp_path, fake))["filled"] == 10
    assert client.call("fill", job(tmp_path, "ok"))["filled"] == 10


@pytest.mark.parametrize(
    ("fake", "words"),
    [
        ("abort", "crashed .status -6"),
        ("oom", "probably because memory ran out"),
        ("half", "ended unexpectedly .status 3"),
    ],
)
def test_a_death_is_told_apart_and_leaves_no_litter(client, tmp_path, fake, words):
    with pytest.raises(WorkerError, match=words) as caught:
        client.call("fill", job(tmp_path, fake), outputs=[str(tmp_path / "out.tif")])
    assert caught.value.code == "died" and not client.alive
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.tif"]


def test_last_words_of_a_crash_are_kept(client, tmp_path):
    with pytest.raises(WorkerError) as caught:
        client.call("fill", job(tmp_path, "abort"))
    assert "invented" in caught.value.trace


@pytest.mark.parametrize("fake", ["slow", "hang"])
def test_a_cancel_ends_the_call_within_a_second(client, tmp_path, fake):
    asked = []

    def is_cancelled():
        asked.append(time.monotonic())
        return len(asked) > 3

    with pytest.raises(Cancelled):
        client.call("fill", job(tmp_path, fake), is_cancelled=is_cancelled, outputs=[str(tmp_path / "out.tif")])
    assert time.monotonic() - asked[3] < 1.0  # a bound of the protocol: poll and grace
    assert GRACE_SECONDS + 2 * POLL_SECONDS < 1.0
    assert client.alive == (fake == "slow"), "one that answers lives on, one that hangs is killed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scene.tif"]


def test_a_fault_of_the_listener_does_not_leave_a_worker_in_mid_call(client, tmp_path):
    def listen(event):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client.call("fill", job(tmp_path, "slow"), listen, outputs=[str(tmp_path / "out.tif")])
    assert not client.alive and not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("greeting", "code", "words"),
    [
        ("no_hello", "no_hello", "did not answer within"),
        ("wrong_protocol", "unsupported_protocol", "protocol 99"),
        ("no_module", "not_installed", "has no RS Inpaint backend in it"),
    ],
)
def test_a_bad_start_is_told_apart(fake_command, monkeypatch, greeting, code, words):
    monkeypatch.setenv("RSINPAINT_FAKE", greeting)
    with pytest.raises(WorkerError, match=words) as caught:
        Client(fake_command, hello_seconds=1.0 if greeting == "no_hello" else 10.0)
    assert caught.value.code == code and children() == []


def test_a_slow_greeting_is_waited_for(fake_command, monkeypatch):
    monkeypatch.setenv("RSINPAINT_FAKE", "slow_hello")
    waits = []
    client = Client(fake_command, on_wait=lambda: waits.append(1))
    assert client.hello["version"] == "0.0.fake" and waits
    client.close()


def test_a_start_can_be_cancelled(fake_command, monkeypatch):
    monkeypatch.setenv("RSINPAINT_FAKE", "no_hello")
    with pytest.raises(Cancelled):
        Client(fake_command, is_cancelled=lambda: True)
    assert children() == []


def test_a_program_that_is_none_is_named():
    with pytest.raises(WorkerError, match="`/nowhere/python` does not start") as caught:
        Client(["/nowhere/python"])
    assert caught.value.code == "not_installed"


def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from qgis_rsinpaint.worker.client import Client\n"
        f"client = Client([sys.executable, '-I', {str(FAKE_WORKER)!r}])\n"
        "print(client.pid, flush=True)\n"
        f"client.call('fill', {job(tmp_path, 'hang')!r})\n"
    )
    parent = subprocess.Popen([sys.executable, "-I", "-c", program], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while _exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _exists(pid)


def _exists(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"  # nobody may be there to reap it in a container
    except FileNotFoundError:
        return False


def test_the_pool_reuses_a_warm_worker_and_replaces_a_dead_one(pool, fake_command, tmp_path):
    def fill(fake):
        return pool.call(fake_command, "fill", job(tmp_path, fake), keep_seconds=60)["pid"]

    first = fill("ok")
    assert fill("ok") == first and pool.pids() == [first]
    with pytest.raises(WorkerError, match="crashed"):
        fill("abort")  # row 3 of a batch
    assert fill("ok") != first  # row 4 knows nothing of it
    assert len(children()) == 1


def test_a_worker_that_died_in_its_sleep_is_replaced(pool, fake_command, tmp_path):
    first = pool.call(fake_command, "fill", job(tmp_path, "ok"), keep_seconds=60)["pid"]
    os.kill(first, 9)
    time.sleep(0.2)
    assert pool.call(fake_command, "fill", job(tmp_path, "ok"), keep_seconds=60)["pid"] != first


def test_a_pool_that_keeps_nothing_leaves_no_child(pool, fake_command, tmp_path):
    pool.call(fake_command, "fill", job(tmp_path, "ok"), keep_seconds=0)
    assert children() == []


def test_a_warm_worker_is_retired(pool, fake_command, tmp_path):
    pool.call(fake_command, "fill", job(tmp_path, "ok"), keep_seconds=0.2)
    deadline = time.monotonic() + 5
    while children() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert children() == []


def test_a_call_inside_a_call_is_served_and_a_third_is_refused(pool, fake_command, tmp_path):
    """As in the old batch dialog, where events of the first run start a second one in the same thread."""
    seen = []

    def second(event):
        if seen == ["first"]:
            with pytest.raises(WorkerError, match="other repairs are under way"):
                pool.call(fake_command, "fill", job(tmp_path, "ok"), may_wait=False)
            seen.append("refused")

    def first(event):
        if not seen:
            seen.append("first")
            assert pool.call(fake_command, "fill", job(tmp_path, "ok"), second)["filled"] == 10

    assert pool.call(fake_command, "fill", job(tmp_path, "ok"), first)["filled"] == 10
    assert seen == ["first", "refused"]


def test_shutdown_ends_calls_under_way(fake_command, tmp_path):
    pool, endings = Pool(), []

    def run():
        try:
            pool.call(fake_command, "fill", job(tmp_path, "hang"), outputs=[str(tmp_path / "out.tif")])
        except WorkerError as problem:
            endings.append(str(problem))

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 5
    while not list(tmp_path.glob(".*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    pool.shutdown()
    thread.join(5)
    assert endings == ["The backend was stopped, because the plugin is being unloaded"]
    assert children() == [] and not list(tmp_path.glob(".*"))


def test_faults_leave_neither_threads_nor_open_files(fake_command, tmp_path, monkeypatch):
    def once():
        pool = Pool()
        pool.call(fake_command, "fill", job(tmp_path, "ok"), keep_seconds=60)
        with pytest.raises(WorkerError):
            pool.call(fake_command, "fill", job(tmp_path, "abort"), keep_seconds=60)
        pool.call(fake_command, "fill", job(tmp_path, "ok"), keep_seconds=60)
        pool.shutdown()

    once()
    before = (threading.active_count(), len(os.listdir("/proc/self/fd")))
    for _ in range(5):
        once()
    deadline = time.monotonic() + 5
    while threading.active_count() > before[0] and time.monotonic() < deadline:
        time.sleep(0.02)  # a cancelled timer's thread ends a moment later
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


def test_only_the_litter_of_that_worker_is_removed(tmp_path):
    names = [
        ".out.tif.rsinpaint-7-0bbfd16a.part.tif",
        ".out.tif.rsinpaint-77.part.tif",
        ".other.tif.rsinpaint-7.part.tif",
        "out.tif",
    ]
    for name in names:
        (tmp_path / name).touch()
    remove_litter([str(tmp_path / "out.tif")], 7)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_every_kind_of_death_says_what_to_do():
    for status in (0, 1, -9, 137, -11, -6, 0xC0000005, 0xC0000017):
        assert death(status, "", "python").hint
