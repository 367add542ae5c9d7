"""Weights of our own feature network: the bundled file, checked against its card, or one that is named."""

import json
from pathlib import Path

from rsinpaint.errors import JobError
from rsinpaint.models.importers.contract import State, read_state
from rsinpaint.models.weights import check

from .strata import Strata

CARD = Path(__file__).with_name("strata-s.json")


def load(weights: Path | None) -> Strata:
    """The network with the weights of a safetensors file; None: the bundled ones.

    Raises:
        JobError: the file is missing, is not the one of which the card speaks, or is of another network.
    """
    if weights is None:
        card = json.loads(CARD.read_text(encoding="utf-8"))
        weights = CARD.with_name(card["weights"]["file"])
        check(weights, card["weights"]["bytes"], card["weights"]["sha256"], "Get the repository's files again")
    state = read_state(weights)
    network = Strata(widths=_widths(state))
    wanted = network.state_dict()
    if {key: tensor.shape for key, tensor in state.items()} != {key: tensor.shape for key, tensor in wanted.items()}:
        what = f"`{weights.name}` holds {len(state)} tensors of another network"
        raise JobError(what, "those that `python -m training.train_features --pack true` writes", code="model_corrupt")
    network.load_state_dict(state)
    return network


def _widths(state: State) -> list[int]:
    """Planes at each scale, from the shapes."""
    scales = sum(key.startswith("second.") and key.endswith(".weight") for key in state)
    return [len(state[key]) for scale in range(scales) if (key := f"second.{scale}.weight") in state]
