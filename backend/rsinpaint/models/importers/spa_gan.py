"""SpA-GAN's `gen_model_epoch_<n>.pth`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...networks.spa_gan import SpaGan as Network
from ...networks.spa_gan import SpaGanDiscriminator
from .contract import Importer, Keys, State, keys_of

GENERATOR, DISCRIMINATOR = "gen.gen.", "dis.dis."
"""What stands in front of each key in the published files."""


class SpaGan(Importer):
    """Generators of Penn000/SpA-GAN_for_cloud_removal."""

    title = "SpA-GAN"

    def layouts(self) -> Mapping[str, Keys]:
        return {"generator": frozenset(GENERATOR + key for key in keys_of(Network))}

    def discriminators(self) -> Mapping[str, Keys]:
        return {"discriminator": frozenset(DISCRIMINATOR + key for key in keys_of(SpaGanDiscriminator))}

    def convert(self, state: State, path: Path) -> tuple[dict[str, Any], State]:
        renamed = {key.removeprefix(GENERATOR): tensor for key, tensor in state.items()}
        bands = renamed["conv_in.0.weight"].shape[1]
        return FIELDS | {"bands": ["red", "green", "blue"] if bands == 3 else bands, "config": _config(bands)}, renamed


def _config(bands: int) -> dict[str, Any]:
    return {"bands": bands, "mode": "as_published"}


FIELDS: dict[str, Any] = {
    "title": "SpA-GAN, cloud removal",
    "summary": "Sees through cloud in three-band pictures of 8 bits; weights for thin and for thick cloud differ.",
    "tasks": ["clouds"],
    "network": "spa_gan",
    "normalisation": "picture",
    "needs_mask": False,
    "references": "none",
    "outputs": ["fill", "attention"],
    "window": None,
    "halo": None,
    "first_guess": None,
    "trained_on": "Not in the file; the published ones: RICE1 (thin cloud) or RICE2 (thick cloud and shadow), 8 bits",
    "limits": "True-colour pictures of 8 bits. Weights for the other kind of cloud do harm. The attention map is no "
    "cloud mask. What thick cloud hides is invented.",
    "licence": "Weights and published code: MIT, (c) 2019 Penn000",
    "source": {
        "paper": "Pan, Cloud Removal for Remote Sensing Imagery via Spatial Attention GAN, arXiv 2009.13015",
        "repository": "https://github.com/Penn000/SpA-GAN_for_cloud_removal",
    },
    "version": "as published",
}
