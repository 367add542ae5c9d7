"""What the worker says, passed on to QGIS's feedback."""

from __future__ import annotations

import time

from qgis.core import QgsProcessingException, QgsProcessingFeedback
from qgis.PyQt.QtCore import QCoreApplication, QThread

from ..translate import tr
from ..worker.errors import WorkerError
from .remaining import RemainingTime, in_words


def on_main_thread() -> bool:
    """Whether we are in the thread of the windows (old batch dialog, `qgis_process`, scripts)."""
    return QThread.currentThread() is QCoreApplication.instance().thread()


class Conversation:
    """Takes the worker's messages during one run."""

    def __init__(self, feedback: QgsProcessingFeedback) -> None:
        self.feedback = feedback
        self.said: set[str] = set()
        self._remaining = RemainingTime()
        self._started = time.monotonic()
        self._stage, self._text_due = "", 0.0
        self._on_main_thread = on_main_thread()

    def __call__(self, message: dict) -> None:
        if message["type"] == "progress":
            self._progress(message)
        elif message["type"] == "log":
            self.say(str(message.get("text", "")), str(message.get("level", "info")))
        if self._on_main_thread:
            QCoreApplication.processEvents()  # else Cancel and repaint are dead; comes every 0.1 s with the ticks

    def say(self, text: str, level: str) -> None:
        """Put a sentence into the log, once."""
        if not text or text in self.said:
            return
        self.said.add(text)
        push = {"warning": self.feedback.pushWarning, "debug": self.feedback.pushDebugInfo}
        push.get(level, self.feedback.pushInfo)(text)

    def _progress(self, message: dict) -> None:
        now, fraction = time.monotonic(), float(message.get("fraction", 0.0))
        self.feedback.setProgress(100.0 * fraction)
        stage = str(message.get("stage", ""))
        seconds = self._remaining.update(fraction, now, stage)
        # QGIS writes each text into the log as well: a new stage at once, else not more than a line every 2 to 30 s.
        if not message.get("text") or (stage == self._stage and now < self._text_due):
            return
        self._stage, self._text_due = stage, now + min(max((now - self._started) / 20, 2.0), 30.0)
        self.feedback.setProgressText(str(message["text"]) + (time_left(seconds) if seconds is not None else ""))


def time_left(seconds: float) -> str:
    """`, about 3 min left`."""
    unit, count = in_words(seconds)
    phrases = {"s": tr(", about {} s left"), "min": tr(", about {} min left"), "h": tr(", about {} h left")}
    return phrases[unit].format(count)


def as_processing_error(problem: WorkerError, feedback: QgsProcessingFeedback) -> QgsProcessingException:
    """The error for the user, in one or two sentences; technical text goes to the log."""
    if problem.trace:
        feedback.pushDebugInfo(problem.trace)
    return QgsProcessingException(str(problem))
