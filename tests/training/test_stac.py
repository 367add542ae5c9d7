"""The source `stac`: a static catalogue and a small API, both served on loopback."""

import json
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from rasterio.transform import from_origin

from rsinpaint.errors import JobError
from tests.training.test_prepare import write_raster
from training.prepare.__main__ import main
from training.prepare.packing import LeftOut, Sample, read
from training.prepare.sources.stac import samples

BOX = [15.0, -0.01736, 15.01725, 0.0]
"""West, south, east, north of the scenes: 64 x 64 pixels of 30 m south-east of (0, 15 E)."""
API = "https://api.stacspec.org/v1.0.0/"


class Handler(SimpleHTTPRequestHandler):
    """Files with ranges, which GDAL reads by, and `/api` with a search over the same items."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if self.path.rstrip("/") == "/api":
            return self._send(json.dumps(landing(self._root())).encode())
        if not path.is_file():
            return self.send_error(404)
        content, wanted = path.read_bytes(), self.headers.get("Range")
        if not wanted:
            return self._send(content)
        first, last = wanted.removeprefix("bytes=").split("-")
        part = content[int(first) : int(last) + 1 if last else None]
        span = f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"
        return self._send(part, 206, {"Content-Range": span})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        items = [item(self._root(), *one) for one in SCENES if one[0] in asked["collections"]]
        self._send(json.dumps({"type": "FeatureCollection", "features": items, "links": []}).encode())

    def _root(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"  # type: ignore[attr-defined]

    def _send(self, content: bytes, status: int = 200, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), "Accept-Ranges": "bytes"}
        for key, value in (headers | (more or {})).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


SCENES = (
    ("landsat", "scene-a", "2005-04-01"),
    ("landsat", "scene-b", "2006-08-09"),
    ("other", "scene-c", "2005-04-01"),
)


def item(root: str, collection: str, name: str, date: str) -> dict:
    west, south, east, north = BOX
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    grid = {
        "proj:epsg": 32633,
        "proj:shape": [64, 64],
        "proj:transform": list(from_origin(500000, 0, 30, 30))[:6],
        "raster:bands": [{"data_type": "int16", "nodata": -999}],
    }
    assets = {
        band: {"href": f"{root}/{name}_{band}.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]} | grid
        for band in ("red", "nir")
    }
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": collection, "bbox": BOX, "links": [],
        "stac_extensions": [
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
        ],
        "geometry": {"type": "Polygon", "coordinates": [ring]}, "assets": assets,
        "properties": {"datetime": f"{date}T10:00:00Z", "landsat:wrs_path": "6", "landsat:wrs_row": "66"} | {
            "proj:epsg": 32633},
    }  # fmt: skip


def landing(root: str) -> dict:
    links = [{"rel": "root", "href": f"{root}/api"}, {"rel": "self", "href": f"{root}/api"}]
    links.append({"rel": "search", "href": f"{root}/api/search", "method": "POST", "type": "application/geo+json"})
    return {
        "type": "Catalog", "stac_version": "1.0.0", "id": "api", "description": "an API", "links": links,
        "conformsTo": [f"{API}core", f"{API}item-search"],
    }  # fmt: skip


def values(name: str) -> np.ndarray:
    """(red, nir) of a scene: 64 x 64, with one empty pixel inside."""
    planes = np.random.default_rng(ord(name[-1])).integers(1, 5000, (2, 64, 64), np.int16)
    planes[:, 20, 20] = -999
    return planes


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A catalogue of three items in two collections; yields the server."""
    folder = tmp_path_factory.mktemp("catalogue")
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    served.asked = []  # type: ignore[attr-defined]
    root = f"http://127.0.0.1:{served.server_port}"
    links = []
    for collection, name, date in SCENES:
        planes = values(name)
        for plane, band in zip(planes, ("red", "nir"), strict=True):
            write_raster(folder / f"{name}_{band}.tif", plane[None], nodata=-999)
        (folder / f"{name}.json").write_text(json.dumps(item(root, collection, name, date)))
        links.append({"rel": "item", "href": f"{root}/{name}.json", "type": "application/json"})
    links += [{"rel": rel, "href": f"{root}/catalog.json"} for rel in ("root", "self")]
    text = {"type": "Catalog", "stac_version": "1.0.0", "id": "static", "description": "static", "links": links}
    (folder / "catalog.json").write_text(json.dumps(text))
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()


@pytest.fixture
def root(server, monkeypatch) -> str:
    """The server's address; a proxy of this computer must not be asked for it."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")
    return f"http://127.0.0.1:{server.server_port}"


def test_scenes_of_a_static_catalogue_become_tiles_bit_for_bit(root):
    found = list(samples(f"{root}/catalog.json", bands=["nir", "red"], collection="landsat", tile=32, span=(0, 5000)))
    assert len(found) == 8 and all(isinstance(one, Sample) for one in found)
    for sample in found:
        scene, row, column = sample.name[:7], int(sample.name[9:14]), int(sample.name[16:])
        piece = values(scene)[::-1, row : row + 32, column : column + 32]
        np.testing.assert_array_equal(np.where(sample.valid, sample.values, -999), piece)
        assert (sample.bands, sample.place, sample.span) == (("nir", "red"), "006066", (0, 5000))
        assert sample.notes["collection"] == "landsat" and sample.values.dtype == np.int16
    first = found[0]
    assert first.masks.sum() == 2 and first.masks[:, 20, 20].all() and found[1].masks is None


def test_dates_boxes_and_limits_choose_scenes_of_a_static_catalogue(root):
    where = {"url": f"{root}/catalog.json", "bands": ["red"], "tile": 64}

    def names(**more: object) -> list[str]:
        return [one.name[:7] for one in samples(**where, **more)]

    assert names() == ["scene-a", "scene-b", "scene-c"]
    assert names(datetime="2005-01-01/2005-12-31") == ["scene-a", "scene-c"]
    assert names(datetime="2006-08-09") == ["scene-b"] and names(datetime="2006-01-01/..") == ["scene-b"]
    assert len(names(limit=2)) == 2
    with pytest.raises(JobError, match="no scene of this collection, place and time"):
        names(bbox=(40, 40, 41, 41))


def test_a_box_cuts_scenes(root):
    west = (14.0, -0.01736, 15.0086, 1.0)  # 32 of 64 columns, and much where there is nothing
    (found,) = samples(f"{root}/catalog.json", bands=["red"], collection="other", bbox=west, tile=30, crop=30)
    assert isinstance(found, Sample)
    shown, whole = np.where(found.valid, found.values, -999)[0], values("scene-c")[0]
    (column,) = [c for r in range(35) for c in range(35) if (shown == whole[r : r + 30, c : c + 30]).all()]
    assert column <= 3  # the middle of the whole scene begins at 17


def test_an_api_is_searched_and_not_walked(root, server, tmp_path, capsys):
    server.asked.clear()
    out = tmp_path / "t.npz"
    more = ["--bands", "[red]", "--collection", "landsat", "--datetime", "2005-01-01/2006-12-31", "--tile", "32"]
    assert main(["stac", f"{root}/api", *more, "--bbox", "[14.9, -0.1, 15.1, 0.1]", "-o", str(out)]) == 0
    assert [sample.name[:7] for sample in read(out)] == ["scene-a"] * 4 + ["scene-b"] * 4
    assert server.asked[0]["collections"] == ["landsat"] and server.asked[0]["bbox"] == [14.9, -0.1, 15.1, 0.1]
    assert "8 samples in" in capsys.readouterr().out


def test_a_scene_that_is_smaller_than_a_tile_is_left_out(root):
    (one,) = samples(f"{root}/catalog.json", bands=["red"], collection="other", tile=128)
    assert isinstance(one, LeftOut)


def test_what_cannot_be_read_is_said_in_words(root):
    with pytest.raises(JobError, match=r"The catalogue `.*missing.json` cannot be read"):
        list(samples(f"{root}/missing.json", bands=["red"]))
    with pytest.raises(JobError, match=r"Scene `scene-c` cannot be read .*blue.* It has the assets red, nir"):
        list(samples(f"{root}/catalog.json", bands=["blue"], collection="other"))


def test_without_the_extra_the_sentence_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "odc.stac", None)
    with pytest.raises(JobError, match=r"pip install 'rsinpaint\[stac\]'"):
        list(samples("http://127.0.0.1:9/", bands=["red"]))
