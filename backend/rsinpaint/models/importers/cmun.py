"""CMUN: one file, `epoch_<n>_ckpt.pth.tar`, with the generator under `netG_state_dict`. Never published so far."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ...errors import JobError
from ...networks.cmun import Cmun as Network
from ...networks.cmun import Discriminator, MultiDiscriminator
from .contract import Importer, Keys, State, keys_of

_NAMES = (
    (r"^(coarse\.1[24]|upsample\.[24])\.", r"\1.conv2d."),  # layers that grow wrap a plain one
    (r"^coarse\.", "coarse_net."),
    (r"^refine\.", "refine_conv_net."),
    (r"^upsample\.", "refine_upsample_net."),
    (r"^attention\.", "refine_attn."),
    (r"(^|\.)ladder\.", r"\1discriminator_net."),
    (r"^local\.", "model_ld."),
    (r"^whole\.", "model_gd."),
    (r"^both_head\.", "linear1."),
    (r"^local_head\.", "linear2."),
    (r"^whole_head\.", "linear3."),
    (r"\.(query|key|value)\.", r".\1_conv."),
    (r"\.conv\.", ".conv2d."),
    (r"\.gate\.", ".mask_conv2d."),
    (r"\.bn\.", ".batch_norm2d."),
)
"""Pattern in our names -> what the published files say, applied one after the other."""


def published(key: str) -> str:
    """The published name of a tensor of ours."""
    for pattern, name in _NAMES:
        key = re.sub(pattern, name, key)
    return key


class Cmun(Importer):
    title = "CMUN"

    def layouts(self) -> Mapping[str, Keys]:
        return {"generator": _published_keys(lambda: Network(mode="as_published"))}

    def discriminators(self) -> Mapping[str, Keys]:
        return {
            "discriminator with attention": _published_keys(lambda: Discriminator(attention=True)),
            "global discriminator": _published_keys(Discriminator),
            "local discriminator": _published_keys(lambda: Discriminator(side=128, local=True)),
            "discriminator of two views": _published_keys(MultiDiscriminator),
        }

    def convert(self, state: State, path: Path) -> tuple[dict[str, Any], State]:
        width, inputs = state["coarse_net.0.conv2d.weight"].shape[:2]
        bands = len(state["coarse_net.16.conv2d.bias"])
        if inputs != bands + 2:
            raise JobError(
                f"The generator in `{path.name}` sees {inputs - 2} bands and fills {bands}",
                "as many of both",
                remedy="Weights with auxiliary bands cannot be used",
                code="model_corrupt",
            )
        config = {"bands": bands, "width": width, "mode": "as_published"}
        ours = {published(key): key for key in keys_of(lambda: Network(mode="as_published"))}
        return _fields(config), {ours[key]: tensor for key, tensor in state.items()}


def _published_keys(make: Callable[[], nn.Module]) -> Keys:
    return frozenset(published(key) for key in keys_of(make))


def _fields(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": "CMUN, imported",
        "summary": "Coarse-to-fine gated convolutions with self-attention, for visible bands. Imported weights.",
        "tasks": ["slcoff", "clouds", "masked"],
        "network": "cmun",
        "config": config,
        "bands": ["red", "green", "blue"] if config["bands"] == 3 else config["bands"],
        # [-1, 1] over what 8 bits hold, as published; scenes of other kinds by their range
        "normalisation": "picture",
        "needs_mask": True,
        "references": "none",
        "outputs": ["fill"],
        "window": 256,
        "halo": None,
        "first_guess": None,
        "trained_on": "What the file's owner trained it on: RGB pictures of 8 bits, as published on RSSCN7.",
        "limits": "Attention sees one window of 256 pixels. Expects 8-bit red, green, blue. Not measured.",
        "licence": "The weights' owner says; the published code carries none",
        "source": {
            "paper": "Shao, Wang, Wu, Meng, Luo, IEEE GRSL 19, 2022",
            "repository": "https://github.com/Oliiveralien/Inpainting-on-RSI",
        },
        "version": "as published",
    }
