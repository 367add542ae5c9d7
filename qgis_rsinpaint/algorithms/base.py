"""What all algorithms share: parameters -> job -> worker -> layer. Nothing about any single task."""

from __future__ import annotations

import json
import os
from pathlib import Path

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBand,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QIcon

from .. import settings
from ..help_page import to_html
from ..translate import tr
from ..worker.errors import Cancelled, WorkerError
from ..worker.locate import locate
from .conversation import Conversation, as_processing_error, on_main_thread
from .models import AUTO, model_ids
from .old_batch import lets_go_of_the_dialog
from .sources import is_file_based, source_of
from .styling import StyleLikeInput, style_of

__all__ = ["FillAlgorithm", "tr"]

PLUGIN = Path(__file__).resolve().parents[1]
DEVICES = ["auto", "cpu", "cuda", "mps"]
# A worker that nobody fetches any more ends by itself, should the plugin not get round to ending it.
IDLE_SECONDS_BEYOND_KEEPING = 60


class FillAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that has a scene repaired. A leaf says its id, labels, parameters and `job()`."""

    TASK = ""
    INPUT, MASK, BANDS, MODEL, DEVICE = "INPUT", "MASK", "BANDS", "MODEL", "DEVICE"
    OUTPUT, OUTPUT_MASK, OUTPUT_UNCERTAINTY = "OUTPUT", "OUTPUT_MASK", "OUTPUT_UNCERTAINTY"
    FILLED_PIXELS, UNFILLED_PIXELS, REPORT = "FILLED_PIXELS", "UNFILLED_PIXELS", "REPORT"

    def createInstance(self) -> FillAlgorithm:  # a fresh one for each run
        return type(self)()

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:
        return str(PLUGIN / "icons" / "icon.svg")

    def shortHelpString(self) -> str:
        return to_html((PLUGIN / "help" / f"{self.name()}.md").read_text(encoding="utf-8"))

    def helpUrl(self) -> str:
        return QUrl.fromLocalFile(str(PLUGIN / "help" / f"{self.name()}.md")).toString()

    def add(self, parameter: QgsProcessingParameterDefinition, *, help: str, advanced: bool = False) -> None:
        """Add a parameter; one without help is refused, since nobody notices its lack otherwise."""
        if not help:
            raise ValueError(f"parameter {parameter.name()} has no help")
        parameter.setHelp(help)
        if advanced:
            parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
        self.addParameter(parameter)

    def add_scene(self) -> None:
        """INPUT."""
        self.add(
            QgsProcessingParameterRasterLayer(self.INPUT, tr("Scene to be repaired")),
            help=tr("The raster with gaps: any number of bands, any data type. It is never changed."),
        )

    def add_bands(self) -> None:
        """BANDS."""
        self.add(
            QgsProcessingParameterBand(
                self.BANDS,
                tr("Bands to be repaired (all if none is chosen)"),
                parentLayerParameterName=self.INPUT,
                optional=True,
                allowMultiple=True,
            ),
            help=tr("Choose none to repair all bands. Where some are chosen, the others are copied as they are."),
        )

    def add_model(self) -> None:
        """MODEL and DEVICE. Values are static strings, since models, scripts and the history keep them."""
        self.add(
            QgsProcessingParameterEnum(
                self.MODEL, tr("Model"), model_ids(self.TASK), defaultValue=AUTO, usesStaticStrings=True
            ),
            help=tr(
                "auto takes the model that suits the task best. anyband-s is a trained network for any number of "
                "bands; tension-spline, harmonic, inverse-distance and local-ridge are classical methods."
            ),
        )
        self.add(
            QgsProcessingParameterEnum(self.DEVICE, tr("Device"), DEVICES, defaultValue="auto", usesStaticStrings=True),
            advanced=True,
            help=tr("auto uses a graphics card if there is one that suits (cuda or mps), else the processor (cpu)."),
        )

    def add_outputs(self) -> None:
        """The repaired scene, what can be told about it, and the numbers for the batch summary."""
        self.add(
            QgsProcessingParameterRasterDestination(self.OUTPUT, tr("Repaired scene")),
            help=tr("GeoTIFF with the grid, data type, nodata values and band names of the scene."),
        )
        optional = (
            (self.OUTPUT_MASK, tr("Filled pixels"), tr("Raster with 1 where a pixel was filled, 0 elsewhere.")),
            (
                self.OUTPUT_UNCERTAINTY,
                tr("Expected error"),
                tr("Raster with the expected absolute error of each filled pixel, in the units of the scene."),
            ),
        )
        for name, label, text in optional:
            self.add(
                QgsProcessingParameterRasterDestination(name, label, None, optional=True, createByDefault=False),
                help=text,
            )
        self.addOutput(QgsProcessingOutputNumber(self.FILLED_PIXELS, tr("Filled pixels (all bands)")))
        self.addOutput(QgsProcessingOutputNumber(self.UNFILLED_PIXELS, tr("Pixels left open (all bands)")))
        self.addOutput(QgsProcessingOutputString(self.REPORT, tr("Report (JSON)")))

    def job(self, parameters: dict, context: QgsProcessingContext) -> dict:
        """The request without outputs: plain data, validated by the worker. Leaves add their own fields."""
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        return {
            "task": self.TASK,
            "scene": [source_of(layer)],
            "bands": self.parameterAsInts(parameters, self.BANDS, context) or None,
            "model": self.parameterAsString(parameters, self.MODEL, context),
            "device": self.parameterAsString(parameters, self.DEVICE, context),
            "overwrite": True,  # QGIS has asked already
            "copy_when_whole": True,  # a batch must not stop, nor a model break, over a scene without gaps
        }

    def checkParameterValues(self, parameters, context):
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        if layer is not None and not is_file_based(layer):
            return False, tr("{} is not a raster file. Save it as GeoTIFF first: Layer > Save As…").format(layer.name())
        return super().checkParameterValues(parameters, context)

    @lets_go_of_the_dialog
    def prepareAlgorithm(self, parameters, context, feedback) -> bool:
        """Main thread: all that has to do with layers and settings becomes plain data here."""
        layer = self.parameterAsRasterLayer(parameters, self.INPUT, context)
        if layer is None:
            raise QgsProcessingException(self.invalidRasterError(parameters, self.INPUT))
        if not is_file_based(layer):
            raise QgsProcessingException(tr("{} is not a raster file").format(layer.name()))
        self._name, self._style = layer.name(), style_of(layer)
        self._job = self.job(parameters, context)
        self._pool, self._keep = self.provider().pool, self.provider().keep_seconds()
        self._python = settings.python()
        return True

    @lets_go_of_the_dialog
    def processAlgorithm(self, parameters, context, feedback) -> dict:
        destinations = self._destinations(parameters, context)
        self._check(destinations)
        fields = {"output": self.OUTPUT, "out_mask": self.OUTPUT_MASK, "out_uncertainty": self.OUTPUT_UNCERTAINTY}
        outputs = {field: os.path.abspath(destinations[name]) for field, name in fields.items() if name in destinations}
        conversation = Conversation(feedback)
        feedback.setProgressText(tr("Starting the backend…"))
        try:
            report = self._pool.call(
                locate(self._python).command(self._keep + IDLE_SECONDS_BEYOND_KEEPING),
                "fill",
                self._job | outputs,
                conversation,
                feedback.isCanceled,
                keep_seconds=self._keep,
                may_wait=not on_main_thread(),
                outputs=list(outputs.values()),
            )
        except Cancelled:
            feedback.pushInfo(tr("Cancelled; nothing was written."))
            return {}
        except WorkerError as problem:
            raise as_processing_error(problem, feedback) from problem
        self._summarise(report, conversation, feedback)
        self._dress(destinations, context)
        return destinations | {
            self.FILLED_PIXELS: report.get("filled", 0),
            self.UNFILLED_PIXELS: report.get("left_open", 0),
            self.REPORT: json.dumps(report, sort_keys=True),
        }

    def _destinations(self, parameters: dict, context: QgsProcessingContext) -> dict[str, str]:
        asked = {
            name: self.parameterAsOutputLayer(parameters, name, context)
            for name in (self.OUTPUT, self.OUTPUT_MASK, self.OUTPUT_UNCERTAINTY)
            if parameters.get(name) is not None or name == self.OUTPUT
        }
        return {name: path for name, path in asked.items() if path}

    def _check(self, destinations: dict[str, str]) -> None:
        """Refuse outputs that would replace an input or each other, or that are no GeoTIFF."""
        taken = {os.path.realpath(path): tr("an input") for path in self._inputs()}
        for name, path in destinations.items():
            label, real = self.parameterDefinition(name).description(), os.path.realpath(path)
            if not path.lower().endswith((".tif", ".tiff")):
                what = tr("`{}` cannot be written to {}: only GeoTIFF (.tif) can be written")
                raise QgsProcessingException(what.format(label, path))
            if real in taken:
                what = tr("`{}` cannot be written to {}, which is {} of the same run. Choose another file")
                raise QgsProcessingException(what.format(label, path, taken[real]))
            taken[real] = tr("another output")

    def _inputs(self) -> list[str]:
        return [path for path in (*self._job["scene"], self._job.get("mask"), self._job.get("qa")) if path]

    def _summarise(self, report: dict, conversation: Conversation, feedback: QgsProcessingFeedback) -> None:
        for note in report.get("notes") or []:
            conversation.say(str(note), "warning")
        filled, left = report.get("filled", 0), report.get("left_open", 0)
        if not filled and not left and not report.get("notes"):
            conversation.say(tr("The scene has no gaps of this kind: the output equals the input."), "warning")
        text = tr("{:,} pixels filled, {:,} left open (model {}, {}, {:.1f} s)")
        seconds = float(report.get("seconds", 0.0))
        feedback.pushInfo(text.format(filled, left, report.get("model", "?"), report.get("device", "?"), seconds))

    def _dress(self, destinations: dict[str, str], context: QgsProcessingContext) -> None:
        """Name the outputs after the input, and let the scene look like it, where QGIS loads them."""
        names = {
            self.OUTPUT: tr("{} (filled)"),
            self.OUTPUT_MASK: tr("{} (filled pixels)"),
            self.OUTPUT_UNCERTAINTY: tr("{} (expected error)"),
        }
        for name, path in destinations.items():
            if context.willLoadLayerOnCompletion(path):
                details = context.layerToLoadOnCompletionDetails(path)
                details.name = names[name].format(self._name)
                if name == self.OUTPUT:
                    details.setPostProcessor(StyleLikeInput.keep(path, self._style))
