"""Models come and go whole: imports, removals, and every refusal in words."""

import hashlib
import json
import os
import time
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from made_models import Intruder, held, weights_of
from rsinpaint.errors import JobError
from rsinpaint.models import install, publish, registry
from rsinpaint.models.card import Card, read_card, write_card
from rsinpaint.models.importers import IMPORTERS
from rsinpaint.models.published import PUBLISHED, SYSTEMS
from rsinpaint.networks import build

CLASSICAL = "harmonic"


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """The user's own models folder, not made yet."""
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def file(tmp_path) -> Path:
    """A published weights file, as the authors' old torch wrote it."""
    path = tmp_path / "gen_model_epoch_3.pth"
    torch.save(weights_of(), path, _use_new_zipfile_serialization=False)
    return path


def refusal(path: Path, name: str = "mine", as_system: str | None = None) -> JobError:
    with pytest.raises(JobError) as caught:
        install.import_file(path, as_system, name)
    return caught.value


def test_the_systems_that_can_be_named_are_the_importers():
    assert tuple(IMPORTERS) == SYSTEMS
    assert {one.importer for one in PUBLISHED} <= set(SYSTEMS)
    assert not {one.id for one in PUBLISHED} & {path.stem for path in registry.BUNDLED.glob("*.json")}


@pytest.mark.parametrize("as_system", [None, "spa_gan"])
def test_an_imported_file_is_a_model_with_all_that_its_card_must_say(models, file, as_system):
    before = file.read_bytes()
    card = install.import_file(file, as_system, "mine")
    assert held(models) == {"mine.json", "mine.safetensors"} and file.read_bytes() == before
    assert registry.find("mine") == card == read_card(models / "mine.json")
    registry.verify(card)
    assert f"imported from {file.name}, sha256 {hashlib.sha256(before).hexdigest()}" in card.trained_on
    assert (card.network, card.tasks, card.normalisation) == ("spa_gan", ("clouds",), "picture")
    assert "MIT" in card.licence and card.source.repository.endswith("SpA-GAN_for_cloud_removal")
    network = build(card.network, card.config)
    network.load_state_dict(load_file(registry.weights_path(card)))
    assert (network.conv_out[0].weight == 0.5).all()
    modes = {path.stat().st_mode for path in models.iterdir()}
    assert len(modes) == 1  # a folder that several people share


def test_tensors_that_share_memory_come_in_apart(models, tmp_path):
    state = weights_of()
    one, other = (f"gen.gen.res_block{number}.group1.conv2.weight" for number in (1, 2))
    state[other] = state[one]
    torch.save(state, tmp_path / "some.pth")
    card = install.import_file(tmp_path / "some.pth", None, "mine")
    assert len(load_file(registry.weights_path(card))) == len(state)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("anyband-s", "A model `anyband-s` comes with the program, expected a new name"),
        (CLASSICAL, "comes with the program"),
        ("old", "There is a model `old` already, expected a new name.*`rsinpaint models remove old`"),
        ("broken", "There is a model `broken` already"),
        ("auto", "`auto` stands for the best model"),
    ],
)
def test_an_id_that_is_taken_is_refused_and_nothing_changes(models, file, name, said):
    install.import_file(file, None, "old")
    (models / "broken.json").write_text("{")
    before = {path: path.read_bytes() for path in models.iterdir()}
    with pytest.raises(JobError, match=said):
        install.import_file(file, None, name)
    assert {path: path.read_bytes() for path in models.iterdir()} == before


def test_a_file_that_is_no_model_s_of_ours_is_not_replaced(models, file):
    install.import_file(file, None, "mine")
    whole = (models / "mine.safetensors").read_bytes()
    (models / "mine.json").unlink()  # what a run leaves that is killed between its two renames
    install.import_file(file, None, "mine")
    (models / "mine.json").unlink()
    (models / "mine.safetensors").write_bytes(whole + b"x")
    problem = refusal(file)
    assert "There is another file" in str(problem) and problem.code == "output_unwritable"
    assert (models / "mine.safetensors").read_bytes() == whole + b"x" and held(models) == {"mine.safetensors"}


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_holds_code_is_refused_in_words_and_runs_nothing(models, tmp_path, zipped):
    path = tmp_path / "some.pth"
    state = weights_of() | {"extra": Intruder(tmp_path / "harm")}
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    problem = refusal(path)
    assert "mkdir`: it holds more than tensors, perhaps code, and was not opened" in problem.what
    assert problem.expected == "named tensors and nothing else" and problem.code == "model_corrupt"
    assert "weights_only" not in str(problem) and not (tmp_path / "harm").exists() and not held(models)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"  <!DOCTYPE html><title>Sign in</title>", "is a web page"),
        (b"\x80\x04\x95\x10some pickle", "was not written by torch"),
        (b"weights", "was not written by torch"),
        (b"PK\x03\x04" + bytes(100), "is not understood"),
    ],
)
def test_what_is_plainly_no_weights_is_called_what_it_is(models, tmp_path, content, said):
    path = tmp_path / "some.pth"
    path.write_bytes(content)
    assert said in str(refusal(path)) and "some.pth" in str(refusal(path)) and not held(models)


def test_a_file_that_breaks_off_is_refused_wherever_it_does(models, file, tmp_path):
    whole = file.read_bytes()
    for length in [*range(1, 300, 23), *range(300, 40_000, 3_301), len(whole) // 2, len(whole) - 1]:
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        assert refusal(tmp_path / "cut.pth").code == "model_corrupt", length
    assert not held(models)


def test_a_file_that_is_missing_or_a_folder_is_refused(models, tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        problem = refusal(path)
        assert problem.code == "input_unreadable" and str(path) in str(problem)


def test_a_spoiled_safetensors_file_is_refused(models, tmp_path):
    save_file(weights_of(), tmp_path / "some.safetensors")
    assert install.import_file(tmp_path / "some.safetensors", None, "mine").network == "spa_gan"
    (tmp_path / "some.safetensors").write_bytes((tmp_path / "some.safetensors").read_bytes()[:-4])
    assert "no whole safetensors file" in str(refusal(tmp_path / "some.safetensors", "other"))


def test_a_stranger_is_refused_with_the_nearest(models, tmp_path):
    state = weights_of()
    state.popitem()
    torch.save(state, tmp_path / "net_G.pth")
    problem = refusal(tmp_path / "net_G.pth")
    assert "(nearest: `spa_gan`, generator, 82 of 83)" in str(problem)
    assert "the importer `cmun` does not know" in str(refusal(tmp_path / "net_G.pth", as_system="cmun"))
    assert not held(models)


def test_weights_that_are_not_finite_are_refused(models, tmp_path):
    torch.save(weights_of() | {"gen.gen.conv_in.0.weight": torch.full((32, 3, 3, 3), torch.nan)}, tmp_path / "a.pth")
    assert "tensor `conv_in.0.weight` holds numbers that are not finite" in str(refusal(tmp_path / "a.pth"))


def test_a_folder_that_takes_nothing_is_told(file, tmp_path, monkeypatch):
    (tmp_path / "models").write_text("a file")
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path / "models"))
    problem = refusal(file)
    assert problem.code == "output_unwritable" and "RSINPAINT_MODELS" in problem.remedy


def test_a_full_disk_leaves_nothing(models, file, monkeypatch):
    def full(*_):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    problem = refusal(file)
    assert problem.code == "disk_full" and "is full" in str(problem) and not held(models)


@pytest.mark.parametrize("fails", [".safetensors", ".json"])
def test_both_files_appear_or_none(models, file, monkeypatch, fails):
    real = os.replace

    def replace(old, new):
        if str(new).endswith(fails):
            raise PermissionError(13, "Permission denied")
        real(old, new)

    monkeypatch.setattr(publish.os, "replace", replace)
    assert refusal(file).code == "output_unwritable"
    assert not held(models)


def test_litter_of_a_killed_run_is_swept_by_a_later_one(models, file):
    for name, age_s in ((".dead.x.part", publish.STALE_S + 60), (".other.y.part", 0)):
        (models / name).mkdir(parents=True)
        (models / name / "big").write_bytes(b"x")
        os.utime(models / name, (time.time() - age_s,) * 2)
    install.import_file(file, None, "mine")
    assert held(models) == {"mine.json", "mine.safetensors", ".other.y.part"}


def test_removing_takes_card_and_weights(models, file):
    install.import_file(file, None, "mine")
    install.import_file(file, None, "yours")
    assert install.remove("mine") == [models / "mine.json", models / "mine.safetensors"]
    assert held(models) == {"yours.json", "yours.safetensors"}
    registry.verify(registry.find("yours"))
    install.import_file(file, None, "mine")  # the name is free again


def changed(card: Card, path: Path, **changes: object) -> None:
    write_card(msgspec.structs.replace(card, id=path.stem, **changes), path)


def test_weights_that_another_card_names_stay(models, file):
    changed(install.import_file(file, None, "mine"), models / "second.json")
    assert install.remove("mine") == [models / "mine.json"]
    assert install.remove("second") == [models / "second.json", models / "mine.safetensors"]
    assert not held(models)


def test_a_broken_model_can_be_removed(models, file):
    install.import_file(file, None, "mine")
    (models / "mine.json").write_text(json.dumps({"id": "mine", "weights": {"file": "../../etc/passwd"}}))
    install.remove("mine")
    (models / "bare.json").write_text("")
    install.remove("bare")
    assert not held(models)


@pytest.mark.parametrize("name", ["anyband-s", CLASSICAL, "spa-gan-rice1"])
def test_what_comes_with_the_program_stays(models, name):
    with pytest.raises(JobError, match=f"`{name}` comes with the program and stays"):
        install.remove(name)
    registry.verify(registry.find(name))


@pytest.mark.parametrize("name", ["nothing-like-it", "../mine", "/etc/passwd", ""])
def test_what_is_not_there_cannot_be_removed(models, file, name):
    install.import_file(file, None, "mine")
    with pytest.raises(JobError, match="There is no model") as caught:
        install.remove(name)
    assert caught.value.code == "model_missing" and len(held(models)) == 2


def test_removing_the_user_s_version_brings_the_shipped_one_back(models):
    models.mkdir()
    changed(registry.find(CLASSICAL), models / f"{CLASSICAL}.json", title="Mine")
    install.remove(CLASSICAL)
    assert registry.find(CLASSICAL).title != "Mine" and not held(models)
