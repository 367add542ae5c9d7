"""What stands before and behind the writing of an output: checks, temporary names, their litter,
and the rename that makes an output exist (promise 7)."""

import contextlib
import errno
import os
import platform
import re
import shutil
import sys
import time
import zlib
from collections.abc import Sequence
from typing import Literal, NoReturn

from ..errors import JobError
from .scene import Scene

Format = Literal["gtiff", "cog"]

SIDECARS = (".aux.xml", ".ovr", ".msk")
LONGEST_NAME = 150  # bytes of an output's name kept in the temporary one; file systems end at 255
FULL_BYTES = 16 << 20  # less than this free after a failed write: the disk is full, whatever GDAL says
OTHER_HOST_S = 24 * 3600
HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_LITTER = re.compile(r"^\..+\.rsinpaint-(?P<pid>\d+)-(?P<host>[0-9a-f]{8})\.")


def temporary_name(output: str, kind: str) -> str:
    """A name beside `output` that no reader takes for it: `.NAME.rsinpaint-PID-HOST.KIND.tif`.

    The host is in it since process numbers mean nothing on a folder that several computers, or containers, share.
    """
    folder, name = os.path.split(output)
    if len(name.encode()) > LONGEST_NAME:
        name = f"{zlib.crc32(name.encode()):08x}"
    return os.path.join(folder, f".{name}.rsinpaint-{os.getpid()}-{HOST}.{kind}.tif")


def discard(temporary: str) -> None:
    """Remove a temporary file and everything that GDAL put beside it, if there."""
    folder, name = os.path.split(temporary)
    with contextlib.suppress(OSError):  # what cannot be removed now, the next run sweeps
        for found in os.listdir(folder or "."):
            if found.startswith(name):
                os.remove(os.path.join(folder, found))


def sweep(folder: str) -> tuple[str, ...]:
    """Remove temporaries of killed runs: their process is dead, or (another host's) untouched for a day.

    Returns:
        Names of the removed files. What cannot be removed stays for the next run.
    """
    removed = []
    for name in sorted(os.listdir(folder or ".")):
        litter, path = _LITTER.match(name), os.path.join(folder, name)
        if litter is None:
            continue
        with contextlib.suppress(OSError):
            if litter["host"] == HOST:
                stale = not alive(int(litter["pid"]))
            else:
                stale = time.time() - os.path.getmtime(path) > OTHER_HOST_S
            if stale:
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
                removed.append(name)
    return tuple(removed)


def alive(pid: int) -> bool:
    """Whether a process of this computer runs."""
    if sys.platform == "win32":  # os.kill(pid, 0) would send it Ctrl-C there
        import ctypes

        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        code = ctypes.c_ulong(0)
        running = bool(handle) and bool(kernel.GetExitCodeProcess(handle, ctypes.byref(code))) and code.value == 259
        if handle:
            kernel.CloseHandle(handle)
        return running
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def publish(temporary: str, output: str, *, overwrite: bool) -> None:
    """Give a finished temporary file its name, with its sidecar; those of a replaced file go.

    The raster itself is renamed last, so that it never stands under its name without its sidecar.
    When that fails, the old file still has what was beside it.

    Raises:
        JobError: `output` came into being meanwhile and may not be replaced, or another program holds it open.
    """
    if os.path.exists(output) and not overwrite:
        raise exists_already(output)
    _to_disk(temporary)
    aside = {output + end: f"{temporary}.old{end}" for end in SIDECARS if os.path.lexists(output + end)}
    done: list[tuple[str, str]] = []
    try:
        for old, new in [*aside.items(), (temporary + ".aux.xml", output + ".aux.xml"), (temporary, output)]:
            if old != temporary + ".aux.xml" or os.path.exists(old):
                os.replace(old, new)
                done.append((old, new))
    except OSError as problem:
        for old, new in reversed(done):
            os.replace(new, old)
        if isinstance(problem, PermissionError):
            raise JobError(
                f"`{output}` cannot be replaced ({problem.strerror})",
                "a file that no program holds open",
                "Close the layer in QGIS or choose another name",
                code="output_unwritable",
            ) from problem
        raise
    for old in aside.values():
        with contextlib.suppress(OSError):  # the output stands; litter is swept by the next run
            os.remove(old)
    _to_disk(os.path.dirname(output) or ".")


def check_output(
    output: str, scene: Scene, overwrite: bool, *, format: Format = "gtiff", protected: Sequence[str] = ()
) -> None:
    """Find out before any work whether `output` can be made.

    Args:
        protected: other files of the job (mask, references, its other outputs) that it must not replace.

    Raises:
        JobError: the folder is missing or not writable, the name is no GeoTIFF's, the file is one of the inputs
            or exists without `overwrite`, or the disk has less free than 1.1 times the uncompressed size.
    """

    def refuse(what: str, expected: str, remedy: str, code: str = "output_unwritable") -> NoReturn:
        raise JobError(what, expected, remedy, code=code)

    folder = os.path.dirname(output) or "."
    if os.path.splitext(output)[1].lower() not in (".tif", ".tiff"):
        refuse(f"`{output}` is not named like a GeoTIFF", "a name in `.tif`", "Change the ending", "bad_request")
    if not os.path.isdir(folder):
        refuse(f"Folder `{folder}` for the output does not exist", "an existing one", "Make it or choose another")
    if os.path.isdir(output):
        refuse(f"`{output}` is a folder", "the name of a file", "Add a name to it", "bad_request")
    for taken in (*scene.files, *scene.paths, *protected):
        if _same_file(output, taken):
            refuse(f"Output `{output}` is also read or written by this job as `{taken}`", "a file of its own",
                   "Choose another name", "bad_request")  # fmt: skip
    if os.path.lexists(output) and not overwrite:
        raise exists_already(output)
    if not os.access(folder, os.W_OK):
        refuse(f"Folder `{folder}` cannot be written to", "one that can", "Choose another folder")
    size = scene.height * scene.width * scene.count * scene.dtype.itemsize
    need, free = size * 11 // 10 * (2 if format == "cog" else 1), shutil.disk_usage(folder).free
    if need > free:
        refuse(f"The disk of `{folder}` has {free / 2**30:.1f} GiB free", f"{need / 2**30:.1f} GiB for `{output}`",
               "Free some space or choose a folder on another disk", "disk_full")  # fmt: skip


def exists_already(output: str) -> JobError:
    """The error for an output that may not be replaced."""
    return JobError(f"`{output}` exists already", "a new name", "Choose another one, or give `--overwrite`")


def write_error(output: str, problem: BaseException) -> JobError:
    """Word a failed write. To be called while the temporary file still takes its space.

    GDAL's own text never says that the disk is full: libtiff prints that to stderr and returns a bare failure.
    """
    folder = os.path.dirname(output) or "."
    numbers = {getattr(each, "errno", None) for each in (problem, problem.__cause__)}
    free = shutil.disk_usage(folder).free if os.path.isdir(folder) else FULL_BYTES
    if free < FULL_BYTES or numbers & {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}:
        return JobError(
            f"The disk of `{folder}` is full ({free / 2**20:.0f} MiB free): `{output}` was not made",
            remedy="Free some space or choose a folder on another disk",
            code="disk_full",
        )
    return JobError(
        f"`{output}` cannot be written ({problem.__cause__ or problem})",
        "a folder that takes the file",
        "Check permissions, quota and connection of the folder",
        code="output_unwritable",
    )


def _to_disk(path: str) -> None:
    """Ask the system to store a file (or, on POSIX, a folder's names) before going on: power may fail."""
    if os.path.isdir(path) and os.name == "nt":
        return
    number = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as problem:
        if problem.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that cannot
            raise
    finally:
        os.close(number)


def _same_file(first: str, second: str) -> bool:
    if os.path.exists(first) and os.path.exists(second):
        return os.path.samefile(first, second)
    return os.path.realpath(first) == os.path.realpath(second)
