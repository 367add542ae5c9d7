"""Checks of a weights file that need no torch: is it there, whole, the right one, and safetensors at all?"""

import hashlib
import json
import struct
from pathlib import Path

from ..errors import JobError

HEADER_LIMIT_BYTES = 100_000_000
"""The format's own limit."""

_PIECE_BYTES = 1 << 20


def check(path: Path, size_bytes: int, sha256: str, remedy: str) -> None:
    """Compare a weights file with what its card says.

    Args:
        path: the safetensors file.
        size_bytes, sha256: from the card.
        remedy: what the user can do to get a good file.

    Raises:
        JobError: the file is missing (code `model_missing`), or is not what the card says (`model_corrupt`).
    """
    if not path.is_file():
        raise JobError(f"The weights file `{path}` is missing", remedy=remedy, code="model_missing")
    try:
        with path.open("rb") as file:
            start = file.read(512)
        found_bytes = path.stat().st_size
        finding = _wrong_kind(start) or (
            f"has {found_bytes} bytes, expected {size_bytes}" if found_bytes != size_bytes else ""
        )
        found_sha256 = "" if finding else digest(path)
    except OSError as problem:
        what = f"The weights file `{path}` cannot be read ({problem.strerror})"
        raise JobError(what, remedy=remedy, code="model_corrupt") from None
    if not finding and found_sha256 != sha256:
        finding = f"was changed: its sha256 is {found_sha256[:16]}..., expected {sha256[:16]}..."
    if not finding:
        finding = header_problem(path)
    if finding:
        raise JobError(f"The weights file `{path}` {finding}", remedy=remedy, code="model_corrupt")


def digest(path: Path) -> str:
    """The sha256 of a file, as hex digits; memory is bounded."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()


def header_problem(path: Path) -> str:
    """What is wrong with the file's header; empty when its tensors cover the file without gap or overlap.

    Source: the safetensors format, 8 bytes of header length (little endian), JSON, then the tensors' bytes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(HEADER_LIMIT_BYTES, size - 8):
            return "is no safetensors file: its header has an impossible length"
        raw = file.read(length)
    try:
        entries = json.loads(raw)
        spans = sorted(tuple(entry["data_offsets"]) for name, entry in entries.items() if name != "__metadata__")
        end = 0
        for first, last in spans:
            if first != end or last < first:
                return "is no whole safetensors file: its tensors do not lie side by side"
            end = last
    except (ValueError, TypeError, KeyError, AttributeError):
        return "is no safetensors file: its header is not understood"
    if not spans:
        return "holds no tensor"
    if end != size - 8 - length:
        return f"is no whole safetensors file: its header speaks of {end} bytes of tensors, {size - 8 - length} follow"
    return ""


def _wrong_kind(start: bytes) -> str:
    """Kinds of files that users really end up with in place of weights."""
    if not start:
        return "is empty"
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page, not weights (a download that asked for a login or a confirmation)"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the weights themselves"
    if start.startswith((b"PK", b"\x80\x02")):
        return "is a pickled torch file, expected safetensors"
    return ""
