"""`rsinpaint models`: what there is, what it can do, and whether it is whole."""

import json
from typing import Any, get_args

import click
import msgspec

from .errors import JobError
from .jobs import Task
from .models import registry
from .models.card import Card
from .options import debug


@click.group()
def models() -> None:
    """List models, describe one, check their files."""


@models.command("list")
@click.option("--task", type=click.Choice(get_args(Task)), help="Only models for this task.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@debug
def list_models(task: str | None, as_json: bool) -> None:
    """List the models that are installed."""
    cards, problems = registry.survey()
    cards = [card for card in cards if task is None or task in card.tasks]
    if as_json:
        click.echo(json.dumps([summary(card) for card in cards]))
    else:
        width = max((len(card.id) for card in cards), default=0)
        for card in cards:
            kind = "network" if card.learned else "classical"
            click.echo(f"{card.id:<{width}}  {kind:<9}  {', '.join(card.tasks)}\n{'':{width}}  {card.title}")
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)


@models.command()
@click.argument("model_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print the whole card.")
@debug
def info(model_id: str, as_json: bool) -> None:
    """Describe one model: what it is for, how good it is, what it does badly."""
    card = registry.find(model_id)
    click.echo(json.dumps(msgspec.to_builtins(card), indent=2) if as_json else describe(card))


@models.command()
@click.argument("model_ids", nargs=-1, metavar="[ID ...]")
@debug
def verify(model_ids: tuple[str, ...]) -> None:
    """Check the weights of the models named, or of all; exit with 1 when one is not whole."""
    cards, problems = ([registry.find(one) for one in model_ids], []) if model_ids else registry.survey()
    bad = [str(problem) for problem in problems]
    for card in cards:
        try:
            registry.verify(card)
        except JobError as problem:
            bad.append(str(problem))
            click.echo(f"{card.id}: BAD")
        else:
            click.echo(f"{card.id}: ok" if card.learned else f"{card.id}: ok, has no weights")
    for sentence in bad:
        click.echo(f"Error: {sentence}", err=True)
    if bad:
        click.get_current_context().exit(1)


def summary(card: Card) -> dict[str, Any]:
    """What a list of models shows of one; also the worker's answer to `models`."""
    return {
        "id": card.id,
        "title": card.title,
        "summary": card.summary,
        "version": card.version,
        "learned": card.learned,
        "tasks": list(card.tasks),
        "bands": msgspec.to_builtins(card.bands),
        "needs_mask": card.needs_mask,
        "references": card.references,
        "outputs": list(card.outputs),
        "sha256": card.sha256,
        "size": card.weights.bytes if card.weights else 0,
        "licence": card.licence,
    }


def describe(card: Card) -> str:
    """A card as text for a terminal."""
    bands = card.bands if isinstance(card.bands, (str, int)) else ", ".join(map(str, card.bands))
    rows = [
        ("for", ", ".join(card.tasks)),
        ("kind", f"network {card.network}" if card.learned else "classical fill, nothing learned"),
        ("bands", str(bands)),
        ("references", card.references),
        ("gives", ", ".join(card.outputs)),
        ("trained on", card.trained_on),
        ("limits", card.limits),
        ("weights", f"{card.weights.file}, {card.weights.bytes:,} bytes" if card.weights else ""),
        ("sha256", card.sha256),
        ("licence", card.licence),
        ("paper", card.source.paper),
        ("repository", card.source.repository),
    ]
    lines = [f"{card.id}: {card.title}, version {card.version}", card.summary, ""]
    lines += [f"{name:<12}{text}" for name, text in rows if text]
    return "\n".join([*lines, "", *_scores(card)])


def _scores(card: Card) -> list[str]:
    if card.scores is None:
        return ["Not measured yet."]
    table = [card.scores.columns, *card.scores.rows]
    cells = [["" if one is None else str(one) for one in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [*lines, f"made by: {card.scores.command}"]
