"""From a run to the files that are shipped: level the network, score it, write weights and card."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..crops import Packed
from .scores import clean, order, pretext
from .strata import Strata
from .views import ViewRecipe

FOLDER = Path(__file__).parent
ID = "strata-s"
COMMAND = "python -m training.train_features --config training/recipes/features.yaml --pack true"


@torch.no_grad()
def level(network: Strata, crops: Tensor) -> None:
    """Scale the weights so that the features at each tap have a mean square of 1 over `crops`.

    So each scale counts alike in a loss. What the network can tell stays the same: leaky ReLUs let a positive
    factor through, and the next scale divides by it.
    """
    for number, second in enumerate(network.second):
        features = network(crops, [network.taps[number]])[0]
        size = features.square().mean().sqrt()
        for tensor in second.parameters():
            tensor.div_(size)
        if number + 1 < len(network.first):
            network.first[number + 1].weight.mul_(size)  # type: ignore[operator]


def pack(
    pupil: nn.Module, packed: Packed, held_out: Packed, views: ViewRecipe, step: int, folder: Path = FOLDER
) -> Path:
    """Write `strata-s.safetensors` (half precision) and `strata-s.json` into the folder; returns the card's path.

    Args:
        pupil: the network (`network`) with its heads, as `train_features` keeps it. It is levelled on the way.
        packed, held_out: scenes of the training, and of other places for the scores.
    """
    pupil.eval()
    scores: dict[str, float] = pretext(pupil, held_out, views)
    network = pupil.network
    assert isinstance(network, Strata)
    torch.manual_seed(0)
    fresh = Strata(widths=network.widths)
    level(network, clean(packed, views))
    level(fresh, clean(packed, views))
    weights = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    file = folder / f"{ID}.safetensors"
    save_file(weights, file)
    content = file.read_bytes()
    taught, untaught = order(network, held_out, views), order(fresh, held_out, views)
    rows: list[list[str | float | None]] = [[name, round(value, 3), None] for name, value in scores.items()]
    rows += [[name, round(taught[name], 3), round(untaught[name], 3)] for name in taught]
    card: dict[str, Any] = {
        "id": ID,
        "title": "Strata, small",
        "summary": "Features of one band at four scales for perceptual and style losses, taught without labels.",
        "network": "strata",
        "config": {"widths": list(network.widths)},
        "normalisation": "mean 0 and deviation 1 for each band (training.features.losses)",
        "weights": {"file": file.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "trained_on": f"{len(packed.places)} places of Landsat, Sentinel-2 and aerial scenes, {step} steps of "
        f"{2 * views.pairs} crops of {views.side} px (training/recipes/features.yaml)",
        "scores": {
            "command": COMMAND,
            "columns": ["share, places held out", "taught", "fresh weights"],
            "rows": rows,
        },
        "limits": "One band at a time: it does not see colour. No scene class is known to it.",
        "licence": "GPL-2.0-or-later",
        "version": "1",
    }
    path = folder / f"{ID}.json"
    path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return path
