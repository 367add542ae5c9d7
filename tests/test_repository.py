"""What the repository and the plugin's zip must be: sizes, cards, metadata, lists that match their folders."""

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rsinpaint.classical import GUESSES
from rsinpaint.models import registry

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_sizes_stay_below_their_limits():
    sizes = {path: path.stat().st_size for path in tracked()}
    assert max(sizes.values()) < 10 * MIB
    assert sum(sizes.values()) < 40 * MIB
    assert sum(size for path, size in sizes.items() if path.suffix == ".safetensors") < 24 * MIB


def test_the_bundled_network_is_small():
    assert (registry.BUNDLED / "anyband-s.safetensors").stat().st_size <= 3 * MIB


def test_no_pickle_is_tracked_and_weights_have_cards():
    for path in tracked():
        assert path.suffix not in (".pth", ".pt", ".pkl", ".pickle", ".ckpt"), path
        if path.suffix == ".safetensors":
            assert path.with_suffix(".json").is_file(), path


def test_every_bundled_card_is_valid_and_its_weights_are_the_ones_that_it_speaks_of():
    cards, problems = registry.survey()
    assert not problems
    assert {path.stem for path in registry.BUNDLED.glob("*.json")} <= {card.id for card in cards}
    for card in cards:
        registry.verify(card)
        assert card.first_guess is None or card.first_guess in GUESSES


def test_metadata_has_every_key_that_the_plugin_site_requires():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    general = parser["general"]
    required = "name description version qgisMinimumVersion author email about tracker repository homepage license"
    for key in required.split():
        assert general[key].strip(), key
    assert general["hasProcessingProvider"] == "yes"
    assert "/" not in general["author"]
    assert (ROOT / "qgis_rsinpaint" / general["icon"]).is_file()
    assert (ROOT / "qgis_rsinpaint" / "metadata.txt").read_bytes() == (ROOT / "metadata.txt").read_bytes()


def test_the_plugin_s_zip_is_what_the_plugin_site_accepts(tmp_path):
    zips = [tmp_path / "one.zip", tmp_path / "two.zip"]
    for path in zips:
        subprocess.run([sys.executable, ROOT / "scripts" / "package.py", path], check=True, capture_output=True)
    assert zips[0].read_bytes() == zips[1].read_bytes()
    assert zips[0].stat().st_size < 20 * MIB
    with zipfile.ZipFile(zips[0]) as archive:
        names = archive.namelist()
        assert archive.testzip() is None
    assert {name.split("/")[0] for name in names} == {"qgis_rsinpaint"}
    assert {"qgis_rsinpaint/LICENSE", "qgis_rsinpaint/metadata.txt", "qgis_rsinpaint/__init__.py"} <= set(names)
    forbidden = (".pyc", ".so", ".dll", ".exe", ".bat", ".sh", ".safetensors")
    assert not [name for name in names if name.endswith(forbidden) or "__pycache__" in name or "/." in name]


@pytest.mark.parametrize("folder", ["algorithms"])
def test_every_algorithm_is_listed_and_has_a_page(folder):
    listing = (ROOT / "qgis_rsinpaint" / "provider.py").read_text(encoding="utf-8")
    for path in (ROOT / "qgis_rsinpaint" / folder).glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "(FillAlgorithm)" not in text:
            continue
        name = path.stem.replace("_", "")
        assert f".{path.stem} import" in listing, f"{path.name} is not in the provider's list"
        assert (ROOT / "docs" / f"{name}.md").is_file()


def test_the_readme_names_the_two_commands_and_its_pictures_are_there():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make demo" in text and "make test" in text
    for name in ("before", "after"):
        assert (ROOT / "resources" / "pictures" / f"{name}.jpg").is_file() and f"pictures/{name}.jpg" in text
