"""A batch as users run it: QGIS's own batch dialog, three rows, the second of which fails."""

import re
import time
from pathlib import Path

import pytest
from fakes import children
from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QTimer
from scenes import striped_scene

from qgis_rsinpaint.algorithms import conversation

ID = "rsinpaint:fillslcoffgaps"


@pytest.fixture
def dialog(plugin, fake_python):
    from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog

    shown = BatchAlgorithmDialog(QgsApplication.processingRegistry().createAlgorithmById(ID))
    yield shown
    shown.close()
    shown.deleteLater()
    QgsProject.instance().clear()


def fill_in(dialog, sources):
    """Type scenes and outputs into the rows, as users do."""
    panel = dialog.mainWidget()
    panel.addRow(len(sources) - panel.batchRowCount())
    outputs = [str(Path(source).with_name(f"filled{row}.tif")) for row, source in enumerate(sources)]
    for row, (source, output) in enumerate(zip(sources, outputs)):
        wrapper = panel.wrappers[row][panel.parameter_to_column["INPUT"]]
        wrapper.setParameterValue(source, panel.processing_context)
        panel.tblParameters.cellWidget(row + 1, panel.parameter_to_column["OUTPUT"]).setValue(output)
        parameters, ok = panel.parametersForRow(row, destinationProject=QgsProject.instance())
        assert ok and parameters["INPUT"] == source
    return outputs


def summary():
    """The page that the Results Viewer shows for the batch."""
    from processing.core.ProcessingResults import resultsList

    pages = resultsList.getResults()
    return Path(pages[-1].filename).read_text(encoding="utf-8")


def test_one_bad_row_is_told_and_the_others_are_done(dialog, tmp_path):
    sources = [striped_scene(tmp_path / f"{name}.tif")[0] for name in ("first", "fail", "third")]
    outputs = fill_in(dialog, sources)
    dialog.mainWidget().checkLoadLayersOnCompletion.setChecked(True)
    dialog.runAlgorithm()
    assert [Path(output).exists() for output in outputs] == [True, False, True]
    page = summary()
    assert page.count("is a palette raster. Pass one with measured values") == 1
    assert page.count("<th>Filled pixels (all bands)</th><td>10</td>") == 2
    loaded = sorted(layer.name() for layer in QgsProject.instance().mapLayers().values())
    assert loaded == ["first (filled)", "third (filled)"]


def test_a_worker_that_dies_in_a_row_is_replaced_for_the_next(dialog, plugin, tmp_path):
    sources = [striped_scene(tmp_path / f"{name}.tif")[0] for name in ("first", "abort", "third")]
    outputs = fill_in(dialog, sources)
    dialog.runAlgorithm()
    assert [Path(output).exists() for output in outputs] == [True, False, True]
    assert "crashed" in summary()
    assert len(children()) == 1 and plugin.provider.pool.pids() == [children()[0][0]]


@pytest.mark.parametrize("attempt", range(4))
def test_failed_batches_do_not_use_up_the_threads_of_qgis(dialog, qgis_app, tmp_path, attempt):
    """Four times is more than the pool of a small machine has threads; the next task would never start."""
    fill_in(dialog, [striped_scene(tmp_path / "fail.tif")[0]])
    dialog.runAlgorithm()
    deadline = time.monotonic() + 20
    while QgsApplication.taskManager().countActiveTasks() and time.monotonic() < deadline:
        qgis_app.processEvents()
        time.sleep(0.01)
    assert QgsApplication.taskManager().countActiveTasks() == 0


def test_a_batch_pays_for_one_start(dialog, plugin, tmp_path):
    fill_in(dialog, [striped_scene(tmp_path / f"{name}.tif")[0] for name in ("a", "b", "c")])
    dialog.runAlgorithm()
    pids = re.findall(r'"pid": (\d+)', summary())
    assert len(pids) == 3 and len(set(pids)) == 1


@pytest.mark.parametrize("word", ["slow", "hang"])
def test_cancel_works_although_rows_run_in_the_main_thread(dialog, tmp_path, word):
    """QGIS 3.22 runs rows in the thread of the windows; a click only arrives if we let events through."""
    outputs = fill_in(dialog, [striped_scene(tmp_path / f"{word}{row}.tif")[0] for row in range(3)])
    clicked = []

    def click():
        clicked.append(time.monotonic())
        assert conversation.on_main_thread() and dialog.cancelButton().isEnabled()
        dialog.cancelButton().click()

    QTimer.singleShot(500, click)
    dialog.runAlgorithm()
    assert clicked and time.monotonic() - clicked[0] < 1.0  # the protocol's bound
    assert not any(Path(output).exists() for output in outputs)
    assert not list(tmp_path.glob(".*"))
