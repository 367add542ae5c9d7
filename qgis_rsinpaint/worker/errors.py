"""The two ways in which a call to the worker ends early."""

from __future__ import annotations


class WorkerError(Exception):
    """A call that the worker refused or did not live to answer.

    Args:
        code: short kind; the worker's own codes, or one of the client's: `no_hello`, `died`, `busy`,
            `not_installed`, `unsupported_protocol`.
        message: what happened, in words for the analyst.
        hint: what to do about it; may be empty.
        trace: technical text for the log (a traceback, the last lines of the worker's stderr).
    """

    def __init__(self, code: str, message: str, hint: str = "", trace: str = "") -> None:
        self.code, self.message, self.hint, self.trace = code, message.rstrip(". "), hint, trace
        super().__init__(f"{self.message}. {hint}" if hint else self.message)


class Cancelled(Exception):
    """The user asked for the call to stop, and it has."""
