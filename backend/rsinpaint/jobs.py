"""Job and Report: the one contract of the plugin, the command line and the worker.

Both are plain data. A `Job` is validated once, where it enters (`read_job`), and trusted from there on.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec

from .errors import JobError

Task = Literal["slcoff", "clouds", "lines", "masked", "ocean"]
Format = Literal["gtiff", "cog"]

MEMORY_BYTES = 1 << 30
"""What a job may use beyond the libraries themselves, unless it says otherwise."""


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One request to repair one scene."""

    scene: tuple[str, ...]
    """One raster, or the single-band files of one bundle in band order, or the folder of a Landsat bundle."""
    output: str
    """GeoTIFF to be made; appears whole or not at all."""
    task: Task = "slcoff"
    model: str = "auto"
    """Id of a model, or `auto`: the one that suits the task best."""
    mask: str | None = None
    """Raster or polygons that say where the holes are; None: found by the rule of the task."""
    mask_values: str | None = None
    """Which values of a raster mask are holes, for instance `1,2-5`; None: 1, or not 0 for official gap masks."""
    mask_layer: str | None = None
    """Layer of `mask` where that has several (polygons)."""
    qa: str | None = None
    """Quality band (QA_PIXEL or QA_RADSAT) that says where the scene has no data."""
    bands: tuple[int, ...] | None = None
    """Bands to be repaired, counted from 1; None: all. The others are copied."""
    nodata: tuple[float | None, ...] | None = None
    """Value that stands for `no data`, one for all bands or one a band; None: as the file says."""
    out_mask: str | None = None
    """uint8 raster to be made: 1 = this pixel was filled."""
    out_uncertainty: str | None = None
    """float32 raster to be made: expected absolute error of each filled pixel, in scene units."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:N or mps."""
    threads: int | None = None
    memory_bytes: int = MEMORY_BYTES
    format: Format = "gtiff"
    copy_when_whole: bool = False
    """A scene without holes is copied, with a note, instead of being an error: a batch must not stop at it."""
    overwrite: bool = False


class BandReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one band; counts are pixels."""

    band: int
    name: str
    holes: int
    filled: int
    left_open: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    output: str
    task: str
    model: str
    model_sha256: str
    device: str
    mask_source: str
    bands: tuple[BandReport, ...]
    seconds: float
    cpu_seconds: float
    megapixels: float
    """Pixels of the scene times bands that had holes, in millions."""
    notes: tuple[str, ...] = ()
    """Sentences for the user: fallbacks taken, holes left open, masks that marked nothing."""

    @property
    def filled(self) -> int:
        return sum(band.filled for band in self.bands)

    @property
    def left_open(self) -> int:
        return sum(band.left_open for band in self.bands)


class MaskJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One request to write down where the holes of a scene are, 1 = hole."""

    scene: tuple[str, ...]
    output: str
    method: str = "slcoff"
    """Name of a mask source."""
    mask: str | None = None
    mask_values: str | None = None
    mask_layer: str | None = None
    qa: str | None = None
    bands: tuple[int, ...] | None = None
    nodata: tuple[float | None, ...] | None = None
    overwrite: bool = False


class MaskReport(msgspec.Struct, frozen=True, kw_only=True):
    output: str
    method: str
    pixels: tuple[int, ...]
    """Holes of each band."""
    percent: float
    """Holes among all pixels of all bands."""
    seconds: float
    notes: tuple[str, ...] = ()


class DamageJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One request to make gaps in a whole scene, so that a fill can be compared with the truth."""

    scene: tuple[str, ...]
    output: str
    mask_output: str | None = None
    kind: str = "slcoff"
    amount: float = 0.5
    """Share of holes; for slcoff the distance from nadir as a fraction of the half swath."""
    seed: int = 0
    nodata: tuple[float | None, ...] | None = None
    overwrite: bool = False


class DamageReport(msgspec.Struct, frozen=True, kw_only=True):
    output: str
    kind: str
    pixels: int
    """Known pixels that were hidden, all bands together."""
    percent: float
    seconds: float
    notes: tuple[str, ...] = ()


Request = TypeVar("Request", Job, MaskJob, DamageJob)


def read_job(fields: Mapping[str, Any], kind: type[Request] = Job) -> Request:  # type: ignore[assignment]
    """Validate a request that came as JSON or from the command line.

    NaN nodata may be given as the text "nan" (JSON has no NaN).

    Raises:
        JobError: a field is unknown, missing or of the wrong kind; the sentence names it.
    """
    fields = dict(fields)
    if isinstance(fields.get("scene"), str):
        fields["scene"] = (fields["scene"],)
    try:
        if fields.get("nodata") is not None:
            given = fields["nodata"]
            given = given if isinstance(given, (list, tuple)) else [given]
            fields["nodata"] = tuple(float(value) if isinstance(value, str) else value for value in given)
        job = msgspec.convert(fields, kind)
    except (msgspec.ValidationError, ValueError) as problem:
        known = ", ".join(kind.__struct_fields__)
        raise JobError(f"The request is not understood: {problem}", remedy=f"Known fields: {known}") from None
    if not job.scene:
        raise JobError("The request names no scene", "at least one raster file")
    if isinstance(job, Job):
        if job.threads is not None and job.threads < 1:
            raise JobError(f"{job.threads} threads were asked for", "at least 1")
        if job.memory_bytes < 256 << 20:
            raise JobError(f"{job.memory_bytes} bytes of memory were allowed", "at least 256 MiB", "Give `--memory 1G`")
    return job
