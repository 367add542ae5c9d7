"""A cure for the batch dialog before QGIS 3.26, which a failing algorithm written in Python makes forget itself.

QGIS never releases the exception of such an algorithm, nor the frames that it came through. Rows run in the main
thread there, so the dialog's own frame is among them, with a task that ends only when the frame goes: after as many
failed batches as the processor has cores no task starts any more, in all of QGIS (measured with 3.22).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from qgis.core import QgsProcessingException
from qgis.PyQt.QtCore import QTimer

RETRY_MS = 500
Method = TypeVar("Method", bound=Callable)


def lets_go_of_the_dialog(method: Method) -> Method:
    """Wrap a method that QGIS calls and that may raise QgsProcessingException."""

    @functools.wraps(method)
    def wrapped(*arguments):
        try:
            return method(*arguments)
        except QgsProcessingException:
            frame = sys._getframe()
            while frame is not None and not _is_dialog(frame):
                frame = frame.f_back
            if frame is not None:
                _clear(frame)
            raise

    return wrapped


def _is_dialog(frame: FrameType) -> bool:
    code = frame.f_code
    return code.co_name == "runAlgorithm" and code.co_filename.endswith("BatchAlgorithmDialog.py")


def _clear(frame: FrameType) -> None:
    try:
        frame.clear()
    except RuntimeError:  # the batch is still running
        QTimer.singleShot(RETRY_MS, lambda: _clear(frame))
