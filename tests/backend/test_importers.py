"""Published weight files: each is known by exactly one importer, comes in whole, and everything else is refused."""

import inspect
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import save_file

import known
from rsinpaint.errors import JobError
from rsinpaint.models import importers
from rsinpaint.models.card import Card, Weights
from rsinpaint.models.importers import IMPORTERS, import_weights, importer
from rsinpaint.networks import build

GENERATORS = {
    "cmun_G": "cmun",
    "ecea_G": "ecea",
    "ecea_G_small": "ecea",
    "edgeconnect_edge_G": "edge_learning",
    "edgeconnect_inpaint_G": "edge_learning",
    "edgelearning_edge_G": "edge_learning",
    "edgelearning_inpaint_G": "edge_learning",
    "spa_gan_G": "spa_gan",
}
"""Key list -> whose it is. The one other generator, of the ocean system, was never published as a file."""
KEY_LISTS = sorted(path.stem for path in (known.FOLDER / "keys").glob("*.txt"))
PAIRS = {
    "edge_learning": ("edgelearning", "edge_generator_7.pth", "inpaint_generator_7.pth"),
    "edge_connect": ("edgeconnect", "EdgeModel_gen.pth", "InpaintingModel_gen.pth"),
}


def names(key_list: str) -> list[str]:
    return [key for key, _, _ in known.keys(key_list)]


@pytest.mark.parametrize("key_list", KEY_LISTS)
def test_exactly_one_importer_accepts_each_generator_and_none_anything_else(key_list):
    accepting = [name for name in IMPORTERS if importer(name).accepts(names(key_list))]
    assert accepting == ([GENERATORS[key_list]] if key_list in GENERATORS else [])


@pytest.mark.parametrize("key_list", [name for name in KEY_LISTS if "_D" in name])
def test_a_discriminator_is_called_one(key_list, tmp_path):
    path = tmp_path / "some.pth"
    torch.save({name: torch.zeros(1) for name in names(key_list)}, path)
    with pytest.raises(JobError, match=r"`some.pth` holds a discriminator of `.*which cannot fill anything"):
        import_weights(path)


def test_every_importer_in_the_list_is_a_file_and_the_other_way_round():
    folder = Path(inspect.getfile(importers)).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "contract"}
    assert {entry.partition(":")[0] for entry in IMPORTERS.values()} == files
    assert list(IMPORTERS) == sorted(IMPORTERS)
    assert all(importer(name).title for name in IMPORTERS)


def card_of(fields: dict) -> Card:
    """The card that an import makes; raises where a field is missing, unknown or wrong."""
    weights = Weights(file="some.safetensors", bytes=1, sha256="0" * 64)
    return msgspec.convert(fields | {"id": "some", "weights": msgspec.to_builtins(weights)}, Card)


@pytest.mark.parametrize("wrapped", ["plain", "legacy", "generator", "module", "safetensors"])
def test_a_file_comes_in_however_it_was_saved(wrapped, tmp_path):
    state = {key: tensor.float() for key, tensor in known.state("spa_gan_G", 1.0).items()}
    path = tmp_path / ("some.safetensors" if wrapped == "safetensors" else "some.pth")
    if wrapped == "safetensors":
        save_file(state, path)
    else:
        forms = {
            "plain": state,
            "legacy": state,
            "generator": {"epoch": 3, "generator": state},
            "module": {f"module.{key}": tensor for key, tensor in state.items()},
        }
        torch.save(forms[wrapped], path, _use_new_zipfile_serialization=wrapped != "legacy")
    fields, renamed = import_weights(path)
    assert card_of(fields).bands == ("red", "green", "blue")
    network = build(fields["network"], fields["config"])
    network.load_state_dict(renamed)
    assert torch.equal(network.conv_out[0].weight, state["gen.gen.conv_out.0.weight"])


@pytest.mark.parametrize("layout", PAIRS)
def test_both_generators_come_in_from_either_file(layout, tmp_path):
    name, *files = PAIRS[layout]
    states = [
        {key: torch.full(shape, float(number)) for number, (key, shape, _) in enumerate(known.keys(f"{name}_{part}_G"))}
        for part in ("edge", "inpaint")
    ]
    for file, state in zip(files, states, strict=True):
        torch.save({"iteration": 5, "generator": state} if layout == "edge_connect" else state, tmp_path / file)
    imported = [import_weights(tmp_path / file) for file in files]
    for fields, renamed in imported:
        assert card_of(fields).config == {"bands": 3, "layout": layout, "mode": "as_published", "width": 64}
        with torch.device("meta"):
            network = build(fields["network"], fields["config"])
        network.load_state_dict(renamed, assign=True)
        assert torch.equal(network.image_generator.decoder[7].weight, states[1]["decoder.7.weight"])
        assert torch.equal(network.edge_generator.encoder[1].weight_orig, states[0]["encoder.1.weight_orig"])
    assert imported[0][0] == imported[1][0]
    (tmp_path / files[1]).unlink()
    with pytest.raises(JobError, match=f"`{files[1]}` does not lie beside it"):
        import_weights(tmp_path / files[0])


def test_a_generator_whose_name_says_nothing_is_refused_in_words(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({name: torch.zeros(1) for name in names("edgelearning_edge_G")}, path)
    with pytest.raises(JobError, match="only the edge generator, and its name does not say where"):
        import_weights(path)


def saved(path: Path, held: object) -> Path:
    torch.save(held, path)
    return path


def test_a_stranger_is_refused_with_the_nearest_and_how_much_of_it_is_there(tmp_path):
    keys = [*names("spa_gan_G")[:37], "some.other.weight"]
    path = saved(tmp_path / "net_G.pth", {name: torch.zeros(1) for name in keys})
    with pytest.raises(JobError) as caught:
        import_weights(path)
    assert f"`net_G.pth`: none of {len(IMPORTERS)} importers knows its 38 keys" in str(caught.value)
    assert "(nearest: `spa_gan`, generator, 37 of 83)" in str(caught.value)
    with pytest.raises(JobError, match="the importer `edge_learning` does not know its 38 keys"):
        import_weights(path, "edge_learning")


def test_a_file_of_something_else_altogether_is_refused_with_what_is_known(tmp_path):
    path = saved(tmp_path / "some.pth", {"layer.weight": torch.zeros(1)})
    with pytest.raises(JobError, match=r"knows its 1 keys\. Is it the generator's file\? Those of cmun, ecea, edge_l"):
        import_weights(path)


def test_a_tensor_of_another_shape_is_refused_by_name(tmp_path):
    state = known.state("spa_gan_G", 1.0)
    state["gen.gen.res_block3.group1.conv2.weight"] = torch.zeros(32, 16, 3, 3)
    path = saved(tmp_path / "some.pth", state)
    with pytest.raises(JobError, match=r"`res_block3.group1.conv2.weight` has the shape \[32, 16, 3, 3\], expected"):
        import_weights(path)


class Intruder:
    """Unpickled by a careless program, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("kind", ["code", "missing", "text", "cut", "empty", "list"])
def test_a_file_that_is_no_weights_is_refused_and_runs_nothing(kind, tmp_path):
    path = tmp_path / "some.pth"
    if kind == "code":
        saved(path, {"weight": Intruder(tmp_path / "harm")})
    elif kind == "text":
        path.write_text("<!DOCTYPE html><title>Sign in</title>")
    elif kind == "cut":
        whole = saved(path, {"weight": torch.zeros(100)}).read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "empty":
        path.touch()
    elif kind == "list":
        saved(path, [torch.zeros(3)])
    with pytest.raises(JobError, match=r"`.*some.pth`") as caught:
        import_weights(path)
    assert caught.value.code == "model_corrupt"
    assert not (tmp_path / "harm").exists()


def test_an_importer_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    path = saved(tmp_path / "some.pth", {"weight": torch.zeros(1)})
    with pytest.raises(JobError, match="no importer `dcgan`, expected one of cmun"):
        import_weights(path, "dcgan")
