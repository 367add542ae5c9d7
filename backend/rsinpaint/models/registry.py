"""Which models there are: the ones that come with the package and the ones in the user's folder."""

import difflib
import os
from pathlib import Path

from platformdirs import user_data_path

from ..errors import JobError
from . import weights
from .card import Card, read_card
from .published import published

BUNDLED = Path(__file__).parent / "bundled"
"""Read only; what we ship."""


def user_folder() -> Path:
    """The folder for the user's own models: `RSINPAINT_MODELS`, or the usual place for a program's data.

    Not the cache folder: cleaners empty that.
    """
    chosen = os.environ.get("RSINPAINT_MODELS")
    return Path(chosen).expanduser() if chosen else user_data_path("rsinpaint") / "models"


def folders() -> tuple[Path, ...]:
    """Where models are looked for; the user's come first, so that a newer version can replace a shipped one."""
    return user_folder(), BUNDLED


def cards() -> list[Card]:
    """All models with a card that can be read, by id. Weights are not looked at: see `verify`."""
    return survey()[0]


def survey() -> tuple[list[Card], list[JobError]]:
    """All models by id, and what is wrong with the cards that cannot be used.

    One broken card must not hide the other models, so it is told here instead of raised.
    """
    found, problems = [], []
    for _, path in sorted(paths().items()):
        try:
            found.append(read_card(path))
        except JobError as problem:
            problems.append(problem)
    return found, problems


def find(model_id: str) -> Card:
    """The card of a model.

    Raises:
        JobError: there is none (code `model_missing`; the nearest ids are named), or it is broken.
    """
    return read_card(card_path(model_id))


def card_path(model_id: str) -> Path:
    """The file of a model's card, which may be broken.

    Raises:
        JobError: there is none, as `missing` says it.
    """
    path = paths().get(model_id)
    if path is None:
        raise missing(model_id)
    return path


def missing(model_id: str) -> JobError:
    """The error for an id that no model has: it can be fetched, or the nearest ids are named."""
    ids = paths()
    near = difflib.get_close_matches(model_id.lower(), ids, n=3, cutoff=0.5)
    did_you_mean = f"Did you mean {' or '.join(f'`{one}`' for one in near)}? " if near else ""
    remedy = f"{did_you_mean}`rsinpaint models list` shows all {len(ids)}"
    if published(model_id):
        remedy = f"`rsinpaint models fetch {model_id}` downloads it"
    return JobError(f"There is no model `{model_id}`", remedy=remedy, code="model_missing")


def folder(card: Card) -> Path:
    """The folder in which the card lies; its weights lie beside it.

    Raises:
        JobError: the card was taken away since it was read.
    """
    path = paths().get(card.id)
    if path is None:
        raise JobError(f"The card of model `{card.id}` is gone", remedy="Start again", code="model_missing")
    return path.parent


def weights_path(card: Card) -> Path:
    """The weights file of a learned model; it may be missing, see `verify`.

    Raises:
        ValueError: a classical model has no weights.
    """
    if card.weights is None:
        raise ValueError(f"model `{card.id}` is a classical fill and has no weights")
    return folder(card) / card.weights.file


def verify(card: Card) -> None:
    """Check that the weights are the ones which the card speaks of: size, sha256, safetensors header.

    Cheap (0.06 s for 100 MiB), so it runs at every load and not only after a download. Needs no torch.

    Raises:
        JobError: code `model_missing` or `model_corrupt`; the sentence names the file and what is wrong.
    """
    if card.weights is None:
        return
    path = weights_path(card)
    if path.parent == BUNDLED:
        remedy = "It comes with the program: install rsinpaint again"
    elif card.weights.url or card.weights.drive_id or published(card.id):
        remedy = f"`rsinpaint models fetch {card.id}` downloads it"
    else:
        remedy = "Copy the file there again from where the model came from"
    weights.check(path, card.weights.bytes, card.weights.sha256, remedy)


def default_model(task: str) -> Card:
    """What `auto` stands for: the specialist of this one task, else a learned model, else a classical fill.

    Models for any band go before those that want certain ones, which the scene need not have. Within these kinds
    the model with fewer tasks, then the id, decides.

    Raises:
        JobError: no model does this task (code `model_missing`).
    """
    able = [card for card in cards() if task in card.tasks]
    if not able:
        remedy = "`rsinpaint models list` shows the tasks of each"
        raise JobError(f"No model is installed for the task `{task}`", remedy=remedy, code="model_missing")
    return min(able, key=_rank)


def _rank(card: Card) -> tuple[bool, bool, bool, int, str]:
    return card.bands != "any", len(card.tasks) > 1, not card.learned, len(card.tasks), card.id


def paths() -> dict[str, Path]:
    """Card files by model id; broken ones, too."""
    found: dict[str, Path] = {}
    for place in reversed(folders()):  # the first folder wins
        # Dot files are no cards: macOS leaves `._NAME` beside each file on foreign disks.
        found |= {path.stem: path for path in place.glob("*.json") if not path.name.startswith(".")}
    return found
