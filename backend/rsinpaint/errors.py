"""The two ways in which a job ends early, in words that an analyst can act on."""


class JobError(Exception):
    """What stops a job, in words for the analyst. Anything else that is raised is a bug of ours.

    Args:
        what: the thing, by the name under which the user knows it, and what it is.
        expected: what would have been right.
        remedy: what to do now; one sentence, with the option or menu entry that does it.
        code: short machine-readable kind, one of `CODES`; the worker protocol carries it.

    Raises:
        ValueError: `code` is not one of `CODES`.
    """

    CODES = frozenset(
        {
            "bad_request",
            "input_unreadable",
            "unsupported_raster",
            "mask_mismatch",
            "nothing_to_fill",
            "nothing_valid",
            "output_unwritable",
            "disk_full",
            "out_of_memory",
            "gpu_out_of_memory",
            "model_missing",
            "model_corrupt",
        }
    )

    def __init__(self, what: str, expected: str = "", remedy: str = "", *, code: str = "bad_request") -> None:
        if code not in self.CODES:
            raise ValueError(f"unknown error code {code!r}, expected one of {sorted(self.CODES)}")
        self.what, self.expected, self.remedy, self.code = what, expected, remedy, code
        finding = f"{what}, expected {expected}" if expected else what
        super().__init__(f"{finding}. {remedy}" if remedy else finding)


class Cancelled(Exception):
    """The user asked for the job to stop; nothing was published."""
