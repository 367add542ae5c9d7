"""Faults of the published programs that lie between a network and the file: the pipeline must not have them.

And the pages of the published systems name a test for each fault: the tests are there.
"""

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from jsonargparse import auto_cli
from rasterio.transform import from_origin

from rsinpaint.fill import fill
from rsinpaint.jobs import Report, read_job
from rsinpaint.models import run
from rsinpaint.models.normal import Fill
from training.adversarial_recipe import Recipe
from training.prepare import __main__ as preparing

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "models").glob("*.md"))
SIDE = 384


class Careless:
    """Like a model of ours, but it repaints known pixels, too, with one value between two steps of 8 bits."""

    asked = 0

    def __init__(self, model: run.Model) -> None:
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, *arguments: Any, **options: Any) -> Fill:
        Careless.asked += 1
        answer = self.model(*arguments, **options)
        return replace(answer, values=np.full_like(answer.values, 100.6))


@pytest.fixture(autouse=True)
def careless(monkeypatch) -> None:
    """In the place of whatever model is asked for."""
    load = run.load
    monkeypatch.setattr(run, "load", lambda *arguments, **options: Careless(load(*arguments, **options)))
    monkeypatch.setattr(Careless, "asked", 0)
    monkeypatch.setattr("rsinpaint.fill.WINDOWS", (128,))


@pytest.fixture
def scene(tmp_path) -> tuple[np.ndarray, np.ndarray]:
    """Values and holes of a scene of 8 bits without a nodata value, with true zeros; two of nine windows have holes.

    The holes of a band are its own, and known pixels in the other band.
    """
    values = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE), np.uint8)
    values[:, 40:60, 60:80] = 0
    holes = np.zeros(values.shape, bool)
    holes[0, 10:30, 10:120] = True
    holes[1, 300:340, 300:310] = True
    profile = {"driver": "GTiff", "height": SIDE, "width": SIDE, "count": 2, "dtype": "uint8"}
    profile |= {"crs": "EPSG:32633", "transform": from_origin(500000, 5200000, 30, 30)}
    for name, planes in (("scene", values), ("mask", holes.astype(np.uint8))):
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as file:
            file.write(planes)
    return values, holes


def repaired(folder: Path) -> tuple[np.ndarray, Report]:
    job = {"scene": str(folder / "scene.tif"), "mask": str(folder / "mask.tif"), "output": str(folder / "out.tif")}
    report = fill(read_job(job | {"model": "harmonic"}), lambda progress: None, lambda: False)
    with rasterio.open(folder / "out.tif") as file:
        return file.read(), report


def test_a_network_that_repaints_everything_changes_holes_alone(scene, tmp_path):
    """Published faults ECEA 6, EdgeLearning 6, the Sentinel-3 model's 4: raw network pixels everywhere."""
    values, holes = scene
    out, report = repaired(tmp_path)
    np.testing.assert_array_equal(out[~holes], values[~holes])
    assert (out[holes] != values[holes]).mean() > 0.9
    assert [band.filled for band in report.bands] == holes.sum((1, 2)).tolist()


def test_answers_are_rounded_and_not_cut_off(scene, tmp_path):
    """Published fault SpA-GAN 7."""
    _, holes = scene
    out, _ = repaired(tmp_path)
    assert (out[holes] == 101).all()


def test_windows_without_holes_are_not_given_to_the_network(scene, tmp_path):
    """Published fault ECEA 13: patches whose mask was empty were replaced, too."""
    repaired(tmp_path)
    assert Careless.asked == 2


def test_true_zeros_are_known_where_the_file_does_not_call_them_empty(scene, tmp_path):
    """Published fault ECEA 10: zero stood for missing. And 7: in one band, but not in the others."""
    out, _ = repaired(tmp_path)
    assert (out[:, 40:60, 60:80] == 0).all()


def test_the_list_of_pages_has_each_of_them():
    listed = re.findall(r"\]\((\w[\w-]*\.md)\)", (ROOT / "docs" / "models" / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(page.name for page in PAGES if page.name != "README.md")


def test_every_test_that_a_page_names_is_there():
    written = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for page in PAGES:
        named = set(re.findall(r"`(test_\w+)`", page.read_text(encoding="utf-8")))
        assert named <= written, f"{page.name}: {sorted(named - written)}"


def commands() -> list[str]:
    """All indented lines of the pages that start Python."""
    lines = [
        line.strip() for page in PAGES for line in page.read_text(encoding="utf-8").splitlines() if line[:4] == "    "
    ]
    return sorted({line for line in lines if "python -m " in line})


@pytest.mark.parametrize("command", commands())
def test_the_documented_commands_are_understood(command):
    """Published fault ECEA 9: the options of the README could not be parsed."""
    module, *arguments = shlex.split(command.partition("python -m ")[2])
    if module == "pytest":
        assert all((ROOT / one).is_file() for one in arguments if one.startswith("tests/")), command
    elif module == "training.prepare":
        assert preparing.parser().parse_args(arguments).source == arguments[0]
    elif module == "training.train_adversarial":
        given = auto_cli(Recipe, args=arguments, as_positional=False)
        assert str(given.pictures) == arguments[arguments.index("--pictures") + 1]
    else:
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), command


@pytest.mark.parametrize(
    ("page", "faults"), [("ecea", 14), ("edge_learning", 8), ("spa_gan", 8), ("cmun", 8), ("ocean_gated", 8)]
)
def test_the_page_of_a_published_system_says_what_becomes_of_every_fault(page, faults):
    text = (ROOT / "docs" / "models" / f"{page}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|(.+)\|$", text, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, faults + 1))
    assert all(re.search(r"`test_\w+`", row) for _, row in rows)
