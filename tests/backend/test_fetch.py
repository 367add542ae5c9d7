"""Downloads: what comes is the right file or is refused in words. Google Drive is a stand-in, web servers are local."""

import hashlib
import importlib
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
import torch
from safetensors.torch import save

from made_models import Intruder, held, weights_of
from rsinpaint.errors import JobError
from rsinpaint.models import download, fetch, install, publish, published, registry
from rsinpaint.models.card import Weights, read_card, write_card

SMALL = published.Published(
    id="small",
    title="Small",
    file="gen.pth",
    drive_id="abc123",
    importer="spa_gan",
    licence="MIT, somebody",
    about_bytes=1_000_000,
)
QUOTA_PAGE = b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>Too many users have viewed this file"


class DownloadError(Exception):
    """As gdown has it."""


class FileURLRetrievalError(DownloadError):
    """As gdown has it."""


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """The user's own models folder, not made yet."""
    monkeypatch.setenv("RSINPAINT_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def drive(monkeypatch) -> types.SimpleNamespace:
    """A stand-in for gdown that writes `gives`, or raises it; `asked` holds what it was asked for."""
    state = types.SimpleNamespace(gives=b"", asked=[])

    def get(*, id: str, output: str, quiet: bool) -> str:
        state.asked.append(id)
        if isinstance(state.gives, Exception):
            raise state.gives
        Path(output).write_bytes(state.gives)
        return output

    gdown, kinds = types.ModuleType("gdown"), types.ModuleType("gdown.exceptions")
    gdown.download, gdown.exceptions = get, kinds
    kinds.DownloadError, kinds.FileURLRetrievalError = DownloadError, FileURLRetrievalError
    monkeypatch.setitem(sys.modules, "gdown", gdown)
    monkeypatch.setitem(sys.modules, "gdown.exceptions", kinds)
    monkeypatch.setattr(published, "PUBLISHED", (SMALL,))
    return state


def saved(tmp_path: Path, state: object) -> bytes:
    torch.save(state, tmp_path / "made.pth")
    return (tmp_path / "made.pth").read_bytes()


def refusal(model_id: str) -> JobError:
    with pytest.raises(JobError) as caught:
        fetch.fetch(model_id)
    return caught.value


def test_the_first_fetch_pins_the_file_and_later_ones_must_bring_the_same(models, drive, tmp_path):
    drive.gives = saved(tmp_path, weights_of())
    digest = hashlib.sha256(drive.gives).hexdigest()
    fetched = fetch.fetch("small")
    assert (fetched.sha256, fetched.pinned, drive.asked) == (digest, True, ["abc123"])
    assert held(models) == {"small.json", "small.safetensors", "small.sha256"}
    assert (models / "small.sha256").read_text() == f"{digest}  gen.pth\n"
    card = registry.find("small")
    registry.verify(card)
    assert card.licence == "MIT, somebody" and f"fetched as gen.pth, sha256 {digest}" in card.trained_on

    again = fetch.fetch("small")
    assert (again.sha256, again.card, len(drive.asked)) == ("", card, 1)  # whole: nothing is downloaded

    install.remove("small")
    assert held(models) == {"small.sha256"}
    assert fetch.fetch("small") == fetch.Fetched(card, digest, pinned=False)

    (models / "small.safetensors").unlink()
    drive.gives = saved(tmp_path, weights_of(0.25))
    problem = refusal("small")
    assert "`gen.pth` is another file than before" in str(problem) and problem.code == "model_corrupt"
    assert digest in problem.expected and "small.sha256" in problem.expected
    assert held(models) == {"small.json", "small.sha256"}
    (models / "small.sha256").unlink()  # the user knows why
    assert fetch.fetch("small").pinned


def test_a_hash_that_we_pinned_rules(models, drive, tmp_path, monkeypatch):
    drive.gives = saved(tmp_path, weights_of())
    digest = hashlib.sha256(drive.gives).hexdigest()
    for sha256, fits in (("0" * 64, False), (digest, True)):
        known_to_us = SMALL.__class__(**{**vars(SMALL), "sha256": sha256})
        monkeypatch.setattr(published, "PUBLISHED", (known_to_us,))
        if fits:
            assert not fetch.fetch("small").pinned
        else:
            assert "0" * 64 in str(refusal("small")) and not held(models)
    assert held(models) == {"small.json", "small.safetensors"}


def test_a_model_with_a_spoiled_card_or_weights_is_fetched_again(models, drive, tmp_path):
    drive.gives = saved(tmp_path, weights_of())
    fetch.fetch("small")
    for name in ("small.json", "small.safetensors"):
        (models / name).write_bytes(b"{")
        assert fetch.fetch("small").sha256
        registry.verify(registry.find("small"))


class Response:
    status_code = 404


class RequestsError(OSError):
    """Those of `requests` are OSErrors without a number."""

    response = None


class RequestsHTTPError(RequestsError):
    response = Response()


MANY = "Too many users have viewed or downloaded this file recently. Please try later."
LINK = "Cannot retrieve the public link of the file. You may need to change the permission ... many accesses."


@pytest.mark.parametrize(
    ("gives", "said"),
    [
        (RequestsError("HTTPSConnectionPool(host='drive.google.com') and much more"), "Google Drive cannot be reached"),
        (ConnectionResetError(104, "Connection reset by peer"), "Google Drive cannot be reached, or went away"),
        (RequestsHTTPError("404"), "Google Drive answers 404 for the file `abc123`"),
        (FileURLRetrievalError(MANY), "too many have asked for it (its quota is used up). Try again tomorrow"),
        (FileURLRetrievalError(LINK), "its owner lets in only some, or too many have asked for it"),
        (DownloadError("broke off\nsecond line"), "does not give the file out (broke off)"),
        (QUOTA_PAGE, "too many have asked for it (its quota is used up)"),
        (b"<html><title>Sign in - Google Accounts</title>", "its owner lets in only some"),
        (b"<html><title>Drive</title>", "Google Drive sent a page and not the file"),
    ],
)
def test_what_google_drive_refuses_is_told_with_the_way_round(models, drive, gives, said):
    drive.gives = gives
    problem = refusal("small")
    assert said in str(problem) and problem.code == "model_missing" and "HTTPSConnectionPool" not in str(problem)
    assert SMALL.page in problem.remedy and "rsinpaint models import FILE --id small" in problem.remedy
    assert not held(models)


def test_without_gdown_the_way_to_it_is_told(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    monkeypatch.setattr(published, "PUBLISHED", (SMALL,))
    problem = refusal("small")
    assert "The library gdown is not installed" in str(problem) and "pip install" in problem.remedy
    assert SMALL.page in problem.remedy and not held(models)


def test_a_library_that_gdown_lacks_is_named(models, drive, monkeypatch):
    real = importlib.import_module

    def lacks(name):
        if name == "gdown":
            raise ModuleNotFoundError("No module named 'bs4'", name="bs4")
        return real(name)

    monkeypatch.setattr(download.importlib, "import_module", lacks)
    assert "The library bs4, which gdown needs, is not installed" in str(refusal("small"))


@pytest.mark.parametrize("kind", ["stranger", "code", "text", "empty", "cut"])
def test_a_wrong_file_is_refused_and_not_pinned(models, drive, tmp_path, kind):
    whole = saved(tmp_path, weights_of())
    drive.gives, said = {
        "stranger": (saved(tmp_path, {"some.weight": torch.zeros(3)}), "the importer `spa_gan` does not know its 1"),
        "code": (saved(tmp_path, {"w": Intruder(tmp_path / "harm")}), "holds more than tensors, perhaps code"),
        "text": (b"not found", "was not written by torch"),
        "empty": (b"", "is empty"),
        "cut": (whole[: len(whole) // 2], "is not understood"),
    }[kind]
    problem = refusal("small")
    assert "What was downloaded for `small` cannot be used: " in str(problem) and said in str(problem)
    assert ".part" not in str(problem) and problem.code == "model_corrupt"
    assert not held(models) and not (tmp_path / "harm").exists()


def test_a_disk_that_is_or_becomes_full_is_told_as_such(models, drive, monkeypatch):
    drive.gives = OSError(28, "No space left on device")
    assert refusal("small").code == "disk_full" and not held(models)
    monkeypatch.setattr(publish.shutil, "disk_usage", lambda _: types.SimpleNamespace(free=1_500_000))
    assert refusal("small").code == "disk_full" and len(drive.asked) == 1  # found out before anything is downloaded


@pytest.fixture
def server():
    """A web server on this computer: gives `content`; `/gone` is 404, `/broken` ends before its length."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/gone":
                self.send_error(404)
                return
            self.send_response(200)
            extra = 10 if self.path == "/broken" else 0
            self.send_header("Content-Length", str(len(web.content) + extra))
            self.end_headers()
            self.wfile.write(web.content)

        def log_message(self, *_):
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.content = b""
    web.address = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, args=(0.01,))
    thread.start()
    yield web
    web.shutdown()
    thread.join()
    web.server_close()


CONTENT = save({"w": torch.arange(10)})


def pointing(folder: Path, name: str = "far", **where: str) -> Path:
    """A card in a folder whose weights lie elsewhere."""
    there = Weights(file=f"{name}.safetensors", bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest(), **where)
    folder.mkdir(exist_ok=True)
    card = msgspec.structs.replace(registry.find("anyband-s"), id=name, weights=there)
    write_card(card, folder / f"{name}.json")
    return folder / f"{name}.json"


def test_weights_that_a_card_points_at_are_fetched_and_its_card_is_left_alone(models, server, drive):
    server.content = drive.gives = CONTENT
    for name, where in (("far", {"url": f"{server.address}/w"}), ("drive", {"drive_id": "xyz"})):
        path = pointing(models, name, **where)
        path.write_bytes(path.read_bytes() + b"\n")  # written by hand
        before = path.read_bytes()
        assert not fetch.fetch(name).pinned
        registry.verify(registry.find(name))
        assert path.read_bytes() == before
    assert drive.asked == ["xyz"]
    assert held(models) == {"far.json", "far.safetensors", "drive.json", "drive.safetensors"}


def test_weights_of_a_shipped_card_come_into_the_user_s_folder(models, server, tmp_path, monkeypatch):
    server.content = CONTENT
    shipped = tmp_path / "shipped"
    path = pointing(shipped, url=f"{server.address}/w")
    monkeypatch.setattr(registry, "BUNDLED", shipped)
    card = fetch.fetch("far").card
    assert registry.folder(card) == models and read_card(path) == card
    registry.verify(card)
    assert {one.name for one in shipped.iterdir()} == {"far.json"}


@pytest.mark.parametrize(
    ("path", "content", "said"),
    [
        ("/w", b"x" * len(CONTENT), "was changed: its sha256"),
        ("/w", CONTENT + b"x", "bytes, expected"),
        ("/w", CONTENT[:-1], "bytes, expected"),
        ("/w", b"<html>Sign in</html>", "is a web page"),
        ("/gone", CONTENT, "`127.0.0.1` answers 404 (Not Found)"),
        ("/broken", CONTENT[:-3], "bytes, expected"),
    ],
)
def test_a_download_of_something_else_is_refused(models, server, path, content, said):
    server.content = content
    pointing(models, url=server.address + path)
    problem = refusal("far")
    assert said in str(problem) and ".part" not in str(problem) and problem.remedy
    assert held(models) == {"far.json"}


def test_a_server_that_is_not_there_is_told(models, server):
    pointing(models, url=f"{server.address}/w")
    server.shutdown()
    server.server_close()
    problem = refusal("far")
    assert "`127.0.0.1` cannot be reached" in str(problem) and problem.code == "model_missing"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/w", "https://", "weights"])
def test_a_card_cannot_make_us_read_anything_but_the_web(models, url):
    pointing(models, url=url)
    assert "expected an address with https://" in str(refusal("far")) and held(models) == {"far.json"}


def test_what_cannot_be_fetched_is_told(models):
    assert "`harmonic` is a classical fill" in str(refusal("harmonic"))
    assert fetch.fetch("anyband-s").sha256 == ""  # whole
    assert "There is no model `harmonics`. Did you mean `harmonic`" in str(refusal("harmonics"))
    pointing(models)
    assert "does not say where its weights can be downloaded" in str(refusal("far"))
    (models / "broken.json").write_text("{")
    assert "broken.json" in str(refusal("broken"))
