"""Downloads of single files, from a web address or from Google Drive, with every refusal in words."""

import errno
import http.client
import importlib
import re
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tqdm import tqdm

from ..errors import JobError

TIMEOUT_S = 60
"""For the server to answer, and between two pieces."""

_PIECE_BYTES = 1 << 20
_DISK_NUMBERS = {
    errno.ENOSPC,
    getattr(errno, "EDQUOT", errno.ENOSPC),
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EFBIG,
}
"""Errors of the disk that takes the file, not of the network."""
_QUOTA = re.compile(rb"quota|too many users|download limit", re.IGNORECASE)
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head")


def from_url(url: str, target: Path, size_bytes: int, remedy: str) -> None:
    """Download a file whose size is known.

    Args:
        url: http or https; a card must not make us read files of this computer.
        target: where it goes; a file that is there is replaced.
        size_bytes: from the card; what is longer is not read to its end.
        remedy: what the user can do when it fails.

    Raises:
        JobError: the address is of another kind, the server cannot be reached or refuses, or the file breaks off or
            is too long (code `model_missing`).
        OSError: the file cannot be written.
    """
    host = urlsplit(url).hostname
    if urlsplit(url).scheme not in ("http", "https") or not host:
        raise JobError(f"`{url}` cannot be downloaded", "an address with https://", remedy, code="model_missing")
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, target.open("wb") as file:
            received = _copy(answer, file, size_bytes)
    except urllib.error.HTTPError as problem:
        raise _refused(f"`{host}` answers {problem.code} ({problem.reason}) for `{url}`", remedy) from None
    except (OSError, http.client.HTTPException) as problem:
        if _of_the_disk(problem):
            raise
        reason = getattr(problem, "reason", None) or problem
        raise _refused(f"`{host}` cannot be reached, or went away ({_line(reason)})", remedy) from None
    if received != size_bytes and not is_page(target):
        more = " or more" if received > size_bytes else ""
        raise _refused(f"`{url}` gives {received}{more} bytes, expected {size_bytes}", remedy)


def from_drive(drive_id: str, target: Path, remedy: str) -> None:
    """Download a file from Google Drive; gdown knows the ways round its confirmation page.

    Args:
        drive_id: the file's id, as in its address.
        target, remedy: as for `from_url`.

    Raises:
        JobError: gdown is not installed, Google Drive cannot be reached, or it refuses (code `model_missing`).
        OSError: the file cannot be written.
    """
    try:
        gdown, kinds = importlib.import_module("gdown"), importlib.import_module("gdown.exceptions")
    except ImportError as problem:
        missing = "gdown" if (problem.name or "gdown").startswith("gdown") else f"{problem.name}, which gdown needs,"
        raise JobError(
            f"The library {missing} is not installed, which downloads from Google Drive",
            remedy="`pip install 'rsinpaint[fetch]'` or `pip install gdown`, in the backend's Python. " + remedy,
            code="model_missing",
        ) from None
    refusal = (kinds.FileURLRetrievalError, getattr(kinds, "DownloadError", kinds.FileURLRetrievalError))
    try:
        gdown.download(id=drive_id, output=str(target), quiet=not sys.stderr.isatty())
    except refusal as problem:
        raise _drive_refused(str(problem).encode(), remedy) from None
    except OSError as problem:  # those of requests are OSErrors, too
        if _of_the_disk(problem):
            raise
        answer = getattr(problem, "response", None)
        if answer is not None:
            raise _refused(f"Google Drive answers {answer.status_code} for the file `{drive_id}`", remedy) from None
        what = f"Google Drive cannot be reached, or went away ({type(problem).__name__})"
        raise _refused(
            what, f"Is there a way to the internet, or a proxy to be named in HTTPS_PROXY? {remedy}"
        ) from None
    if not target.is_file():
        raise _drive_refused(b"", remedy)
    if is_page(target):
        raise _drive_refused(target.read_bytes()[:_PIECE_BYTES], remedy)


def is_page(path: Path) -> bool:
    """Whether a file is a web page: what servers send in place of a file that they do not give out."""
    with path.open("rb") as file:
        return file.read(512).lstrip().lower().startswith(_PAGE)


def _copy(answer: Any, file: Any, size_bytes: int) -> int:
    """Copy at most one piece more than is expected, with a bar on a terminal; the bytes that came."""
    received = 0
    with tqdm(total=size_bytes, unit="B", unit_scale=True, leave=False, disable=None) as bar:
        while received <= size_bytes and (piece := answer.read(_PIECE_BYTES)):
            file.write(piece)
            received += len(piece)
            bar.update(len(piece))
    return received


def _drive_refused(said: bytes, remedy: str) -> JobError:
    """What Google Drive means, from gdown's sentence or from the page that came in place of the file."""
    if _QUOTA.search(said):
        what = "Google Drive does not give the file out now: too many have asked for it (its quota is used up)"
        return _refused(what, f"Try again tomorrow. {remedy}")
    if b"permission" in said.lower() or b"sign in" in said.lower():
        what = "Google Drive does not give the file out: its owner lets in only some, or too many have asked for it"
        return _refused(what, remedy)
    if said.lstrip().lower().startswith(_PAGE) or not said:
        return _refused("Google Drive sent a page and not the file", remedy)
    return _refused(f"Google Drive does not give the file out ({_line(said.decode(errors='replace'))})", remedy)


def _refused(what: str, remedy: str) -> JobError:
    return JobError(what, remedy=remedy, code="model_missing")


def _of_the_disk(problem: Exception) -> bool:
    return getattr(problem, "errno", None) in _DISK_NUMBERS


def _line(problem: object) -> str:
    return (str(problem).strip() or type(problem).__name__).partition("\n")[0][:200]
