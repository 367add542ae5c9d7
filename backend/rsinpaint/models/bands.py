"""Which bands a network sees together: all of them, the ones it was made for, or three at a time."""

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import JobError
from .card import Card

PICTURE = 3
"""Networks for pictures of up to so many bands see any scene, so many bands at a time."""


class Group(NamedTuple):
    """Bands that go through the network together, counted from 0."""

    seen: tuple[int, ...]
    taken: tuple[int, ...]
    """Of these the answer is used; the others only stand beside them."""


def wanted(card: Card) -> int | None:
    """How many bands the network sees at once; None: any number."""
    if card.bands == "any":
        return None
    return card.bands if isinstance(card.bands, int) else len(card.bands)


def check(card: Card, scene_name: str, bands: int) -> None:
    """Raise JobError when the chosen bands are not as many as a network for many bands was made for."""
    count = wanted(card)
    if count is None or count <= PICTURE or count == bands:
        return
    names = "" if isinstance(card.bands, int) else f" ({', '.join(map(str, card.bands))})"
    raise JobError(
        f"`{scene_name}` has {bands} bands to be seen",
        f"{count} for model `{card.id}`{names}",
        "Choose them with `--bands`, or a model for any band: `rsinpaint models list`",
    )


def note(card: Card, bands: int) -> list[str]:
    """A sentence for the user where the network is shown other bands than it was made for."""
    count = wanted(card)
    if count is None or count == bands:
        return []
    made_for = f"{count} bands" if isinstance(card.bands, int) else ", ".join(map(str, card.bands))
    return [
        f"`{card.id}` was made for {made_for}: of {bands} bands it saw {count} at a time, in their order. "
        "`--bands` names others, in the order that it wants"
    ]


def groups(card: Card, chosen: Sequence[int], count: int) -> list[Group]:
    """How the bands of a scene are shown to the network.

    Args:
        chosen: bands that may have holes, counted from 1, in the order in which the network wants them; a network
            for any number sees the others, too.
        count: bands of the scene.

    >>> from types import SimpleNamespace as Any
    >>> [(group.seen, group.taken) for group in groups(Any(bands=3), (1, 2, 3, 4, 5), 5)]
    [((0, 1, 2), (0, 1, 2)), ((2, 3, 4), (3, 4))]
    >>> [group.seen for group in groups(Any(bands=3), (2,), 5)]
    [(1, 1, 1)]
    """
    together = wanted(card)
    if together is None:
        return [Group(tuple(range(count)), tuple(range(count)))]
    bands, out, taken = tuple(band - 1 for band in chosen), [], set[int]()
    for first in range(0, len(bands), together):
        first = max(min(first, len(bands) - together), 0)
        part = bands[first : first + together]
        seen = tuple(part[number % len(part)] for number in range(together))
        out.append(Group(seen, tuple(band for band in part if band not in taken)))
        taken.update(part)
    return out
