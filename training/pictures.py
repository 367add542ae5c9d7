"""Pictures to learn from, read one at a time: the contract of what adversarial training is given.

A source is one of
- a folder of pictures (GeoTIFF, PNG), at any depth, or one that holds `clear/` and, where there are pairs, `cloudy/`
  and perhaps `mask/` (not 0 = hole), with equal names in each;
- an .npz as `training.pack` or `training.prepare` makes it (see `prepare.packing`); samples that are masks and
  nothing else are no pictures.

A place is what a file's name has before its first underscore. Nothing is unpickled.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsinpaint.raster.scene import open_scene

SUFFIXES = (".tif", ".tiff", ".png")
CACHE_BYTES = 1 << 30
"""What is kept of pictures that were read: a source that is small is read once."""


@dataclass(frozen=True)
class Picture:
    """Planes are (bands, rows, columns) in the file's own type; `holes` is (rows, columns)."""

    name: str
    clear: NDArray[Any]
    valid: NDArray[np.bool_]
    """False where a pixel is no truth. Zeros are values like any other: only the file's nodata is not."""
    cloudy: NDArray[Any] | None = None
    holes: NDArray[np.bool_] | None = None
    """Where the cloudy picture is degraded; none: the file does not say."""
    span: tuple[float, float] | None = None
    """Values that stand for 0 and 1, where the file says so."""

    @property
    def bytes(self) -> int:
        planes = (self.clear, self.valid, self.cloudy, self.holes)
        return sum(plane.nbytes for plane in planes if plane is not None)


@dataclass
class Pictures:
    """Names and places of all pictures of a source, in its order; `read` gives one of them."""

    names: tuple[str, ...]
    places: tuple[str, ...]
    load: Callable[[int], Picture]
    _kept: dict[int, Picture] = field(default_factory=dict)

    @classmethod
    def open(cls, source: Path) -> "Pictures":
        """List a source.

        Raises:
            ValueError: there is no picture in it, or a pair is not whole; the sentence says what was expected.
        """
        return _packed(source) if source.suffix == ".npz" else _folder(source)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, number: int) -> Picture:
        if number not in self._kept:
            picture = self.load(number)
            while self._kept and sum(kept.bytes for kept in self._kept.values()) + picture.bytes > CACHE_BYTES:
                del self._kept[next(iter(self._kept))]
            self._kept[number] = picture
        return self._kept[number]


def split(
    pictures: Pictures, *, folds: int = 1, fold: int = 0, listed: Path | None = None
) -> tuple[list[int], list[int]]:
    """Numbers of the pictures to learn from, and of those to watch.

    Args:
        folds: places are dealt out to so many parts, each of which can be held out; 1: all are learnt from.
        fold: the part that is held out, from 0.
        listed: a text with the name of a picture to learn from in each line; the others are watched. Overrides folds.

    Raises:
        ValueError: a listed name is not there, there is no such fold, or nothing is left to learn from.
    """
    if listed:
        return _as_listed(pictures, listed)
    if not 0 <= fold < folds:
        raise ValueError(f"fold {fold}, expected one of 0 to {folds - 1}")
    if folds == 1:
        return list(range(len(pictures))), []
    places = sorted(set(pictures.places))
    if len(places) < folds:
        raise ValueError(f"{len(places)} places, expected at least one for each of {folds} folds; or give `held_out`")
    part = {place: number % folds for number, place in enumerate(np.random.default_rng(0).permutation(places))}
    learnt = [number for number, place in enumerate(pictures.places) if part[place] != fold]
    return learnt, [number for number, place in enumerate(pictures.places) if part[place] == fold]


def _as_listed(pictures: Pictures, listed: Path) -> tuple[list[int], list[int]]:
    wanted = [line.strip() for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    number = {name: index for index, name in enumerate(pictures.names)}
    if not wanted:
        raise ValueError(f"{listed} lists nothing, expected the name of a picture in each line")
    if absent := [name for name in wanted if name not in number]:
        raise ValueError(f"{listed} lists {len(absent)} pictures that are not there, for instance {absent[0]}")
    chosen = [number[name] for name in wanted]
    return chosen, sorted(set(range(len(pictures))) - set(chosen))


def _packed(source: Path) -> Pictures:
    file = np.load(source, allow_pickle=False)  # members are read when they are asked for
    scenes = json.loads(str(file["scenes"]))
    index = [(number, scene) for number, scene in enumerate(scenes) if f"values_{number}" in file]
    if not index:
        raise ValueError(f"{source} holds no picture, expected what `python -m training.pack` makes")

    def load(place: int) -> Picture:
        number, scene = index[place]
        cloudy = file.get(f"cloudy_{number}")
        # without a partner, masks are gaps of the picture itself, without truth under them
        masks = None if cloudy is None else file.get(f"masks_{number}")
        holes = None if masks is None else masks.any(axis=0)
        span = tuple(scene["span"]) if scene.get("span") else None
        return Picture(scene["name"], file[f"values_{number}"], file[f"valid_{number}"], cloudy, holes, span)

    return Pictures(tuple(scene["name"] for _, scene in index), tuple(scene["place"] for _, scene in index), load)


def _folder(source: Path) -> Pictures:
    clear = source / "clear" if (source / "clear").is_dir() else source
    files = sorted(path for path in clear.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{clear} holds no picture, expected files that end in {', '.join(SUFFIXES)}")
    partners = {kind: _partners(source / kind, clear, files) for kind in ("cloudy", "mask")}

    def load(number: int) -> Picture:
        planes, valid = _read(files[number])
        cloudy, mask = (_read(paths[number])[0] if paths else None for paths in partners.values())
        holes = None if mask is None else (mask != 0).any(axis=0)
        return Picture(names[number], planes, valid, cloudy, holes)

    names = tuple(path.relative_to(clear).with_suffix("").as_posix() for path in files)
    return Pictures(names, tuple(name.split("/")[-1].split("_")[0] for name in names), load)


def _partners(folder: Path, clear: Path, files: Sequence[Path]) -> list[Path]:
    """The file of the same name in another folder for each file; none where there is no such folder."""
    if not folder.is_dir():
        return []
    found = [folder / path.relative_to(clear) for path in files]
    if absent := [path for path in found if not path.is_file()]:
        raise ValueError(f"{absent[0]} is not there, expected one file there for each in {clear}")
    return found


def _read(path: Path) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    with open_scene([str(path)]) as scene:
        values = scene.read(slice(0, scene.height), slice(0, scene.width))
        return values, ~scene.empty(values)
