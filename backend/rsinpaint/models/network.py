"""A trained network made ready for one scene: scaling, guess, band groups; cut by windows or by fixed patches."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..classical import GUESSES
from ..classical.contract import REACH, Far
from ..errors import JobError
from . import registry
from .bands import groups
from .card import Card
from .device import Device
from .fixed_windows import FixedWindows
from .normal import Fill, Flags, Inside, Normal, Scaling, Values
from .windows import Windows

WINDOW = 256
"""Side of the windows of a network that looks at all of its input, where its card names none."""
CARRIED = 32
"""Pixels that values are carried out into a collar, where no guess has filled it."""


class NetworkModel:
    """A trained network, which may start from a classical guess."""

    def __init__(
        self,
        card: Card,
        normal: Normal,
        *,
        size: tuple[int, int],
        bands: tuple[int, ...],
        device: str,
        threads: int | None,
        memory_bytes: int,
    ) -> None:
        network = _with_weights(card).eval()
        self._device = Device(network, device, threads)
        self.notes = self._device.notes
        self._cut: Windows | FixedWindows
        if network.halo is None:
            self._cut = FixedWindows(self._device, card.window or WINDOW, size, memory_bytes)
        else:
            seen = card.halo if card.halo is not None else int(network.halo)
            self._cut = Windows(self._device, seen, int(network.multiple), memory_bytes)
        self.multiple, self.sees_holes = self._cut.multiple, bool(getattr(network, "sees_holes", False))
        # a pixel that is written may hang on guesses `seen` away, which hang on known pixels near them
        if network.halo is None:
            self.halo = self._cut.seen + (REACH if card.first_guess else CARRIED)
        else:
            self.halo = max(self._cut.seen, REACH) if card.first_guess else self._cut.seen + CARRIED
        self._guess = GUESSES[card.first_guess] if card.first_guess else None
        self._normal, self._scaling = normal, Scaling.of(card.normalisation, normal, getattr(network, "span", (0, 1)))
        self._groups = groups(card, bands, normal.count)
        self._device.guided = hasattr(network, "edges") and len(self._groups) > 1

    @property
    def device(self) -> str:
        return self._device.name

    @property
    def between(self) -> Callable[[], None]:
        return self._device.between

    @between.setter
    def between(self, value: Callable[[], None]) -> None:
        self._device.between = value

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
        if self._guess is not None:
            z = self._guess(z, valid, holes, far)
            self.between()
        unknown = ~valid
        collar = unknown & ~holes
        for edge in np.flatnonzero(collar.any((1, 2))):
            z[edge] = _carried_out(z[edge], collar[edge], None if self._guess else CARRIED)
        scaled = self._scaling.forth(z)
        fill = z[inside].copy()
        error = np.zeros(fill.shape, np.float32)
        told = False
        for group in self._groups:
            wanted = [band for band in group.taken if holes[band].any()]
            if not wanted:
                continue
            seen = list(group.seen)
            shown, marked = scaled[seen], holes[seen]
            if self._device.guided:
                shown = np.concatenate([shown, scaled.mean(0, keepdims=True)])
                marked = np.concatenate([marked, holes.any(0, keepdims=True)])
            part, scale = self._cut(shown, unknown[seen], marked, inside, origin, group)
            for band in wanted:
                place = seen.index(band)
                fill[band] = self._scaling.back(part[place], band)
                if scale is not None:
                    told, error[band] = True, self._scaling.error(scale[place], band)
        error *= self._normal.std[:, None, None].astype(np.float32)
        return Fill(self._normal.back(fill, within=not self.sees_holes), error if told else None)


def _with_weights(card: Card) -> Any:
    """The card's network with its weights, on the CPU.

    Raises:
        JobError: the card asks for what is not there, or the weights do not fit.
    """
    from safetensors.torch import load_file

    from ..networks import build

    kind_of(card)
    corrupt = partial(_corrupt, card)
    try:
        network: Any = build(str(card.network), card.config)
    except (TypeError, ValueError) as problem:
        raise corrupt(f"its config does not suit network `{card.network}` ({problem})") from None
    if card.window is not None and (network.halo is not None or card.window % network.multiple):
        raise corrupt(f"its window of {card.window} pixels does not suit network `{card.network}`")
    if not card.needs_mask and hasattr(network, "men"):
        raise corrupt(f"network `{card.network}` cannot be used without a mask yet")
    state = {name: tensor.float() for name, tensor in load_file(registry.weights_path(card)).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as problem:
        fault = str(problem).replace("\n", " ")[:200]
        raise corrupt(f"its weights do not fit network `{card.network}` ({fault})") from None
    return network


def kind_of(card: Card) -> Any:
    """The class of the card's network.

    Raises:
        JobError: there is no such network.
    """
    from ..networks import NETWORKS, kind

    if card.network not in NETWORKS:
        raise _corrupt(card, f"there is no network `{card.network}`, only {', '.join(NETWORKS)}")
    return kind(card.network)


def _corrupt(card: Card, what: str) -> JobError:
    return JobError(f"Model `{card.id}`: {what}", remedy="Install the model again", code="model_corrupt")


def _carried_out(plane: NDArray[np.float32], collar: NDArray[np.bool_], far: int | None) -> NDArray[np.float32]:
    """The collar takes the value of the nearest pixel, so that the network sees no cliff at the scene's edge.

    Args:
        far: pixels over which it fades to the mean, so that nothing hangs on what lies beyond; None: not at all.
    """
    if collar.all():
        return plane
    distance, index = ndimage.distance_transform_edt(collar, return_indices=True)
    carried: NDArray[np.float32] = plane[tuple(index)]
    if far is not None:
        carried = (carried * np.clip(1 - distance / far, 0, 1)).astype(np.float32)
    return carried
