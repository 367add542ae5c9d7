"""The user's folder of models: files in the making, and the renames that make a model of them."""

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import JobError
from . import registry, weights
from .card import Card, Weights, write_card

if TYPE_CHECKING:
    from .importers.contract import State

STALE_S = 24 * 3600
"""Files in the making that were untouched for so long are the litter of a killed run."""

_PART = ".part"
_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextlib.contextmanager
def workplace(model_id: str, need_bytes: int = 0) -> Iterator[Path]:
    """A folder for files in the making, inside the user's folder so that a rename publishes them; gone at the end.

    Raises:
        JobError: for every OSError inside, and when less than `need_bytes` are free.
    """
    folder = registry.user_folder()
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        if shutil.disk_usage(folder).free < need_bytes:
            raise OSError(errno.ENOSPC, f"{need_bytes >> 20} MiB are needed")
        place = Path(tempfile.mkdtemp(prefix=f".{model_id}.", suffix=_PART, dir=folder))
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def told(folder: Path) -> Iterator[None]:
    """Turn what the disk says into words."""
    try:
        yield
    except OSError as problem:
        if problem.errno in _FULL:
            what = f"The disk of `{folder}` is full ({problem.strerror})"
            remedy = "Free some space, or name another folder in RSINPAINT_MODELS"
            raise JobError(what, remedy=remedy, code="disk_full") from None
        what = f"The folder `{folder}` cannot be written to ({problem.strerror})"
        remedy = "Check its permissions, or name another folder in RSINPAINT_MODELS"
        raise JobError(what, remedy=remedy, code="output_unwritable") from None


def saved(model_id: str, fields: dict[str, Any], state: "State", place: Path) -> tuple[Card, Path]:
    """The card and the weights file that it speaks of, under `place`."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    made, seen = place / f"{model_id}.safetensors", set()
    for name, tensor in state.items():
        start = tensor.untyped_storage().data_ptr()
        state[name] = tensor.clone() if start in seen else tensor.contiguous()  # safetensors takes no shared memory
        seen.add(start)
    try:
        save_file(state, made)
    except SafetensorError as problem:
        full = "os error 28" in str(problem) or shutil.disk_usage(place).free < 1 << 20
        raise OSError(errno.ENOSPC if full else errno.EIO, str(problem)) from None
    held = Weights(file=made.name, bytes=made.stat().st_size, sha256=weights.digest(made))
    return msgspec.convert(fields | {"id": model_id, "weights": msgspec.to_builtins(held)}, Card), made


def publish(card: Card, made: Path) -> None:
    """Give both files their names; the card, which makes them a model, last."""
    folder, card_file = registry.user_folder(), made.with_name("card")
    write_card(card, card_file)
    shutil.copymode(card_file, made)  # safetensors writes for the owner alone; a shared folder needs both alike
    os.replace(made, folder / made.name)
    try:
        os.replace(card_file, folder / f"{card.id}.json")
    except OSError:
        (folder / made.name).unlink()
        raise


def _sweep(folder: Path) -> None:
    """Remove what killed runs left; what cannot be removed stays for the next."""
    for litter in folder.glob(f".*{_PART}"):
        with contextlib.suppress(OSError):
            if time.time() - litter.stat().st_mtime > STALE_S:
                shutil.rmtree(litter)
