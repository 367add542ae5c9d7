"""The algorithm inside QGIS: as a call, as a task, in the batch dialog; against the fake worker."""

import json
import os
import time
from pathlib import Path

import pytest
from fakes import children
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingModelAlgorithm,
    QgsProcessingModelChildAlgorithm,
    QgsProcessingModelChildParameterSource,
    QgsProcessingModelOutput,
    QgsProcessingModelParameter,
    QgsProcessingOutputLayerDefinition,
    QgsProcessingParameterRasterLayer,
    QgsProject,
    QgsRasterLayer,
)
from scenes import striped_scene

from qgis_rsinpaint.algorithms import styling
from qgis_rsinpaint.algorithms.fill_slcoff_gaps import is_quality_band
from qgis_rsinpaint.algorithms.remaining import RemainingTime, in_words
from qgis_rsinpaint.worker.environment import FOREIGN, clean_environment

ID = "rsinpaint:fillslcoffgaps"


class Listener(QgsProcessingFeedback):
    """Remembers what it is told."""

    def __init__(self, cancel_after=None):
        super().__init__(False)
        self.warnings, self.infos, self.errors, self.texts = [], [], [], []
        self.cancel_after, self.cancelled_at = cancel_after, None

    def pushWarning(self, warning):
        self.warnings.append(warning)

    def pushInfo(self, info):
        self.infos.append(info)

    def reportError(self, error, fatalError=False):
        self.errors.append(error)

    def setProgressText(self, text):
        self.texts.append(text)


def files(folder):
    """Names in a folder, but for the statistics that QGIS itself puts beside any raster it opens."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".aux.xml"))


@pytest.fixture
def run(plugin, fake_python):
    import processing

    def run(source, **parameters):
        feedback = parameters.pop("feedback", None) or Listener()
        parameters.setdefault("OUTPUT", str(Path(source).with_name("filled.tif")))
        return processing.run(ID, {"INPUT": source, **parameters}, feedback=feedback), feedback

    return run


def test_a_scene_goes_through(run, scene):
    result, feedback = run(scene)
    assert (result["FILLED_PIXELS"], result["UNFILLED_PIXELS"]) == (10, 0)
    assert os.path.exists(result["OUTPUT"]) and "OUTPUT_MASK" not in result
    job = json.loads(result["REPORT"])["echo"]
    assert job == {
        "task": "slcoff",
        "scene": [scene],
        "output": result["OUTPUT"],
        "model": "auto",
        "device": "auto",
        "bands": None,
        "overwrite": True,
        "copy_when_whole": True,
    }
    summary = "10 pixels filled, 0 left open (model fake, cpu"
    assert any(info.startswith(summary) for info in feedback.infos)
    assert feedback.texts[0] == "Starting the backend…" and "window 1 of 5" in feedback.texts
    assert feedback.progress() > 0


def test_all_parameters_reach_the_job(run, scene, tmp_path):
    mask, _ = striped_scene(tmp_path / "holes.tif")
    result, _ = run(
        scene,
        MASK=mask,
        BANDS=[2],
        MODEL="harmonic",
        DEVICE="cpu",
        OUTPUT_MASK=str(tmp_path / "mask.tif"),
        OUTPUT_UNCERTAINTY=str(tmp_path / "error.tif"),
    )
    job = json.loads(result["REPORT"])["echo"]
    assert (job["mask"], job["bands"], job["model"], job["device"]) == (mask, [2], "harmonic", "cpu")
    assert os.path.exists(result["OUTPUT_MASK"]) and os.path.exists(result["OUTPUT_UNCERTAINTY"])


def test_a_quality_band_is_told_from_a_mask_by_its_name(run, scene, tmp_path):
    quality, _ = striped_scene(tmp_path / "LE07_QA_PIXEL.tif")
    result, _ = run(scene, MASK=quality)
    job = json.loads(result["REPORT"])["echo"]
    assert job["qa"] == quality and "mask" not in job
    for name in ("a_pixel_qa.tif", "LE7_BQA.TIF", "x_radsat_qa.tif", "Caqueta_QA.tif", "QA_RADSAT.TIF"):
        assert is_quality_band(f"/some/folder/{name}")
    for name in ("LE07_GM_B1.TIF", "qatar.tif", "mask.tif", "aquarius.tif"):
        assert not is_quality_band(f"/QA/{name}")


def test_relative_names_are_made_absolute(run, scene, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result, _ = run("scene.tif", OUTPUT="here.tif")
    job = json.loads(result["REPORT"])["echo"]
    assert (job["scene"], job["output"]) == ([scene], str(tmp_path / "here.tif"))


def test_a_clean_scene_is_a_warning_not_a_failure(run, tmp_path):
    source, _ = striped_scene(tmp_path / "clean.tif", stripes=False)
    result, feedback = run(source)
    assert result["FILLED_PIXELS"] == 0 and os.path.exists(result["OUTPUT"])
    assert len(feedback.warnings) == 1 and "output equals the input" in feedback.warnings[0]


@pytest.mark.parametrize(
    ("word", "words"),
    [("fail", "is a palette raster. Pass one with measured values"), ("abort", "crashed"), ("oom", "memory ran out")],
)
def test_a_failure_is_a_processing_error_in_one_or_two_sentences(run, tmp_path, word, words):
    source, _ = striped_scene(tmp_path / f"{word}.tif")
    with pytest.raises(QgsProcessingException, match=words) as caught:
        run(source)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)
    assert files(tmp_path) == [f"{word}.tif"]
    assert run(striped_scene(tmp_path / "next.tif")[0])[0]["FILLED_PIXELS"] == 10
    assert len(children()) == 1 and children()[0][1] != "Z"


@pytest.mark.parametrize("name", ["OUTPUT", "OUTPUT_MASK", "OUTPUT_UNCERTAINTY"])
def test_no_output_replaces_an_input(run, scene, tmp_path, name):
    (tmp_path / "link.tif").symlink_to(scene)
    before = Path(scene).read_bytes()
    with pytest.raises(QgsProcessingException, match="which is an input of the same run"):
        run(scene, **{name: str(tmp_path / "link.tif")})
    assert Path(scene).read_bytes() == before


def test_two_outputs_cannot_be_one_file(run, scene, tmp_path):
    with pytest.raises(QgsProcessingException, match="which is another output"):
        run(scene, OUTPUT=str(tmp_path / "a.tif"), OUTPUT_MASK=str(tmp_path / "a.tif"))


def test_other_formats_than_geotiff_are_refused(run, scene, tmp_path):
    with pytest.raises(QgsProcessingException, match="img"):
        run(scene, OUTPUT=str(tmp_path / "a.img"))


def test_a_missing_scene_is_named(run, tmp_path):
    with pytest.raises(QgsProcessingException, match="nowhere.tif"):
        run(str(tmp_path / "nowhere.tif"))


def test_a_web_map_is_refused_before_anything_starts(plugin):
    layer = QgsRasterLayer("type=xyz&url=file:///nowhere/%7Bz%7D.png&zmax=1&zmin=0", "a map", "wms")
    kept = QgsApplication.processingRegistry().createAlgorithmById(ID)
    QgsProject.instance().addMapLayer(layer)
    parameters = {"INPUT": layer.id(), "OUTPUT": "TEMPORARY_OUTPUT"}
    context = QgsProcessingContext()
    context.setProject(QgsProject.instance())
    ok, text = kept.checkParameterValues(parameters, context)
    QgsProject.instance().removeMapLayer(layer.id())
    assert not ok and "a map is not a raster file" in text


def test_a_missing_backend_is_said(run, scene, monkeypatch):
    monkeypatch.setenv("RSINPAINT_PYTHON", "/nowhere/python")
    with pytest.raises(QgsProcessingException, match="Settings > Options > RS Inpaint"):
        run(scene)


def as_task(parameters, context, feedback, application):
    """Run in QGIS's task manager, as the dialog does; gives (ok, results, longest gap of the event loop)."""
    kept = QgsApplication.processingRegistry().createAlgorithmById(ID)
    task = QgsProcessingAlgRunnerTask(kept, parameters, context, feedback)
    done, last, gap = [], time.monotonic(), 0.0
    task.executed.connect(lambda ok, results: done.append((ok, results)))
    QgsApplication.taskManager().addTask(task)
    while not done:
        application.processEvents()
        gap, last = max(gap, time.monotonic() - last), time.monotonic()
        at_work = any(text.startswith("window") for text in feedback.texts)
        due = at_work or (feedback.texts and feedback.cancel_after == "at once")
        if feedback.cancel_after and due and not feedback.isCanceled():
            feedback.cancelled_at = time.monotonic()
            feedback.cancel()
        time.sleep(0.005)
        assert last < feedback.deadline, "the task does not end"
    return (*done[0], gap)


def listener(cancel_after=None):
    feedback = Listener(cancel_after)
    feedback.deadline = time.monotonic() + 30
    return feedback


@pytest.mark.parametrize("word", ["slow", "hang"])
def test_a_cancelled_task_ends_within_a_second(plugin, fake_python, qgis_app, tmp_path, word):
    source, _ = striped_scene(tmp_path / f"{word}.tif")
    feedback = listener("first window" if word == "slow" else "at once")
    parameters = {"INPUT": source, "OUTPUT": str(tmp_path / "out.tif")}
    ok, _, _ = as_task(parameters, QgsProcessingContext(), feedback, qgis_app)
    assert not ok and feedback.cancelled_at
    assert time.monotonic() - feedback.cancelled_at < 1.0  # the protocol's bound
    assert files(tmp_path) == [f"{word}.tif"]
    ok, results, _ = as_task(
        {"INPUT": striped_scene(tmp_path / "next.tif")[0], "OUTPUT": str(tmp_path / "out.tif")},
        QgsProcessingContext(),
        listener(),
        qgis_app,
    )
    assert ok and results["FILLED_PIXELS"] == 10


def test_the_plugin_can_be_unloaded_while_a_task_runs(qgis_app, fake_python, tmp_path):
    from fakes import Desk

    from qgis_rsinpaint import classFactory

    plugin = classFactory(Desk())
    plugin.initGui()
    source, _ = striped_scene(tmp_path / "slow.tif")
    feedback = listener()
    kept = QgsApplication.processingRegistry().createAlgorithmById(ID)
    context, done = QgsProcessingContext(), []
    task = QgsProcessingAlgRunnerTask(kept, {"INPUT": source, "OUTPUT": str(tmp_path / "o.tif")}, context, feedback)
    task.executed.connect(lambda ok, results: done.append(ok))
    QgsApplication.taskManager().addTask(task)
    while not any(text.startswith("window") for text in feedback.texts):
        qgis_app.processEvents()
        assert time.monotonic() < feedback.deadline
    plugin.unload()
    while not done:
        qgis_app.processEvents()
        assert time.monotonic() < feedback.deadline
    assert done == [False] and children() == []
    assert files(tmp_path) == ["slow.tif"]


def load_as_dialog_does(source, output, qgis_app, name="my scene"):
    """Run with an input layer of the project, and load the result into it."""
    from processing.gui.Postprocessing import handleAlgorithmResults

    project = QgsProject.instance()
    project.clear()
    layer = QgsRasterLayer(source, name)
    renderer = layer.renderer()
    renderer.redContrastEnhancement().setMinimumValue(123) if hasattr(renderer, "redContrastEnhancement") else None
    layer.setOpacity(0.4)
    layer.setCustomProperty("mark", "kept")
    project.addMapLayer(layer)
    context = QgsProcessingContext()
    context.setProject(project)
    feedback = listener()
    parameters = {"INPUT": layer.id(), "OUTPUT": QgsProcessingOutputLayerDefinition(output, project)}
    kept = QgsApplication.processingRegistry().createAlgorithmById(ID)
    _, ok = kept.run(parameters, context, feedback)
    assert ok, feedback.errors
    handleAlgorithmResults(kept, context, feedback, False, parameters)
    return layer, next(other for other in project.mapLayers().values() if other.id() != layer.id())


def test_the_output_is_named_and_styled_like_its_input(plugin, fake_python, qgis_app, scene, tmp_path):
    _, loaded = load_as_dialog_does(scene, str(tmp_path / "out.tif"), qgis_app)
    assert loaded.name() == "my scene (filled)"
    assert loaded.opacity() == pytest.approx(0.4) and loaded.customProperty("mark") == "kept"
    qgis_app.processEvents()
    assert styling.KEPT == {}, "a post-processor is dropped after use"
    QgsProject.instance().clear()


def test_without_a_reference_the_style_is_lost(plugin, fake_python, qgis_app, scene, tmp_path, monkeypatch):
    """Proves that the test above can fail, and why post-processors are kept."""
    monkeypatch.setattr(styling.StyleLikeInput, "keep", classmethod(lambda kind, key, style: kind(key, style)))
    _, loaded = load_as_dialog_does(scene, str(tmp_path / "out.tif"), qgis_app)
    assert loaded.opacity() == 1.0
    QgsProject.instance().clear()


def test_a_poisoned_environment_does_no_harm(run, scene, monkeypatch):
    for name in (*FOREIGN, "CONDA_PREFIX", "O4W_QT_PREFIX"):
        if name not in ("LD_LIBRARY_PATH", "LD_PRELOAD", "GDAL_DATA", "PROJ_LIB"):  # these would harm QGIS itself
            monkeypatch.setenv(name, "/nonsense")
    monkeypatch.setenv("SSL_CERT_FILE", "/nonsense")
    assert run(scene)[0]["FILLED_PIXELS"] == 10


def test_what_is_kept_of_an_environment(tmp_path):
    certificate = tmp_path / "company.pem"
    certificate.touch()
    poison = dict.fromkeys([*FOREIGN, "CONDA_PREFIX", "O4W_X", "pythonhome", "SSL_CERT_DIR"], "/nonsense")
    kept = clean_environment({**poison, "OMP_NUM_THREADS": "3", "SSL_CERT_FILE": str(certificate), "PATH": "/bin"})
    own = {name for name in kept if name.startswith("PYTHON")}
    assert own == {
        "PYTHONUTF8",
        "PYTHONNOUSERSITE",
        "PYTHONUNBUFFERED",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONSAFEPATH",
    }
    assert {name: kept[name] for name in kept if name not in own} == {
        "OMP_NUM_THREADS": "3",
        "SSL_CERT_FILE": str(certificate),
        "PATH": "/bin",
    }


def test_remaining_time_follows_the_pace():
    clock = RemainingTime()
    assert clock.update(0.0, -50.0) is None and clock.update(0.0, -20.0) is None, "loading is no part of the pace"
    assert clock.update(0.01, 0.0) is None and clock.update(0.02, 1.0) is None
    assert clock.update(0.11, 10.0) == pytest.approx(89)
    assert clock.update(0.1 + 1e-9, 11.0, "write") is None, "another stage has another pace"
    clock = RemainingTime()
    clock.update(1e-9, 0.0)
    for second in range(12, 60):
        left = clock.update(0.1 + (second - 11) * 0.018, float(second))
    assert left == pytest.approx((1 - 0.1 - 48 * 0.018) / 0.018, rel=0.05), "old, slow times are forgotten"
    stuck = RemainingTime()
    stuck.update(0.5, 0.0)
    stuck.update(0.5, 60.0)
    assert stuck.update(0.5, 61.0) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, ("s", 1)), (7, ("s", 5)), (54, ("s", 55)), (56, ("min", 1)), (600, ("min", 10)), (7200, ("h", 2))],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words


def test_two_in_a_model_as_a_task(plugin, fake_python, qgis_app, scene, tmp_path):
    """Inside a model even the preparation runs in a worker thread."""
    model = QgsProcessingModelAlgorithm("twice", "tests")
    model.addModelParameter(QgsProcessingParameterRasterLayer("IN"), QgsProcessingModelParameter("IN"))
    chosen = {"a": QgsProcessingModelChildParameterSource.fromModelParameter("IN")}
    chosen["b"] = QgsProcessingModelChildParameterSource.fromChildOutput("a", "OUTPUT")
    for name, source in chosen.items():
        child = QgsProcessingModelChildAlgorithm(ID)
        child.setChildId(name)
        child.addParameterSources("INPUT", [source])
        if name == "b":
            output = QgsProcessingModelOutput("OUT", "OUT")
            output.setChildOutputName("OUTPUT")
            child.setModelOutputs({"OUT": output})
        model.addChildAlgorithm(child)
    feedback, done = listener(), []
    context = QgsProcessingContext()
    task = QgsProcessingAlgRunnerTask(model, {"IN": scene, "b:OUT": str(tmp_path / "out.tif")}, context, feedback)
    task.executed.connect(lambda ok, results: done.append((ok, results)))
    QgsApplication.taskManager().addTask(task)
    while not done:
        qgis_app.processEvents()
        assert time.monotonic() < feedback.deadline
    assert done[0][0], feedback.errors
    assert (tmp_path / "out.tif").exists() and len(children()) == 1, "both steps were done by one worker"
