"""The two generators of EdgeLearning, and of EdgeConnect, which has the same layout with one more plane."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import JobError
from ...networks.blocks import PatchDiscriminator
from ...networks.edge_learning import EdgeGenerator, ImageGenerator
from .contract import Importer, Keys, State, keys_of, read_state

EDGES, PICTURE = "edge generator", "image generator"
NAMES = (("edge_generator", "inpaint_generator"), ("EdgeModel", "InpaintingModel"))
"""In the names of the two files, which are alike but for these."""
LAYOUTS = {2: "edge_learning", 3: "edge_connect"}
"""By the planes that the edge generator looks at."""


class EdgeLearning(Importer):
    """`edge_generator_<n>.pth` or `inpaint_generator_<n>.pth` (`EdgeModel_gen.pth` or `InpaintingModel_gen.pth`)."""

    title = "EdgeLearning"

    def layouts(self) -> Mapping[str, Keys]:
        return {EDGES: keys_of(EdgeGenerator), PICTURE: keys_of(ImageGenerator)}

    def discriminators(self) -> Mapping[str, Keys]:
        return {"discriminator": keys_of(PatchDiscriminator)}

    def convert(self, state: State, path: Path) -> tuple[dict[str, Any], State]:
        """Either file will do; the other one must lie beside it."""
        part = EDGES if state.keys() == self.known[EDGES] else PICTURE
        other = PICTURE if part == EDGES else EDGES
        partner = _partner(path, part, other)
        beside = read_state(partner)
        if beside.keys() != self.known[other]:
            raise JobError(f"`{partner.name}` has other keys than EdgeLearning's {other}", code="model_corrupt")
        edges, picture = (state, beside) if part == EDGES else (beside, state)
        config = _config(edges, picture, path)
        renamed = {f"edge_generator.{key}": tensor for key, tensor in edges.items()}
        renamed |= {f"image_generator.{key}": tensor for key, tensor in picture.items()}
        bands = ["red", "green", "blue"] if config["bands"] == 3 else config["bands"]
        return FIELDS | {"bands": bands, "config": config} | _origin(config["layout"]), renamed


def _partner(path: Path, part: str, other: str) -> Path:
    """The file of the other generator.

    Raises:
        JobError: it is not there, or cannot be told by the name.
    """
    for pair in NAMES:
        own, its = pair if part == EDGES else pair[::-1]
        if own in path.name:
            partner = path.with_name(path.name.replace(own, its))
            if partner.is_file():
                return partner
            raise JobError(
                f"`{path.name}` is only the {part}: the {other} `{partner.name}` does not lie beside it",
                remedy="Put both files into one folder",
                code="model_missing",
            )
    raise JobError(
        f"`{path.name}` is only the {part}, and its name does not say where the {other} is",
        "a name with " + " or ".join(f"`{pair[part != EDGES]}`" for pair in NAMES),
        "Rename both files as they were published and put them into one folder",
        code="model_missing",
    )


def _config(edges: State, picture: State, path: Path) -> dict[str, Any]:
    """Read from the shapes of the first convolutions.

    Raises:
        JobError: the edge generator looks at a number of planes that neither layout has.
    """
    inputs = edges["encoder.1.weight_orig"].shape[1]
    if inputs not in LAYOUTS:
        what = f"The edge generator of `{path.name}` looks at {inputs} planes"
        raise JobError(what, "2 (EdgeLearning) or 3 (EdgeConnect)", code="model_corrupt")
    width, planes = picture["encoder.1.weight"].shape[:2]
    return {"bands": planes - 1, "layout": LAYOUTS[inputs], "mode": "as_published", "width": width}


def _origin(layout: str) -> dict[str, Any]:
    """What differs between the two systems."""
    if layout == "edge_learning":
        return {
            "title": "EdgeLearning",
            "trained_on": "Not in the file; its authors trained on Landsat 7 in true colour, patches of 256 pixels",
            "licence": "None was given with the published code; no weights are published: the file's owner knows",
            "source": {
                "paper": "",
                "repository": "https://github.com/Chowdz/satellite-image-inpainting-based-on-edge-learning",
            },
        }
    return {
        "title": "EdgeConnect",
        "trained_on": "Not in the file; the published ones: photographs (Places2, CelebA, Paris StreetView)",
        "licence": "CC BY-NC 4.0: not for commercial use",
        "source": {
            "paper": "Nazeri et al., EdgeConnect, arXiv 1901.00212",
            "repository": "https://github.com/knazeri/edge-connect",
        },
    }


FIELDS: dict[str, Any] = {
    "summary": "Draws the missing edges first, then the picture along them. Three bands in true colour.",
    "tasks": ["masked", "slcoff"],
    "network": "edge_learning",
    "normalisation": "picture",
    "needs_mask": True,
    "references": "none",
    "outputs": ["fill", "edges"],
    "window": 256,
    "halo": None,
    "first_guess": None,
    "limits": "Looks at the whole window, so windows can differ where they meet. The edges in the holes are invented.",
    "version": "as published",
}
