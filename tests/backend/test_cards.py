"""Cards and weights: what is shipped is whole, what is broken is named, and nothing needs torch."""

import hashlib
import json
import struct
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from rsinpaint.errors import JobError
from rsinpaint.jobs import Task
from rsinpaint.models import registry, weights
from rsinpaint.models.card import Card, Source, Weights, read_card, write_card

BUNDLED = sorted(registry.BUNDLED.glob("*.json"))


def safetensors(values: bytes, *, last: int | None = None) -> bytes:
    """A file with one tensor of bytes; `last` is where its header says that it ends."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [len(values)], "data_offsets": [0, last or len(values)]}})
    return struct.pack("<Q", len(header)) + header.encode() + values


def make_card(content: bytes = b"", **changes) -> Card:
    fields = {
        "id": "tiny",
        "title": "Tiny",
        "summary": "For tests.",
        "tasks": ["slcoff"],
        "network": "anyband",
        "bands": "any",
        "normalisation": "mean-std",
        "needs_mask": True,
        "references": "none",
        "outputs": ["fill"],
        "window": None,
        "halo": 8,
        "first_guess": "harmonic",
        "weights": {
            "file": "tiny.safetensors",
            "bytes": len(content) or 1,
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        "trained_on": "nothing",
        "limits": "Everything.",
        "licence": "GPL-2.0-or-later",
        "source": {},
        "version": "1",
    }
    return msgspec.convert(fields | changes, Card)


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """The user's own models folder, empty."""
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path))
    return tmp_path


@pytest.fixture
def tiny(models) -> Card:
    """An intact learned model in the user's folder."""
    content = safetensors(bytes(range(100)))
    (models / "tiny.safetensors").write_bytes(content)
    card = make_card(content)
    write_card(card, models / "tiny.json")
    return card


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.stem)
def test_each_shipped_model_is_whole(path):
    card = read_card(path)
    registry.verify(card)
    assert card.licence and card.limits and card.summary.endswith(".")


def test_each_shipped_file_belongs_to_a_card():
    shipped = {path.name for path in registry.BUNDLED.iterdir() if path.is_file()}
    cards = [read_card(path) for path in BUNDLED]
    files = {card.weights.file for card in cards if card.weights}
    licences = {name for name in shipped if name.endswith("-LICENSE.txt")}
    assert shipped - licences == {f"{card.id}.json" for card in cards} | files
    for name in licences:
        assert any(card.id.startswith(name.removesuffix("-LICENSE.txt")) for card in cards), name


def test_the_classical_fills_are_models(models):
    classical = {card.id for card in registry.cards() if not card.learned}
    assert classical == {"inverse-distance", "harmonic", "tension-spline", "local-ridge"}


def test_a_card_survives_writing_and_is_written_the_same_way(tmp_path):
    card = make_card(b"abc", bands=["red", 0.84], source={"paper": "doi:1"})
    write_card(card, tmp_path / "tiny.json")
    first = (tmp_path / "tiny.json").read_bytes()
    assert read_card(tmp_path / "tiny.json") == card
    write_card(read_card(tmp_path / "tiny.json"), tmp_path / "tiny.json")
    assert (tmp_path / "tiny.json").read_bytes() == first


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tasks": []}, "tasks"),
        ({"tasks": ["cloud"]}, "tasks"),
        ({"title": 3}, "title"),
        ({"colour": "red"}, "colour"),
        ({"bands": 0}, "bands"),
        ({"halo": -1}, "halo"),
        ({"weights": None}, "weights"),
        ({"outputs": ["edges"]}, "outputs"),
        ({"weights": {"file": "../../x.safetensors", "bytes": 1, "sha256": "0" * 64}}, "weights.file"),
        ({"weights": {"file": "x.safetensors", "bytes": 1, "sha256": "abc"}}, "weights.sha256"),
        ({"scores": {"command": "bench", "columns": ["a", "b"], "rows": [["x"]]}}, "scores"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path, change, named):
    path = tmp_path / "tiny.json"
    path.write_bytes(msgspec.json.encode(msgspec.to_builtins(make_card()) | change))
    with pytest.raises(JobError) as caught:
        read_card(path)
    assert caught.value.code == "model_corrupt"
    assert str(path) in str(caught.value) and named in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"<html>", b"[1, 2]", b'{"id": "tiny"}', b"\xff\xfe{", b" " * (2 << 20)])
def test_what_is_no_card_is_refused_in_words(tmp_path, content):
    path = tmp_path / "tiny.json"
    path.write_bytes(content)
    with pytest.raises(JobError, match="tiny.json"):
        read_card(path)


def test_a_card_under_another_name_is_refused(tmp_path):
    write_card(make_card(), tmp_path / "other.json")
    with pytest.raises(JobError, match="expected `other`"):
        read_card(tmp_path / "other.json")


def test_an_intact_model_passes(tiny):
    assert registry.find("tiny") == tiny
    registry.verify(tiny)
    assert registry.weights_path(tiny).name == "tiny.safetensors"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda good: good[:-1], "bytes, expected"),
        (lambda good: good + b"x", "bytes, expected"),
        (lambda good: good[:-1] + bytes([good[-1] ^ 1]), "was changed"),
        (lambda good: bytes([good[0] ^ 1]) + good[1:], "was changed"),
        (lambda good: b"<!DOCTYPE html><html>Sign in</html>".ljust(len(good)), "web page"),
        (lambda good: b"", "is empty"),
        (lambda good: b"PK\x03\x04".ljust(len(good)), "pickled"),
        (lambda good: b"version https://git-lfs.github.com/spec/v1\n", "LFS pointer"),
    ],
)
def test_tampered_weights_are_refused_with_the_reason(models, tiny, spoil, said):
    path = models / "tiny.safetensors"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(JobError, match=said) as caught:
        registry.verify(tiny)
    assert caught.value.code == "model_corrupt" and str(path) in str(caught.value) and caught.value.remedy


def test_missing_weights_are_told_apart_from_broken_ones(models, tiny):
    (models / "tiny.safetensors").unlink()
    with pytest.raises(JobError, match="is missing") as caught:
        registry.verify(tiny)
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize(
    "content",
    [
        b"short",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 3) + b"{]}" + b"abc",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 9) + b'{"w": []}',
        safetensors(b"abcdef", last=4),
        safetensors(b"abcdef", last=9),
    ],
)
def test_a_file_that_is_not_whole_safetensors_is_refused_even_when_its_hash_fits(models, content):
    (models / "tiny.safetensors").write_bytes(content)
    write_card(make_card(content), models / "tiny.json")
    with pytest.raises(JobError) as caught:
        registry.verify(registry.find("tiny"))
    assert caught.value.code == "model_corrupt"


def test_the_header_check_agrees_with_the_format_s_own_writer(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    save_file({"a": np.zeros((2, 3), "f4"), "b": np.ones(5, "f8")}, tmp_path / "w.safetensors", {"rsinpaint": "{}"})
    assert weights.header_problem(tmp_path / "w.safetensors") == ""


def test_an_unknown_model_is_answered_with_the_nearest(models):
    with pytest.raises(JobError, match="Did you mean `tension-spline`") as caught:
        registry.find("Tension_Splin")
    assert caught.value.code == "model_missing"
    with pytest.raises(JobError, match="rsinpaint models list"):
        registry.find("zzzzzz")


def test_one_broken_card_does_not_hide_the_others(models, tiny):
    (models / "broken.json").write_text("{")
    (models / "._tiny.json").write_bytes(b"\x00")  # macOS leaves these
    found, problems = registry.survey()
    assert "tiny" in {card.id for card in found} and len(problems) == 1 and "broken.json" in str(problems[0])
    with pytest.raises(JobError, match="broken.json"):
        registry.find("broken")


def test_the_user_s_model_replaces_a_shipped_one_of_the_same_id(models):
    card = msgspec.structs.replace(registry.find("harmonic"), title="Mine", source=Source(paper="none"))
    write_card(card, models / "harmonic.json")
    assert registry.find("harmonic").title == "Mine" and registry.folder(card) == models


def test_auto_prefers_the_specialist_then_networks(models, tiny):
    content = safetensors(b"abc")
    several = make_card(content, id="several", tasks=["clouds", "slcoff", "masked", "lines", "ocean"])
    write_card(several, models / "several.json")
    chosen = {task: registry.default_model(task).id for task in ("slcoff", "lines", "ocean")}
    assert chosen == {"slcoff": "tiny", "lines": "local-ridge", "ocean": "several"}
    with pytest.raises(JobError, match="No model is installed for the task `snow`"):
        registry.default_model("snow")


def test_auto_takes_no_model_for_certain_bands_where_one_for_any_is_there(models, monkeypatch):
    chosen = {task: registry.default_model(task).id for task in get_args(Task) if task != "ocean"}
    write_card(make_card(b"abc", id="picky", tasks=["slcoff"], bands=["red", "green", "blue"]), models / "picky.json")
    assert {task: registry.default_model(task).id for task in chosen} == chosen
    assert chosen["clouds"] == chosen["slcoff"] == "anyband-s"
    monkeypatch.setattr(registry, "BUNDLED", models)
    assert registry.default_model("slcoff").id == "picky"


def test_weights_that_are_missing_and_can_be_fetched_are_told_so(models):
    placed = {"file": "tiny.safetensors", "bytes": 3, "sha256": "0" * 64}
    for where in ({"url": "https://example.org/w"}, {"drive_id": "abc"}):
        write_card(make_card(weights=placed | where), models / "tiny.json")
        with pytest.raises(JobError, match="`rsinpaint models fetch tiny` downloads it"):
            registry.verify(registry.find("tiny"))
    write_card(make_card(weights=placed), models / "tiny.json")
    with pytest.raises(JobError, match="from where the model came from"):
        registry.verify(registry.find("tiny"))


def test_a_model_that_can_be_fetched_and_is_not_there_is_told_so(models):
    with pytest.raises(JobError, match="no model `ecea`. `rsinpaint models fetch ecea` downloads it") as caught:
        registry.find("ecea")
    assert caught.value.code == "model_missing"


def test_weights_of_a_card_are_typed():
    assert isinstance(make_card(b"abc").weights, Weights)
