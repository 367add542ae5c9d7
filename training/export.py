"""Turn a run's best checkpoint into a model: fp16 weights and their card.

    python -m training.export runs/anyband --card training/cards/anyband-s.json [-o backend/rsinpaint/models/bundled]

The card's text is written by hand in `training/cards/`; here come the file's size and sha256, the network's name
and configuration, and what the run was.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from rsinpaint.models import registry
from rsinpaint.models.card import Card, read_card
from rsinpaint.networks import build

from .begin import weights_in


def export(checkpoint: Path, text: Path, folder: Path) -> Card:
    """Write `ID.safetensors` and `ID.json` into the folder; the card's own text names the id.

    Raises:
        JobError: the text is no valid card.
        RuntimeError: the checkpoint does not fit the network that it names.
    """
    held: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    recipe = held["recipe"]
    average = weights_in(checkpoint)
    build(recipe["network"], recipe["config"]).load_state_dict(average)
    fields = json.loads(text.read_text(encoding="utf-8"))
    file = folder / f"{fields['id']}.safetensors"
    folder.mkdir(parents=True, exist_ok=True)
    # one metadata key at most: with more, the order in the file and so its hash changes from save to save
    save_file({name: value.half().contiguous() for name, value in average.items()}, file)
    content = file.read_bytes()
    fields["network"], fields["config"] = recipe["network"], recipe["config"]
    fields["first_guess"] = recipe["guess"]
    fields["weights"] = {"file": file.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    fields["trained_on"] = f"{fields['trained_on']} {held['step']} steps"
    card = folder / f"{fields['id']}.json"
    card.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")
    return read_card(card)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of the run, or one checkpoint of it")
    parser.add_argument("--card", type=Path, required=True, help="the card's text")
    parser.add_argument("-o", "--output", type=Path, default=registry.BUNDLED)
    given = parser.parse_args()
    checkpoint = given.run / "best.ckpt" if given.run.is_dir() else given.run
    card = export(checkpoint, given.card, given.output)
    print(f"{card.id}: {card.weights.bytes if card.weights else 0} bytes, step {card.trained_on.split()[-2]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
