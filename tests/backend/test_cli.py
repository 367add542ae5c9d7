"""The command line: exit codes, what goes to which stream, and that light commands stay light."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

import fill_stand_in as stand_in
from made_models import weights_of
from rsinpaint import cli as command_line
from rsinpaint import options
from rsinpaint.console import ProgressView, fill_text
from rsinpaint.models import fetch as fetching
from rsinpaint.models import registry

ENDS = ("json", "safetensors")
STAND_IN = [sys.executable, str(Path(stand_in.__file__)), "cli"]


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a command in this process against the stand-in: (exit code, stdout, stderr)."""
    monkeypatch.setitem(sys.modules, "rsinpaint.fill", stand_in.install())

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            command_line.main(list(arguments))
        return (end.value.code, *capfd.readouterr())

    return call


def test_help_and_models_list_import_nothing_heavy():
    code = """
import sys
from rsinpaint.cli import main
light = ["--help", "fill --help", "models list", "models verify", "models import --help", "models fetch --help"]
for arguments in map(str.split, light):
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, end.code
heavy = {"torch", "numpy", "scipy", "rasterio", "safetensors", "gdown", "requests"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, timeout=20)


def test_each_command_and_option_has_help():
    commands = [*command_line.cli.commands.values(), *command_line.models.commands.values()]
    for command in commands:
        assert command.help, command.name
        silent = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
        assert not silent, command.name


def test_fill_says_what_it_did(run):
    code, out, _err = run("fill", "a.tif", "-o", "out.tif", "--bands", "1-2", "--model", "harmonic")
    assert code == 0
    assert out.startswith("Filled 18 pixels in 2 bands of out.tif with harmonic on cpu in 1.5 s, 2 left open")
    assert "left open\n" in out and "  1  band 1 " in out and "note: a note" in out


def test_json_is_one_object_whatever_libraries_print(run):
    code, out, err = run("fill", "a.tif", "b.tif", "-o", "noise.tif", "--json")
    report = json.loads(out)
    assert code == 0 and report["filled"] == 9 and report["left_open"] == 1 and report["bands"][0]["holes"] == 10
    assert "python noise" in err and "C noise" in err


def test_quiet_says_nothing(run):
    assert run("fill", "a.tif", "-o", "out.tif", "--quiet") == (0, "", "")


def test_options_become_the_fields_of_a_job(run, monkeypatch):
    seen = []
    monkeypatch.setattr(
        sys.modules["rsinpaint.fill"], "fill", lambda job, *_: seen.append(job) or stand_in.fill(job, *_)
    )
    options_given = (
        "fill a.tif b.tif -o out.tif --task lines --mask m.tif --mask-values 1,2-5 --qa q.tif --bands 2,4-5 "
        "--memory 2G --nodata 0,none,nan --out-mask om.tif "
        "--out-uncertainty ou.tif --format cog --device cpu --threads 2 --overwrite --mask-layer l"
    )
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert run(*options_given.split())[0] == 0
    (job,) = seen
    assert job.scene == ("a.tif", "b.tif") and job.bands == (2, 4, 5) and job.memory_bytes == 2 << 30
    assert job.nodata[:2] == (0.0, None) and job.nodata[2] != job.nodata[2]
    assert (job.format, job.threads) == ("cog", 2)
    assert job.overwrite and job.mask_values == "1,2-5" and job.mask_layer == "l"
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_a_job_that_fails_exits_with_1_and_one_sentence(run):
    code, out, err = run("fill", "a.tif", "-o", "fail.tif")
    assert (code, out) == (1, "")
    assert err == "Error: `scene.tif` is not there, expected a raster. Look again\n"


def test_an_unexpected_fault_is_a_sentence_and_debug_shows_where(run):
    code, out, err = run("fill", "a.tif", "-o", "bug.tif")
    assert (code, out) == (1, "") and err == "Error: Unexpected RuntimeError: an index is off; `--debug` shows where\n"
    code, out, err = run("fill", "a.tif", "-o", "bug.tif", "--debug")
    assert code == 1 and "Traceback" in err and "fill_stand_in.py" in err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("fill a.tif", "--output"),
        ("fill -o out.tif", "SCENE"),
        ("fill a.tif -o out.tif --tasks slcoff", "--tasks"),
        ("fill a.tif -o out.tif --task snow", "snow"),
        ("fill a.tif -o out.tif --memory lots", "lots"),
        ("fill a.tif -o out.tif --memory 1M", "256 MiB"),
        ("fill a.tif -o out.tif --bands 0", "`0`"),
        ("fill a.tif -o out.tif --bands red", "red"),
        ("fill a.tif -o out.tif --nodata zero", "zero"),
        ("fill a.tif -o out.tif --threads 0", "0"),
        ("paint a.tif", "paint"),
        ("mask a.tif -o m.tif", "--method"),
        ("models import w.pth", "--id"),
        ("models import --id mine", "FILE"),
        ("models import w.pth --id Mine_1", "`Mine_1` cannot be a model's name"),
        ("models import w.pth --id ../mine", "`../mine` cannot be"),
        ("models import w.pth --id mine --as dcgan", "'dcgan' is not one of 'cmun', 'ecea'"),
    ],
)
def test_wrong_usage_exits_with_2_and_names_the_thing(run, arguments, named):
    code, out, err = run(*arguments.split())
    assert (code, out) == (2, "") and named in err and "Traceback" not in err


def test_mask_and_simulate_report(run):
    code, out, _ = run("mask", "a.tif", "-o", "m.tif", "--method", "nodata")
    assert code == 0 and out.startswith("Wrote m.tif\n") and "pixels: 12,345" in out
    options_given = "--mask-out m.tif --kind clouds --amount 0.3 --seed 4 --json"
    code, out, _ = run("simulate", "a.tif", "-o", "d.tif", *options_given.split())
    assert code == 0 and json.loads(out)["percent"] == 0.3


def test_models_info_of_an_unknown_model_exits_with_1(run):
    code, out, err = run("models", "info", "harmonics")
    assert (code, out) == (1, "") and "Did you mean `harmonic`" in err


def test_models_can_be_listed_described_and_verified(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path))
    listed = json.loads(run("models", "list", "--json")[1])
    assert {"harmonic", "tension-spline"} <= {one["id"] for one in listed}
    assert "local-ridge" not in run("models", "list", "--task", "ocean")[1]
    assert "limits" in run("models", "info", "harmonic")[1]
    assert json.loads(run("models", "info", "harmonic", "--json")[1])["id"] == "harmonic"
    assert run("models", "verify", "harmonic")[:2] == (0, "harmonic: ok, has no weights\n")
    (tmp_path / "broken.json").write_text("{")
    code, _, err = run("models", "verify")
    assert code == 1 and "broken.json" in err
    code, out, err = run("models", "list")
    assert code == 0 and "harmonic" in out and "warning:" in err and "broken.json" in err


def test_models_come_and_go(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path / "models"))
    torch.save(weights_of(), tmp_path / "gen.pth")
    code, out, err = run("models", "import", str(tmp_path / "gen.pth"), "--as", "spa_gan", "--id", "mine")
    assert (code, err) == (0, "") and out.startswith("Imported gen.pth as `mine`\n") and "licence: " in out
    code, out, _ = run("models", "import", str(tmp_path / "gen.pth"), "--id", "yours", "--json")
    assert code == 0 and json.loads(out)["id"] == "yours"
    assert run("models", "fetch", "mine")[:2] == (0, "`mine` is there already, and whole: nothing was downloaded\n")
    assert json.loads(run("models", "fetch", "mine", "--json")[1])["downloaded_sha256"] == ""
    code, out, _ = run("models", "remove", "mine")
    assert code == 0 and out == "".join(f"Removed {tmp_path / 'models' / 'mine'}.{end}\n" for end in ENDS)
    removed = [str(tmp_path / "models" / f"yours.{end}") for end in ENDS]
    assert json.loads(run("models", "remove", "yours", "--json")[1]) == {"id": "yours", "removed": removed}


def test_a_fetch_shows_the_hash_and_where_it_is_pinned(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path))
    card = registry.find("anyband-s")
    monkeypatch.setattr(fetching, "fetch", lambda name: fetching.Fetched(card, "a1" * 32, pinned=True))
    code, out, _ = run("models", "fetch", "some")
    assert code == 0 and "a1" * 32 in out and f"pinned in {tmp_path / 'some.sha256'}" in out
    assert json.loads(run("models", "fetch", "some", "--json")[1])["pinned"] is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("import none.pth --id mine", "`none.pth` cannot be read"),
        ("import none.pth --id harmonic", "comes with the program"),
        ("fetch harmonics", "Did you mean `harmonic`"),
        ("fetch ecea", "gdown is not installed"),
        ("remove harmonic", "comes with the program and stays"),
        ("remove mine", "There is no model `mine`"),
    ],
)
def test_models_that_cannot_come_or_go_exit_with_1_and_a_sentence(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path / "models"))
    monkeypatch.setitem(sys.modules, "gdown", None)
    code, out, err = run("models", *arguments.split())
    assert (code, out) == (1, "") and err.startswith("Error: ") and said in err
    assert not any((tmp_path / "models").glob("*"))


def test_what_can_be_fetched_is_listed_until_it_is_there(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path))
    assert "can be had with `rsinpaint models fetch ecea` (503 MB)" in run("models", "list")[1]
    (tmp_path / "ecea.json").write_text("{")
    assert "can be had" not in run("models", "list")[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_exits_with_130_and_leaves_nothing(tmp_path, number):
    part = tmp_path / "slow.part"
    job = subprocess.Popen(
        [*STAND_IN, "fill", "a.tif", "-o", str(tmp_path / "slow.tif")],
        env=os.environ | {"STAND_IN_PART": str(part)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stderr.readline() == "working\n"
    job.send_signal(number)
    out, err = job.communicate(timeout=10)
    assert (job.returncode, out, err) == (130, "", "Cancelled, nothing was written\n")
    assert not list(tmp_path.iterdir())


def test_a_reader_that_goes_away_is_no_crash():
    code = "from rsinpaint.cli import main; main(['models', 'list', '--json'])"
    job = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    job.stdout.close()
    assert "Traceback" not in job.stderr.read()
    job.wait(10)
    job.stderr.close()


class Terminal:
    """Collects what is written to it."""

    def __init__(self, terminal):
        self.text, self.terminal = "", terminal

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_terminal_sees_a_bar_with_percent_rate_and_time_left():
    stream = Terminal(True)
    with ProgressView(quiet=False, stream=stream) as view:
        view(stand_in.Progress("fill", 0.0, 0, 10_000_000))
        time.sleep(0.6)
        view(stand_in.Progress("fill", 0.25, 2_500_000, 10_000_000))
        time.sleep(0.3)
        view(stand_in.Progress("fill", 0.5, 5_000_000, 10_000_000))
    assert " 50 %" in stream.text and "Mpx/s" in stream.text and " left" in stream.text


def test_a_log_file_sees_few_plain_lines(monkeypatch):
    clock = iter(float(second) for second in range(100))
    monkeypatch.setattr("rsinpaint.console.time.monotonic", lambda: next(clock))
    stream = Terminal(False)
    with ProgressView(quiet=False, stream=stream) as view:
        for step in range(21):
            view(stand_in.Progress("fill", step / 20, step * 1_000_000, 20_000_000))
    lines = stream.text.splitlines()
    assert 3 <= len(lines) <= 5 and lines[1].startswith("fill ") and "1.00 Mpx/s" in lines[1] and "s left" in lines[1]
    assert "\r" not in stream.text


def test_progress_never_runs_backwards():
    view = ProgressView(quiet=True)
    for fraction in (0.5, 0.2, 0.7):
        view(stand_in.Progress("fill", fraction, 0, 1))
    assert view.fraction == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("text", "expected"), [("2G", 2 << 30), ("1.5GiB", 3 << 29), ("800m", 800 << 20), ("300000000", 300000000)]
)
def test_memory_is_read_with_its_unit(text, expected):
    assert options.memory_bytes(None, None, text) == expected


def test_a_single_band_needs_no_table():
    job = type("J", (), {"output": "o.tif", "bands": None, "task": "slcoff", "model": "harmonic"})
    report = stand_in.fill(job, lambda _: None, lambda: False)
    import msgspec

    text = fill_text(msgspec.to_builtins(report) | {"filled": report.filled, "left_open": report.left_open})
    assert "in 1 band of" in text and "left open\n" not in text


def test_version_is_the_package_s():
    from rsinpaint import __version__

    assert __version__ in CliRunner().invoke(command_line.cli, ["--version"]).output
