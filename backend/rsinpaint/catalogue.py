"""`rsinpaint models`: what there is, what it can do, whether it is whole, and how it comes and goes."""

import json
from pathlib import Path
from typing import Any, get_args

import click
import msgspec

from .errors import JobError
from .jobs import Task
from .models import registry
from .models.card import Card
from .models.published import PUBLISHED, SYSTEMS
from .options import debug, model_id


@click.group()
def models() -> None:
    """List models, describe one, check their files; import, fetch and remove your own."""


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
        there = registry.paths()
        for one in PUBLISHED if task is None else ():
            if one.id not in there:
                size = f"{one.about_bytes / 1e6:,.0f} MB"
                click.echo(f"{one.id:<{width}}  can be had with `rsinpaint models fetch {one.id}` ({size})")
                click.echo(f"{'':{width}}  {one.title}")
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


@models.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--as", "as_system", type=click.Choice(SYSTEMS), help="Whose it is; default: told by its tensors.")
@click.option("--id", "name", required=True, callback=model_id, metavar="NAME", help="What to call the model.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug
def import_model(file: Path, as_system: str | None, name: str, as_json: bool) -> None:
    """Make a model of a published weights file: .pth, .pt, .tar or .safetensors. Code in it is never run."""
    from .models import install

    card = install.import_file(file, as_system, name)
    if as_json:
        click.echo(json.dumps(summary(card)))
    else:
        click.echo(f"Imported {file.name} as `{card.id}`\n{_came(card)}")


@models.command()
@click.argument("model_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug
def fetch(model_id: str, as_json: bool) -> None:
    """Download a model that is published elsewhere, or weights that a card points at."""
    from .models import fetch as fetching

    fetched = fetching.fetch(model_id)
    if as_json:
        came = {"downloaded_sha256": fetched.sha256, "pinned": fetched.pinned}
        click.echo(json.dumps(summary(fetched.card) | came))
    elif not fetched.sha256:
        click.echo(f"`{model_id}` is there already, and whole: nothing was downloaded")
    else:
        pin = fetching.pin_file(model_id)
        click.echo(f"Fetched `{model_id}`; the downloaded file's sha256 is {fetched.sha256}")
        if fetched.pinned:
            click.echo(f"Nobody has vouched for it. It is pinned in {pin}: the next fetch must bring the same file")
        click.echo(_came(fetched.card))


@models.command()
@click.argument("model_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@debug
def remove(model_id: str, as_json: bool) -> None:
    """Take away a model that was imported or fetched. Those that come with the program stay."""
    from .models import install

    gone = [str(path) for path in install.remove(model_id)]
    if as_json:
        click.echo(json.dumps({"id": model_id, "removed": gone}))
        return
    click.echo("\n".join(f"Removed {path}" for path in gone))
    if model_id in registry.paths():
        click.echo(f"`{model_id}` is the one that comes with the program from now on")


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


def _came(card: Card) -> str:
    """What the user should know of a model that has just come."""
    size = f"{card.weights.bytes:,} bytes, " if card.weights else ""
    return "\n".join(
        (
            f"  {card.title}: network {card.network}, for {', '.join(card.tasks)}",
            f"  weights in {registry.folder(card)}: {size}sha256 {card.sha256}",
            f"  licence: {card.licence}",
        )
    )


def _scores(card: Card) -> list[str]:
    if card.scores is None:
        return ["Not measured yet."]
    table = [card.scores.columns, *card.scores.rows]
    cells = [["" if one is None else str(one) for one in row] for row in table]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return [*lines, f"made by: {card.scores.command}"]
