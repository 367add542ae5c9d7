"""The provider, its algorithms as declared, and the plugin's life cycle."""

import configparser
import json
import os
import subprocess
import sys

import pytest
from fakes import ROOT, Desk
from qgis.core import QgsApplication, QgsProcessingParameterDefinition, QgsSettings

from qgis_rsinpaint import classFactory, settings
from qgis_rsinpaint.algorithms.models import BUNDLED, model_ids, models_folder
from qgis_rsinpaint.provider import ALGORITHMS
from qgis_rsinpaint.worker.errors import WorkerError
from qgis_rsinpaint.worker.locate import locate

PLUGIN = ROOT / "qgis_rsinpaint"


def algorithm(name="fillslcoffgaps"):
    return QgsApplication.processingRegistry().createAlgorithmById(f"rsinpaint:{name}")


def test_the_provider_is_there_and_gone_again(qgis_app):
    registry = QgsApplication.processingRegistry()
    desk = Desk()
    loaded = classFactory(desk)
    loaded.initProcessing()
    loaded.initGui()
    assert registry.providerById("rsinpaint").algorithm("fillslcoffgaps") is not None
    assert len(desk.pages) == 1 and len(desk.entries) == 2
    loaded.unload()
    assert registry.providerById("rsinpaint") is None
    assert desk.pages == [] and desk.entries == []


def test_headless_the_plugin_needs_no_window(qgis_app):
    loaded = classFactory(None)
    loaded.initProcessing()
    assert algorithm() is not None
    assert loaded.provider.keep_seconds() == 0
    loaded.unload()


def test_the_desktop_keeps_a_worker_as_set(plugin):
    assert plugin.provider.keep_seconds() == 60
    QgsSettings().setValue(settings.KEEP_SECONDS, "7")  # ini files give text
    assert plugin.provider.keep_seconds() == 7
    QgsSettings().remove(settings.KEEP_SECONDS)


def test_each_file_of_an_algorithm_is_in_the_list():
    shared = {"__init__", "base", "conversation", "models", "old_batch", "remaining", "sources", "styling"}
    files = {path.stem for path in (PLUGIN / "algorithms").glob("*.py")} - shared
    assert files == {kind.__module__.rsplit(".", 1)[1] for kind in ALGORITHMS}


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_every_parameter_has_help_and_is_on_the_help_page(plugin, kind):
    declared = algorithm(kind().name())
    page = (ROOT / "docs" / f"{declared.name()}.md").read_text(encoding="utf-8")
    for parameter in declared.parameterDefinitions():
        assert parameter.help(), f"{parameter.name()} has no help"
        assert f"`{parameter.name()}`" in page and f"**{parameter.description()}**" in page, parameter.name()
    for output in declared.outputDefinitions():
        assert f"`{output.name()}`" in page
    assert "<h3>" in declared.shortHelpString() and "`" not in declared.shortHelpString()
    assert os.path.exists(declared.helpUrl().removeprefix("file://"))
    assert declared.shortDescription() and declared.tags() and not declared.icon().isNull()


def test_the_parameters_are_those_that_scripts_rely_on(plugin):
    kept = algorithm()  # it owns the definitions
    names = [parameter.name() for parameter in kept.parameterDefinitions()]
    assert names == ["INPUT", "MASK", "BANDS", "MODEL", "DEVICE", "OUTPUT", "OUTPUT_MASK", "OUTPUT_UNCERTAINTY"]
    declared = {parameter.name(): parameter for parameter in kept.parameterDefinitions()}
    advanced = QgsProcessingParameterDefinition.Flag.FlagAdvanced
    assert [name for name in names if declared[name].flags() & advanced] == ["DEVICE"]
    assert [output.name() for output in kept.outputDefinitions()][-3:] == [
        "FILLED_PIXELS",
        "UNFILLED_PIXELS",
        "REPORT",
    ]
    for name in ("OUTPUT_MASK", "OUTPUT_UNCERTAINTY"):
        assert not declared[name].createByDefault()
    for name in ("MODEL", "DEVICE"):
        assert declared[name].usesStaticStrings() and declared[name].options()[0] == "auto"


def test_models_of_the_user_can_be_chosen(plugin, tmp_path, monkeypatch):
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path))
    cards = {"mine": {"id": "mine", "tasks": ["slcoff"]}, "sea": {"id": "sea", "tasks": ["ocean"]}, "list": [1]}
    for name, card in cards.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(card))
    (tmp_path / "broken.json").write_text("{")
    assert algorithm().parameterDefinition("MODEL").options() == ["auto", *BUNDLED, "mine"]
    assert model_ids("ocean", tmp_path)[-1] == "sea"


def test_the_models_folder_is_the_backends(tmp_path):
    python = locate().python
    script = "from rsinpaint.models import registry as r; print(r.user_folder())"
    for environ in ({"RSINPAINT_MODELS": str(tmp_path)}, {"XDG_DATA_HOME": str(tmp_path), "HOME": "/nowhere"}):
        run = subprocess.run([python, "-I", "-c", script], env=environ, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == str(models_folder(environ))


def test_the_backend_is_found_in_order(tmp_path, monkeypatch):
    mine = tmp_path / "python"
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    assert locate(str(mine), {"RSINPAINT_PYTHON": "/x"}).origin == "setting"
    assert locate("", {"RSINPAINT_PYTHON": str(mine)}).origin == "environment"
    copy = tmp_path / "repository"
    (copy / ".venv" / "bin").mkdir(parents=True)
    (copy / "backend").mkdir()
    (copy / "qgis_rsinpaint").mkdir()
    (copy / ".venv" / "bin" / "python").symlink_to(mine)
    (tmp_path / "linked").symlink_to(copy / "qgis_rsinpaint")
    found = locate("", {}, str(tmp_path / "linked" / "plugin.py"))
    assert (found.origin, found.python) == ("repository", str(copy / ".venv" / "bin" / "python"))
    assert locate(str(copy / ".venv"), {}).python.endswith("bin/python"), "a venv's folder will do"


@pytest.mark.parametrize(
    ("setting", "environ", "words"),
    [
        ("/nowhere/python", {}, "in the options, `/nowhere/python`"),
        ("", {"RSINPAINT_PYTHON": "/nowhere"}, "RSINPAINT_PYTHON"),
        ("", {}, "not installed"),
    ],
)
def test_a_missing_backend_is_said_in_words(tmp_path, setting, environ, words):
    with pytest.raises(WorkerError, match=words) as caught:
        locate(setting, environ, str(tmp_path / "plugin.py"))
    assert caught.value.code == "not_installed" and "Settings > Options > RS Inpaint" in str(caught.value)


def test_a_missing_backend_is_said_in_the_toolbox(plugin, monkeypatch):
    monkeypatch.setenv("RSINPAINT_PYTHON", "/nowhere/python")
    assert "/nowhere/python" in plugin.provider.warningMessage()
    monkeypatch.delenv("RSINPAINT_PYTHON")
    assert plugin.provider.warningMessage() == ""


def test_the_metadata_has_what_the_plugin_site_asks_for():
    read = configparser.ConfigParser()
    read.read(PLUGIN / "metadata.txt", encoding="utf-8")
    general = read["general"]
    required = "name description version qgisMinimumVersion author email about tracker repository homepage"
    for key in required.split():
        assert general[key].strip(), key
    assert general["hasProcessingProvider"] == "yes" and general["qgisMaximumVersion"] == "4.99"
    assert (PLUGIN / general["icon"]).exists()
    assert (PLUGIN / "metadata.txt").is_symlink() and not os.readlink(PLUGIN / "metadata.txt").startswith("/")


def test_every_module_imports_without_a_warning():
    """Under `-W error` and without a window; syntax that a newer Python dislikes shows here first."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted(PLUGIN.rglob("*.py"))
        if path.name != "__init__.py"
    ]
    # QGIS's own modules warn about themselves: they come first, unfiltered.
    script = "import sys, warnings, qgis.core, qgis.gui, qgis.utils; warnings.simplefilter('error')\n"
    script += f"sys.path.insert(0, {str(ROOT)!r})\n" + "\n".join(f"import {name}" for name in names)
    run = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_ten_reloads_leave_nothing_behind(fake_python, tmp_path):
    """With QGIS's own reload, which throws the plugin's modules away, and a run in between."""
    from scenes import striped_scene

    source, _ = striped_scene(tmp_path / "scene.tif")
    run = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "plugin" / "reload_plugin.py"), source, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
    )
    assert run.returncode == 0, run.stdout + run.stderr
    counts = json.loads(run.stdout.strip().splitlines()[-1])
    assert counts["warm"] == 1, "the test has to have a worker to lose"
    assert counts["after"] == counts["before"]
    assert counts["after"]["children"] == 0 and counts["after"]["providers"] == 0
