"""The algorithm as the desktop runs it: as a task, cancelled, unloaded meanwhile, loaded with style, inside a model."""

import time

import pytest
from fakes import Desk, children
from listening import ID, files, listener
from qgis.core import (
    QgsApplication,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
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

from qgis_rsinpaint import classFactory
from qgis_rsinpaint.algorithms import styling


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
