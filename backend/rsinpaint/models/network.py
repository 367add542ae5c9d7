"""A trained network made ready for one scene: scaling, guess, band groups; cut by windows or by fixed patches."""

from collections.abc import Callable
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
from .normal import Fill, Flags, Inside, Normal, Scaling, Values
from .patches import Patches
from .windows import Windows

PATCH = 256
"""Side of the patches of a network that looks at all of its input, where its card names none."""


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
        self._cut: Windows | Patches
        if network.halo is None:
            self._cut = Patches(self._device, card.window or PATCH, size, memory_bytes)
        else:
            seen = card.halo if card.halo is not None else int(network.halo)
            self._cut = Windows(self._device, seen, int(network.multiple), memory_bytes)
        self.multiple, self.sees_holes = self._cut.multiple, bool(getattr(network, "sees_holes", False))
        # a pixel that is written may hang on guesses `seen` away, which hang on known pixels near them
        reach = REACH if card.first_guess else 0
        self.halo = self._cut.seen + reach if network.halo is None else max(self._cut.seen, reach)
        self._guess = GUESSES[card.first_guess] if card.first_guess else None
        self._normal, self._scaling = normal, Scaling.of(card.normalisation, normal, getattr(network, "span", (0, 1)))
        self._groups = groups(card, bands, normal.count)

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
            z[edge] = _carried_out(z[edge], collar[edge])
        scaled = self._scaling.forth(z)
        fill = z[inside].copy()
        error = np.zeros(fill.shape, np.float32)
        told = False
        for group in self._groups:
            wanted = [band for band in group.taken if holes[band].any()]
            if not wanted:
                continue
            seen = list(group.seen)
            part, scale = self._cut(scaled[seen], unknown[seen], holes[seen], inside, origin, group)
            for band in wanted:
                place = seen.index(band)
                fill[band] = self._scaling.back(part[place], band)
                if scale is not None:
                    told, error[band] = True, self._scaling.error(scale[place], band)
        error *= self._normal.std[:, None, None].astype(np.float32)
        return Fill(self._normal.back(fill), error if told else None)


def _with_weights(card: Card) -> Any:
    """The card's network with its weights, on the CPU.

    Raises:
        JobError: the card asks for what is not there, or the weights do not fit.
    """
    from safetensors.torch import load_file

    from ..networks import NETWORKS, build

    def corrupt(what: str) -> JobError:
        return JobError(f"Model `{card.id}`: {what}", remedy="Install the model again", code="model_corrupt")

    if card.network not in NETWORKS:
        raise corrupt(f"there is no network `{card.network}`, only {', '.join(NETWORKS)}")
    try:
        network: Any = build(card.network, card.config)
    except (TypeError, ValueError) as problem:
        raise corrupt(f"its config does not suit network `{card.network}` ({problem})") from None
    if card.window is not None and (network.halo is not None or card.window % network.multiple):
        raise corrupt(f"its window of {card.window} pixels does not suit network `{card.network}`")
    state = {name: tensor.float() for name, tensor in load_file(registry.weights_path(card)).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as problem:
        fault = str(problem).replace("\n", " ")[:200]
        raise corrupt(f"its weights do not fit network `{card.network}` ({fault})") from None
    return network


def _carried_out(plane: NDArray[np.float32], collar: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The collar takes the value of the nearest pixel, so that the network sees no cliff at the scene's edge."""
    if collar.all():
        return plane
    index = ndimage.distance_transform_edt(collar, return_distances=False, return_indices=True)
    carried: NDArray[np.float32] = plane[tuple(index)]
    return carried
