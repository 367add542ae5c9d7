"""Make a model ready for one scene, whether it is a classical fill or a trained network."""

from collections.abc import Callable
from typing import Protocol

from ..classical import GUESSES
from ..classical.contract import REACH, Far
from ..errors import JobError
from . import registry
from .card import Card
from .network import NetworkModel, go_on
from .normal import Fill, Flags, Inside, Normal, Values

__all__ = ["Fill", "Model", "Normal", "load"]


class Model(Protocol):
    """A model made ready for one scene."""

    device: str
    halo: int
    multiple: int
    notes: list[str]
    between: Callable[[], None]
    """Called between the parts of a window; may raise Cancelled."""

    def __call__(self, values: Values, valid: Flags, holes: Flags, far: Far, inside: Inside) -> Fill:
        """Fill one window; bands without any hole here help the others.

        Args:
            values: the scene's pixels, (bands, rows, columns), with the halo.
            valid, holes: likewise: what is known, and what is wanted.
            far: see `classical.contract`.
            inside: the part that is written, as slices of these arrays; the answer has its shape.
        """


def load(card: Card, normal: Normal, *, device: str, threads: int | None, memory_bytes: int) -> Model:
    """Make a model ready.

    Raises:
        JobError: the weights are missing or damaged, or the device is not there.
    """
    if card.first_guess is not None and card.first_guess not in GUESSES:
        raise JobError(f"The card of `{card.id}` names the guess `{card.first_guess}`", "one of " + ", ".join(GUESSES))
    if not card.learned:
        return ClassicalModel(card, normal)
    registry.verify(card)
    return NetworkModel(card, normal, device=device, threads=threads, memory_bytes=memory_bytes)


class ClassicalModel:
    """A closed-form fill in scene units."""

    def __init__(self, card: Card, normal: Normal) -> None:
        self.device, self.halo, self.multiple = "cpu", REACH, 1
        self.notes: list[str] = []
        self.between: Callable[[], None] = go_on
        self._guess, self._normal = GUESSES[str(card.first_guess)], normal

    def __call__(self, values: Values, valid: Flags, holes: Flags, far: Far, inside: Inside) -> Fill:
        z = self._normal.forth(values, valid)
        return Fill(self._normal.back(self._guess(z, valid, holes, far)[inside]), None)
