"""Models of the user's own: import a published file, or remove one."""

import contextlib
import pickle
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import JobError
from . import registry, weights
from .card import Card, read_card
from .download import is_page
from .publish import publish, saved, told, workplace

if TYPE_CHECKING:
    from .importers.contract import State

LEGACY_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""First bytes of files that torch wrote before 1.6: a number of its own, pickled."""
ZIP_START = b"PK\x03\x04"
_ASKED_FOR = re.compile(r"GLOBAL (\S+)")


def import_file(path: Path, as_system: str | None, model_id: str) -> Card:
    """Make a model of a published weights file.

    Args:
        path: `.pth`, `.pt`, `.tar` of torch or `.safetensors`; it is only read.
        as_system: one of `published.SYSTEMS`; None: recognised by the names of its tensors.
        model_id: what the model is to be called.

    Returns:
        The card, which lies in the user's folder with the weights beside it.

    Raises:
        JobError: the id is taken; the file cannot be read, may hold code, or is of no known system (the nearest
            is named); or the folder cannot take it.
    """
    _refuse_taken(model_id)
    fields, state = converted(path, as_system)
    origin = f"imported from {path.name}, sha256 {weights.digest(path)}"
    fields["trained_on"] = f"{fields['trained_on'].rstrip('.')}; {origin}"
    with workplace(model_id) as place:
        card, made = saved(model_id, fields, state, place)
        _refuse_other_weights(registry.user_folder() / made.name, card.sha256)
        publish(card, made)
    return card


def remove(model_id: str) -> list[Path]:
    """Take one of the user's own models away: its card, and its weights unless another card names them.

    Returns:
        The files that were removed.

    Raises:
        JobError: there is no such model, it came with the program, or a file cannot be removed.
    """
    card_file = registry.card_path(model_id)
    if card_file.parent == registry.BUNDLED:
        remedy = "Only models that were imported or fetched can be removed"
        raise JobError(f"`{model_id}` comes with the program and stays", remedy=remedy)
    names = {f"{model_id}.safetensors"}
    with contextlib.suppress(JobError):  # a broken card goes, too
        held = read_card(card_file).weights
        names = {held.file} if held else set()
    gone = [card_file]
    with told(card_file.parent):
        card_file.unlink()  # first: without its card there is no model
        for name in sorted(names - _named_by_cards(card_file.parent)):
            if (card_file.parent / name).is_file():
                (card_file.parent / name).unlink()
                gone.append(card_file.parent / name)
    return gone


def converted(path: Path, as_system: str | None) -> "tuple[dict[str, Any], State]":
    """Card fields and tensors of a published file; nothing in it can run.

    Raises:
        JobError: it cannot be read, may hold code, is damaged, or no importer knows it.
    """
    _refuse_stranger(path)
    from .importers import import_weights

    remedy = "Ask for a file that holds the state dictionary of the generator alone"
    try:
        fields, state = import_weights(path, as_system)
    except JobError as problem:
        # torch's own sentence advises to load it all the same
        if not isinstance(problem.__context__, pickle.UnpicklingError):
            raise
        asked_for = _ASKED_FOR.search(str(problem.__context__))
        what = f"`{path}` is damaged, or torch did not write it"
        if asked_for:
            what = f"`{path}` asks for `{asked_for[1]}`: it holds more than tensors, perhaps code, and was not opened"
        raise JobError(what, "named tensors and nothing else", remedy, code="model_corrupt") from None
    except (AssertionError, IndexError, struct.error):  # torch, on files that break off
        raise JobError(f"`{path}` is damaged", remedy="Download it again", code="model_corrupt") from None
    for key, tensor in state.items():
        if not tensor.isfinite().all():
            what = f"`{path.name}`: tensor `{key}` holds numbers that are not finite"
            raise JobError(what, remedy="Take an earlier checkpoint of that training", code="model_corrupt")
    return fields, state


def _refuse_stranger(path: Path) -> None:
    """Raise JobError, before torch is asked, for a file that is plainly no weights."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
        finding = ""
        if not start:
            finding = "is empty"
        elif is_page(path):
            finding = "is a web page, not weights (a download that asked for a login or a confirmation)"
        elif path.suffix == ".safetensors":
            finding = weights.header_problem(path)
        elif not start.startswith((ZIP_START, LEGACY_START)):
            finding = "was not written by torch, or is a safetensors file under another ending"
    except OSError as problem:
        remedy = "Check the name and its permissions"
        raise JobError(
            f"`{path}` cannot be read ({problem.strerror})", remedy=remedy, code="input_unreadable"
        ) from None
    if finding:
        remedy = "Is it the generator's weights file, downloaded as a whole?"
        raise JobError(f"`{path}` {finding}", "`.pth`, `.pt`, `.tar` or `.safetensors`", remedy, code="model_corrupt")


def _refuse_taken(model_id: str) -> None:
    """Raise JobError when a model has this id, or must not have it."""
    if model_id == "auto":
        raise JobError("`auto` stands for the best model of a task", "another name", "Choose one with `--id`")
    path = registry.paths().get(model_id)
    if path is not None and path.parent == registry.BUNDLED:
        raise JobError(f"A model `{model_id}` comes with the program", "a new name", "Choose one with `--id`")
    if path is not None:
        remedy = f"Choose one with `--id`, or take the old one away: `rsinpaint models remove {model_id}`"
        raise JobError(f"There is a model `{model_id}` already", "a new name", remedy)


def _refuse_other_weights(target: Path, sha256: str) -> None:
    """Raise JobError rather than replace a file that lies in the user's folder and is no model's of ours."""
    if target.exists() and weights.digest(target) != sha256:
        remedy = "Take it out of the folder, or choose another name with `--id`"
        raise JobError(f"There is another file `{target}` already", remedy=remedy, code="output_unwritable")


def _named_by_cards(folder: Path) -> set[str]:
    """Names of the weights that the cards in a folder speak of."""
    named = set()
    for path in folder.glob("*.json"):
        with contextlib.suppress(JobError):
            held = read_card(path).weights
            named |= {held.file} if held else set()
    return named
