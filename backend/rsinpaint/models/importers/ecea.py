"""ECEA and EET, which are one network and share one published file: a bare state dictionary, `EET.pth`."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...networks.blocks import PatchDiscriminator
from ...networks.ecea import PATCH
from ...networks.ecea import Ecea as Network
from .contract import Importer, Keys, State, keys_of


class Ecea(Importer):
    title = "ECEA"

    def layouts(self) -> Mapping[str, Keys]:
        return {"generator": keys_of(lambda: Network(mode="as_published"))}

    def discriminators(self) -> Mapping[str, Keys]:
        return {"discriminator": keys_of(PatchDiscriminator)}

    def convert(self, state: State, path: Path) -> tuple[dict[str, Any], State]:
        tokens, embed = state["encoder64.pos_embed"].shape[1:]
        config = {"size": PATCH * math.isqrt(tokens), "embed": embed, "mode": "as_published"}
        return _fields(config), state


def _fields(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": "ECEA, imported",
        "summary": "Transformer over patches that is told where edges are, for red, green, blue. Imported weights.",
        "tasks": ["slcoff", "clouds", "masked"],
        "network": "ecea",
        "config": config,
        "bands": ["red", "green", "blue"],
        # [0, 1] over what 8 bits hold, as published; scenes of other kinds by their range
        "normalisation": "picture",
        "needs_mask": True,
        "references": "none",
        "outputs": ["fill", "edges"],
        "window": config["size"],
        "halo": None,
        "first_guess": "harmonic",
        "trained_on": "As published: Landsat 7 and SpaceNet RGB of 8 bits, reflectance 0 to 0.4 with gamma 1.4.",
        "limits": (
            "Nothing brighter than 0.76 of the range can be answered (published fault, kept since the weights need "
            "it). Each window of fixed size is looked at alone. Expects 8-bit red, green, blue. Not measured."
        ),
        "licence": "MIT, Chowdz/ecea",
        "source": {
            "paper": "Zhou, Chen, Zhang, Niu, IEEE JSTARS 18, 2025, doi:10.1109/JSTARS.2025.3559203",
            "repository": "https://github.com/Chowdz/ecea",
        },
        "version": "as published",
    }
