"""Card: the JSON beside the weights that says all that is needed to use them, and what to expect."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ..errors import JobError
from ..jobs import Task

Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=64)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Pixels = Annotated[int, msgspec.Meta(ge=0)]
# A bare name: a card must not be able to point at a file outside its own folder.
FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.safetensors$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]

CARD_LIMIT_BYTES = 1 << 20
"""No card is larger; what is larger is some other file under a card's name."""


class Weights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The safetensors file beside the card."""

    file: FileName
    bytes: Annotated[int, msgspec.Meta(ge=1)]
    sha256: Sha256
    url: str | None = None
    """Where the file can be downloaded; None: it comes with the card."""
    drive_id: str | None = None
    """Likewise, as the id of a file on Google Drive."""


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fixed normalisation of all bands, (value - centre) / scale."""

    centre: float
    scale: Annotated[float, msgspec.Meta(gt=0)]


class Scores(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of measurements and the command that makes it again."""

    command: Text
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row of `scores` has {len(row)} cells, expected {len(self.columns)}")


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the method comes from; empty where there is none."""

    paper: str = ""
    repository: str = ""


class Card(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model: a network with its weights, or a classical fill, which has neither."""

    id: Id
    """Name in `--model`; also the name of the card's file."""
    title: Text
    summary: Text
    """One or two sentences for the person who has to choose."""
    tasks: Annotated[tuple[Task, ...], msgspec.Meta(min_length=1)]
    """What it is offered for."""
    network: str | None
    """Key of `networks.NETWORKS`; None: a classical fill."""
    config: dict[str, Any] = {}
    """Keyword arguments of the network's constructor."""
    bands: Literal["any"] | Annotated[int, msgspec.Meta(ge=1)] | tuple[str | float, ...]
    """`any`, a count, or the bands in their order as names or wavelengths in micrometres."""
    normalisation: Literal["none", "mean-std", "range", "picture"] | Scaling
    """Of each band before the network: by mean and deviation, or by range, of the scene's valid pixels, or fixed.
    `picture`: 0 to 255 of 8-bit scenes, the range of others."""
    needs_mask: bool
    """False: finds holes by itself."""
    references: Literal["none", "optional", "required"]
    outputs: tuple[Literal["fill", "uncertainty", "mask", "edges", "attention"], ...]
    window: Annotated[int, msgspec.Meta(ge=1)] | None
    """Side of a window, in pixels, which the network insists on; None: any."""
    halo: Pixels | None
    """How far the network looks beyond what it fills, in pixels; None: as its code says."""
    first_guess: str | None
    """Key of `classical.GUESSES` from which the network starts; for a classical fill: the fill itself."""
    weights: Weights | None
    trained_on: str
    scores: Scores | None = None
    """None: not measured yet, a draft."""
    limits: Text
    """What it does badly."""
    licence: Text
    source: Source
    version: Text

    def __post_init__(self) -> None:
        if (self.network is None) != (self.weights is None):
            raise ValueError("`network` and `weights` belong together: both or neither")
        if self.network is None and self.first_guess is None:
            raise ValueError("a model without `network` needs `first_guess`, the classical fill that it is")
        if "fill" not in self.outputs:
            raise ValueError("`outputs` has no `fill`")

    @property
    def learned(self) -> bool:
        """True for a trained network, False for a classical fill."""
        return self.network is not None

    @property
    def sha256(self) -> str:
        """Of the weights, as hex digits; empty for a classical fill."""
        return self.weights.sha256 if self.weights else ""


def read_card(path: Path) -> Card:
    """Read and validate one card.

    Raises:
        JobError: the file cannot be read, is no JSON, or a field is missing, unknown or wrong; the sentence
            names the file and the field (code `model_corrupt`).
    """
    try:
        if path.stat().st_size > CARD_LIMIT_BYTES:
            raise _bad(path, f"has {path.stat().st_size} bytes, expected at most {CARD_LIMIT_BYTES}")
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except OSError as problem:
        raise _bad(path, f"cannot be read ({problem.strerror})") from None
    except msgspec.ValidationError as problem:
        raise _bad(path, f"is not understood: {_in_words(str(problem))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise _bad(path, f"is no JSON ({problem})") from None
    if card.id != path.stem:
        raise _bad(path, f"has the id `{card.id}`, expected `{path.stem}` as its file is named")
    return card


def write_card(card: Card, path: Path) -> None:
    """Write a card so that `read_card` gives it back; same card, same bytes."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")


def _bad(path: Path, finding: str) -> JobError:
    remedy = "Install the model again, or take its two files out of the folder"
    return JobError(f"The card `{path}` {finding}", remedy=remedy, code="model_corrupt")


def _in_words(problem: str) -> str:
    """Turn msgspec's JSON path, `... - at $.weights.bytes`, into the name of the field."""
    text, _, place = problem.partition(" - at `$")
    field = re.sub(r"^\.", "", place.rstrip("`"))
    return f"field `{field}`: {text}" if field else text
