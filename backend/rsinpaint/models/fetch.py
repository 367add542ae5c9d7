"""Fetch a model from where it lies: weights that a card points at, or a published file, which is then imported."""

import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import JobError
from . import download, install, registry, weights
from .card import Card, Weights, read_card
from .publish import publish, saved, workplace
from .published import Published, published


@dataclass(frozen=True)
class Fetched:
    """What came of a fetch."""

    card: Card
    sha256: str
    """Of the file that was downloaded; empty: the model was there already, whole."""
    pinned: bool
    """True: this sha256 was written down now, and the next fetch must bring the same file."""


def fetch(model_id: str) -> Fetched:
    """Download a model: one whose card says where its weights lie, or one of `published.PUBLISHED`.

    A published file's sha256 is pinned at the first fetch, in `ID.sha256` in the user's folder, which stays there
    when the model is removed: a file that was exchanged meanwhile is refused before it is opened.

    Raises:
        JobError: there is nothing to download under this id, or the download fails or brings another file.
    """
    source = published(model_id)
    card = _card_if_any(model_id, broken_too=source is not None)
    if card is None:
        if source is None:
            raise registry.missing(model_id)
        return _fetch_published(source)
    if card.weights is None:
        raise JobError(f"`{model_id}` is a classical fill: it has no weights that could be fetched")
    try:
        registry.verify(card)
    except JobError as problem:
        if card.weights.url or card.weights.drive_id:
            return _fetch_weights(card, card.weights)
        if source is not None:
            return _fetch_published(source)
        what = f"The card of `{model_id}` does not say where its weights can be downloaded, and they are not whole"
        raise JobError(what, remedy=problem.remedy, code=problem.code) from None
    return Fetched(card, "", pinned=False)


def pin_file(model_id: str) -> Path:
    """Where the sha256 of a published file is kept, in the form that `sha256sum` writes."""
    return registry.user_folder() / f"{model_id}.sha256"


def _fetch_published(source: Published) -> Fetched:
    """Download a file in its published form, compare it with its pin, and import it."""
    remedy = f"Or download {source.page} in a browser and give it to `rsinpaint models import FILE --id {source.id}`"
    with workplace(source.id, need_bytes=2 * source.about_bytes) as place:
        file = place / source.file
        download.from_drive(source.drive_id, file, remedy)
        found, pin = weights.digest(file), pin_file(source.id)
        _compare(source, found, pin, remedy)
        try:
            fields, state = install.converted(file, source.importer)
        except JobError as problem:
            raise _wrong_file(source.id, problem, file, remedy) from None
        fields["trained_on"] = f"{fields['trained_on'].rstrip('.')}; fetched as {source.file}, sha256 {found}"
        fields["licence"] = source.licence
        card, made = saved(source.id, fields, state, place)
        publish(card, made)
        pinned = source.sha256 is None and not pin.is_file()
        if pinned:
            (place / pin.name).write_text(f"{found}  {source.file}\n", encoding="ascii")
            os.replace(place / pin.name, pin)
    return Fetched(card, found, pinned)


def _compare(source: Published, found: str, pin: Path, remedy: str) -> None:
    """Raise JobError when a downloaded file is not the one that was pinned."""
    expected, by = source.sha256, ""
    if expected is None and pin.is_file():
        expected, by = pin.read_text(encoding="ascii", errors="replace")[:64], f" (pinned in `{pin}`)"
    if expected is not None and found != expected:
        raise JobError(
            f"`{source.file}` is another file than before: its sha256 is {found}",
            f"{expected}{by}",
            f"If you know why it was exchanged, delete that file and fetch again. {remedy}" if by else remedy,
            code="model_corrupt",
        )


def _fetch_weights(card: Card, wanted: Weights) -> Fetched:
    """Download weights that a card describes; a card that came with the program is copied beside them."""
    home, remedy = registry.folder(card), "Ask where the card came from"
    with workplace(card.id, need_bytes=wanted.bytes) as place:
        file = place / wanted.file
        if wanted.url:
            download.from_url(wanted.url, file, wanted.bytes, remedy)
        else:
            download.from_drive(str(wanted.drive_id), file, remedy)
        try:
            weights.check(file, wanted.bytes, wanted.sha256, remedy)
        except JobError as problem:
            raise _wrong_file(card.id, problem, file, remedy) from None
        if home == registry.user_folder():
            os.replace(file, home / wanted.file)
        else:
            publish(card, file)
    return Fetched(card, wanted.sha256, pinned=False)


def _wrong_file(model_id: str, problem: JobError, file: Path, remedy: str) -> JobError:
    """The same finding about a file that will be gone when it is read."""
    finding = problem.what.replace(str(file), file.name)
    what = f"What was downloaded for `{model_id}` cannot be used: {finding}"
    return JobError(what, problem.expected, remedy, code="model_corrupt")


def _card_if_any(model_id: str, *, broken_too: bool) -> Card | None:
    """The card of a model, or None; a broken one raises JobError unless it may be replaced."""
    path = registry.paths().get(model_id)
    if path is None:
        return None
    try:
        return read_card(path)
    except JobError:
        if broken_too:
            return None
        raise
