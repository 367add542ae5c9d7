"""The plugin's windows under Xvfb: everything is there, nothing is cut off, and a picture is left to look at.

Pictures are saved to tests/gui/out (not in git).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
OUT = HERE / "out"


@pytest.fixture(scope="module")
def shots():
    """What each window showed, by its name."""
    display = ["xvfb-run", "-a", "-s", "-screen 0 1280x1000x24"]
    environment = {**os.environ, "QT_QPA_PLATFORM": "xcb"}
    command = [*display, sys.executable, str(HERE / "take_screenshots.py"), str(OUT)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.strip().splitlines()[-1])


def test_no_picture_is_blank(shots):
    for name, shot in shots.items():
        assert Path(shot["path"]).stat().st_size > 5000, name
        assert shot["colours"] > 50, f"{name} shows next to nothing"


def test_no_label_and_no_button_is_cut_off(shots):
    cut = [(name, text) for name, shot in shots.items() for text in shot["texts"] if text["cut"]]
    assert cut == []


def test_the_dialog_has_every_parameter(shots):
    seen = {text["text"] for text in shots["algorithm"]["texts"]}
    assert seen >= {
        "Scene to be repaired",
        "Mask or quality band [optional]",
        "Bands to be repaired (all if none is chosen) [optional]",
        "Model",
        "Device",
        "Repaired scene",
        "Filled pixels [optional]",
        "Expected error [optional]",
        "Run",
    }
    assert shots["algorithm"]["title"] == "Fill SLC-off gaps"


def test_the_dialog_of_masked_areas_takes_a_raster_or_polygons(shots):
    seen = {text["text"] for text in shots["masked_areas"]["texts"]}
    assert seen >= {"Scene to be repaired", "Mask (raster) [optional]", "Mask (polygons) [optional]", "Model", "Run"}
    assert shots["masked_areas"]["title"] == "Fill masked areas"


def test_the_log_says_what_was_done(shots):
    assert "10 pixels filled, 0 left open (model fake, cpu" in shots["log"]["log"]


def test_the_options_page_says_which_python_it_uses(shots):
    seen = [text["text"] for text in shots["options"]["texts"]]
    assert {"Python of the backend", "Test", "Keep the backend ready for"} <= set(seen)
    assert any(text.startswith("Nothing set: using ") and ".venv" in text for text in seen)


def test_the_test_button_shows_version_and_devices(shots):
    (page,) = shots["options_tested"]["pages"]
    assert page.startswith("RS Inpaint backend ") and "torch 2" in page and "Device cpu" in page


def test_a_wrong_python_is_told_in_words(shots):
    (page,) = shots["options_wrong"]["pages"]
    assert "`/nowhere/python`, is not a program that can be started" in page
