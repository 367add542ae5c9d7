"""Make a model ready for one scene, whether it is a classical fill or a trained network."""

from collections.abc import Callable
from typing import Protocol

from ..classical import GUESSES
from ..classical.contract import REACH, Far
from ..errors import JobError
from . import registry
from .card import Card
from .device import go_on
from .network import NetworkModel, kind_of
from .normal import Fill, Flags, Inside, Normal, Values

__all__ = ["Fill", "Model", "Normal", "load"]


class Model(Protocol):
    """A model made ready for one scene."""

    halo: int
    multiple: int
    sees_holes: bool
    """What lies in the holes is shown to it, and counts as known there."""
    notes: list[str]
    between: Callable[[], None]
    """Called between the parts of a window; may raise Cancelled."""

    @property
    def device(self) -> str:
        """Where it computes, at this moment."""

    def __call__(
        self,
        values: Values,
        valid: Flags,
        holes: Flags,
        far: Far,
        inside: Inside,
        origin: tuple[int, int] = (0, 0),
    ) -> Fill:
        """Fill one window; bands without any hole here help the others.

        Args:
            values: the scene's pixels, (bands, rows, columns), with the halo.
            valid, holes: likewise: what is known, and what is wanted.
            far: see `classical.contract`.
            inside: the part that is written, as slices of these arrays; the answer has its shape.
            origin: row and column of the scene where the arrays begin.
        """


def load(
    card: Card,
    normal: Normal,
    *,
    size: tuple[int, int],
    bands: tuple[int, ...],
    device: str,
    threads: int | None,
    memory_bytes: int,
) -> Model:
    """Make a model ready.

    Args:
        normal: statistics of the scene.
        size: its rows and columns.
        bands: those that may have holes, counted from 1, in the order that the job names.

    Raises:
        JobError: the weights are missing or damaged, or the device is not there.
    """
    if card.first_guess is not None and card.first_guess not in GUESSES:
        raise JobError(f"The card of `{card.id}` names the guess `{card.first_guess}`", "one of " + ", ".join(GUESSES))
    if not card.learned:
        return ClassicalModel(card, normal)
    registry.verify(card)
    return NetworkModel(card, normal, size=size, bands=bands, device=device, threads=threads, memory_bytes=memory_bytes)


def sees_holes(card: Card) -> bool:
    """Whether what lies in the holes is shown to the model: a cloud that it sees through.

    Raises:
        JobError: there is no such network, or its weights are missing or damaged.
    """
    if not card.learned:
        return False
    registry.verify(card)
    return bool(getattr(kind_of(card), "sees_holes", False))


class ClassicalModel:
    """A closed-form fill in scene units."""

    device = "cpu"
    sees_holes = False

    def __init__(self, card: Card, normal: Normal) -> None:
        self.halo, self.multiple = REACH, 1
        self.notes: list[str] = []
        self.between: Callable[[], None] = go_on
        self._guess, self._normal = GUESSES[str(card.first_guess)], normal

    def __call__(
        self,
        values: Values,
        valid: Flags,
        holes: Flags,
        far: Far,
        inside: Inside,
        origin: tuple[int, int] = (0, 0),
    ) -> Fill:
        z = self._normal.forth(values, valid)
        return Fill(self._normal.back(self._guess(z, valid, holes, far)[inside]), None)
