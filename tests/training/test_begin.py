"""A network that has grown answers as the smaller one did, and learns on."""

import pytest
import torch
from safetensors.torch import save_file

from rsinpaint.networks import build
from training.begin import grow, weights_in

SMALL = {"widths": (8, 12), "blocks": (1, 1)}


def anyband(**changes):
    torch.manual_seed(len(changes))
    network = build("anyband", SMALL | changes)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    return network


@pytest.mark.parametrize("blocks", [(1, 1), (1, 3), (2, 1)])
def test_new_blocks_change_nothing_at_first_and_can_learn(blocks):
    small, large = anyband(), anyband(blocks=blocks)
    grow(large, small.state_dict())
    image, holes = torch.rand(1, 2, 32, 32), (torch.rand(1, 2, 32, 32) > 0.5).float()
    answer = large(image, holes)["fill"]
    torch.testing.assert_close(answer, small(image, holes)["fill"], rtol=0, atol=1e-5)
    answer.square().mean().backward()
    moved = [
        name for name, weight in large.named_parameters() if weight.grad is not None and weight.grad.abs().max() > 0
    ]
    assert {name for name, _ in large.named_parameters() if name.endswith("second.weight")} <= set(moved)


def test_more_planes_change_nothing_at_first_and_can_learn():
    small, large = anyband(), anyband(widths=(12, 20))
    grow(large, small.state_dict())
    image, holes = torch.rand(1, 2, 32, 32), (torch.rand(1, 2, 32, 32) > 0.5).float()
    torch.testing.assert_close(large(image, holes)["fill"], small(image, holes)["fill"], rtol=0, atol=1e-5)
    before = {name: weight.detach().clone() for name, weight in large.named_parameters()}
    optimiser = torch.optim.SGD(large.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        large(image, holes)["fill"].square().mean().backward()
        optimiser.step()
    head = large.get_parameter("head.weight") - before["head.weight"]
    stem = large.get_parameter("stem.weight") - before["stem.weight"]
    assert head[:, 8:].abs().max() > 0 and stem[8:].abs().max() > 0


def test_weights_come_from_a_model_or_from_the_average_of_a_run(tmp_path):
    weights = anyband().state_dict()
    save_file(weights, tmp_path / "model.safetensors")
    averaged = {f"module.{name}": tensor for name, tensor in weights.items()} | {"n_averaged": torch.tensor(3)}
    torch.save({"network": {}, "average": averaged}, tmp_path / "last.ckpt")
    for name in ("model.safetensors", "last.ckpt"):
        found = weights_in(tmp_path / name)
        assert found.keys() == weights.keys() and all(torch.equal(found[key], weights[key]) for key in weights)


def test_weights_that_fit_nowhere_are_refused_in_words():
    with pytest.raises(ValueError, match="no place in the network"):
        grow(anyband(), anyband(blocks=(1, 2)).state_dict())
    with pytest.raises(ValueError, match="expected at most"):
        grow(anyband(), anyband(widths=(16, 12)).state_dict())
