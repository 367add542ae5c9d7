"""Networks keep the contract of `rsinpaint.networks`; a new one is tested by being listed."""

from importlib import import_module

import numpy as np
import pytest
import torch

from rsinpaint.networks import NETWORKS, build
from rsinpaint.tiles import plan

CONFIGS: dict[str, dict[str, object]] = {
    "anyband": {"widths": (8, 12, 16), "blocks": (1, 1, 2)},
    "cmun": {"width": 8},
    "ecea": {"size": 64, "embed": 16},
    "edge_learning": {"bands": 3, "width": 8, "blocks": 2},
    "ocean_gated": {"bands": 3, "width": 8},
    "simt": {"width": 8},
    "simt_men": {"width": 8},
    "spa_gan": {"bands": 3},
}
"""Small, and for three bands."""
every_network = pytest.mark.parametrize("name", NETWORKS)


def reach(name: str) -> int | None:
    with torch.device("meta"):
        return build(name, CONFIGS[name]).halo


def made(name: str) -> torch.nn.Module:
    """A network whose every weight matters: fresh heads are zero."""
    torch.manual_seed(0)
    network = build(name, CONFIGS[name]).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.15)
    return network


@pytest.mark.parametrize("name", [name for name in NETWORKS if reach(name) is not None])
def test_tiles_give_what_the_whole_scene_gives(name):
    network = made(name)
    image, holes = torch.rand(1, 3, 320, 352), (torch.rand(1, 3, 320, 352) > 0.7).float()
    with torch.inference_mode():
        whole = network(image, holes)["fill"]
        pieces = torch.full_like(whole, torch.nan)
        for tile in plan(320, 352, window=128, halo=network.halo, multiple=network.multiple):
            part = network(image[..., *tile.read], holes[..., *tile.read])["fill"]
            pieces[..., *tile.write] = part[..., *tile.inside]
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-4 * float(whole.std()))


@every_network
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_answers_are_finite_with_no_and_with_all_holes(name, share):
    image = torch.rand(2, 3, 64, 64)
    answer = made(name)(image, torch.full_like(image, share))
    for key, plane in answer.items():
        assert torch.isfinite(plane).all()
        assert plane.shape == image.shape or key not in ("fill", "log_scale")


@every_network
def test_a_state_dict_round_trip_gives_the_same_answer(name):
    first, second = made(name), build(name, CONFIGS[name]).eval()
    second.load_state_dict(first.state_dict())
    image, holes = torch.rand(1, 3, 64, 64), (torch.rand(1, 3, 64, 64) > 0.5).float()
    torch.testing.assert_close(first(image, holes)["fill"], second(image, holes)["fill"], rtol=0, atol=0)


def test_anyband_does_not_mind_the_order_or_the_number_of_bands():
    network = made("anyband")
    image, holes = torch.rand(1, 5, 64, 64), (torch.rand(1, 5, 64, 64) > 0.5).float()
    order = torch.tensor([3, 0, 4, 2, 1])
    with torch.inference_mode():
        plain, turned = network(image, holes)["fill"], network(image[:, order], holes[:, order])["fill"]
        torch.testing.assert_close(turned, plain[:, order], rtol=0, atol=1e-4)
        assert network(image[:, :1], holes[:, :1])["fill"].shape == (1, 1, 64, 64)


def test_bands_tell_each_other_something():
    network = made("anyband")
    image, holes = torch.rand(1, 2, 64, 64), torch.zeros(1, 2, 64, 64)
    other = image.clone()
    other[:, 1] += 1
    with torch.inference_mode():
        change = network(other, holes)["fill"][:, 0] - network(image, holes)["fill"][:, 0]
    assert change.abs().max() > 1e-3


def test_a_fresh_anyband_gives_the_guess_back():
    image = torch.rand(1, 2, 64, 64)
    answer = build("anyband", CONFIGS["anyband"])(image, torch.ones_like(image))
    torch.testing.assert_close(answer["fill"], image, rtol=0, atol=0)


def test_every_name_in_the_list_is_a_class_in_its_file():
    for entry in NETWORKS.values():
        module, _, kind = entry.partition(":")
        assert issubclass(getattr(import_module(f"rsinpaint.networks.{module}"), kind), torch.nn.Module)


def test_widths_and_blocks_must_be_as_many():
    with pytest.raises(ValueError, match="2 widths and 1 blocks"):
        build("anyband", {"widths": (8, 8), "blocks": (1,)})
    assert np.isfinite(build("anyband", {"widths": (8, 8), "blocks": (1, 1)}).halo)
