"""Landsat 7 scenes to tiles: a display of reflectance, scan lines level, holes as masks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from rsinpaint.errors import JobError
from rsinpaint.masks import MaskSource
from rsinpaint.masks.nodata import Nodata
from rsinpaint.masks.qapixel import qapixel
from rsinpaint.masks.slcoff import SlcOff
from rsinpaint.raster.bundle import band_files
from rsinpaint.raster.scene import Scene, open_scene

from ..cutting import Tile, cut, tilt
from ..geometry import centred
from ..packing import LeftOut, Sample
from ..reflectance import EXPONENT, LEVELS, calibration, to_levels

BANDS = ["B3", "B2", "B1"]
"""Red, green, blue: the order in which the published networks take them."""
_PRODUCT = re.compile(r"L[A-Z]0?\d_?(?:[A-Z0-9]{4}_)?(?P<path_row>\d{6})")
_QUALITY = re.compile(r"(QA|GM|ANG|RADSAT|BQA)(_|\.|$)", re.IGNORECASE)


def samples(
    folder: Path,
    *,
    bands: list[str] = BANDS,
    tile: int = 256,
    crop: int = 5120,
    level: float | Literal["auto"] = "auto",
    low: float = 0.0,
    high: float = 0.4,
    exponent: float = EXPONENT,
    scale: float | None = None,
    offset: float = 0.0,
    nodata: float | None = None,
    mask: Literal["auto", "radsat", "nodata"] = "auto",
) -> Iterator[Sample | LeftOut]:
    """Landsat 7 scenes to tiles of reflectance as a display shows it.

    Args:
        folder: holds scenes: folders of single-band files, or rasters of several bands; or is one such folder.
        bands: in the wanted order.
        tile: side of a tile, in pixels.
        crop: longest side of what is cut from the middle of a scene, in pixels.
        level: degrees by which scan lines fall to the right, and are turned back; auto: measured; 0: not turned.
        low: reflectance that is shown black.
        high: reflectance that is shown white.
        exponent: what the fraction between them is raised to; 1 / 1.4 is Earth Engine's gamma of 1.4, 1 is linear.
        scale: makes reflectance of what is stored; left out: as the product says.
        offset: added after `scale`.
        nodata: what stands for no data, where the files do not say.
        mask: where holes are: dropped pixels of QA_RADSAT, empty ones inside the scene with stripes, or (auto) all.

    Raises:
        JobError: there is no scene, or one cannot be read or calibrated.
    """
    if not 0 <= low < high or exponent <= 0 or tile < 8:
        raise JobError(
            "`low`, `high`, `exponent` or `tile` is out of range", "0 <= low < high, exponent > 0, tile >= 8"
        )
    for path in scenes_of(folder):
        with open_bands(path, bands, nodata) as scene:
            chosen = [band_of(scene, name) for name in bands]
            factors = calibration(scene, chosen, scale, offset)
            stripes = SlcOff()
            stripes.prepare(scene, lambda done: None)
            sources = hole_sources(scene, path, mask, stripes)
            frame = centred(
                scene.height,
                scene.width,
                tile=tile,
                crop=crop,
                angle=tilt(scene, stripes) if level == "auto" else level,
            )
            name = path.name if path.is_dir() else path.stem
            notes = {"low": low, "high": high, "exponent": exponent, "angle": frame.angle}
            if not frame.rows * frame.columns:
                yield LeftOut(name, f"scenes smaller than a tile of {tile} px")
            for piece in cut(scene, chosen, sources, frame, name):
                if isinstance(piece, LeftOut):
                    yield piece
                    continue
                levels = _levels(piece, factors, low, high, exponent)
                yield Sample(
                    piece.name, place_of(name), tuple(bands), levels, piece.valid,
                    masks=piece.masks, span=(0, LEVELS), notes=notes,
                )  # fmt: skip


def _levels(piece: Tile, factors: list[tuple[float, float]], low: float, high: float, exponent: float) -> np.ndarray:
    scale, offset = (np.array(side)[:, None, None] for side in zip(*factors, strict=True))
    levels = to_levels(piece.values * scale + offset, low=low, high=high, exponent=exponent)
    return np.where(piece.valid, levels, 0).astype(np.uint16)


def scenes_of(folder: Path) -> list[Path]:
    """Bundles and rasters of a folder; the folder itself when it is a bundle.

    Raises:
        JobError: none.
    """
    if folder.is_dir() and band_files(str(folder))[0]:
        return [folder]
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [path for path in inside if path.is_dir() and band_files(str(path))[0]]
    found += [p for p in inside if p.suffix.lower() in (".tif", ".tiff") and not _QUALITY.search(p.name)]
    if not found:
        raise JobError(f"`{folder}` holds no scene", "folders of Landsat bundles, or GeoTIFFs", code="input_unreadable")
    return found


def open_bands(path: Path, names: list[str], nodata: float | None) -> Scene:
    """Open a raster, or those bands of a bundle that are named.

    In a bundle of integers 0 is no data by the product's definition, whatever the files say; elsewhere 0 is a value
    like any other.

    Raises:
        JobError: unreadable, or a band is missing.
    """
    given = (nodata,) if nodata is not None else None
    if not path.is_dir():
        return open_scene([str(path)], nodata=given)
    files = band_files(str(path))[0]
    chosen = [next((file for file in files if _is(file.label, name)), None) for name in names]
    paths = [file.path for file in chosen if file]
    if len(paths) < len(names):
        missing = [name for name, file in zip(names, chosen, strict=True) if file is None]
        raise JobError(
            f"`{path.name}` has no band {', '.join(missing)}", "a file for each band", code="input_unreadable"
        )
    scene = open_scene(paths, nodata=given)
    scene.name = path.name
    scene.band_names = tuple(file.label for file in chosen if file)
    scene.descriptions = scene.band_names
    if nodata is None and scene.dtype.kind in "iu":
        scene.nodata = tuple(0.0 if value is None else value for value in scene.nodata)
    return scene


def _is(label: str, name: str) -> bool:
    """Whether a band's label (`SR_B1`, `B1_blue`, `band1`, `B6_VCID_1`) is that of `name` (`B1`)."""
    wanted = re.sub(r"\D+", "", name)
    found = re.match(r"(?:(?:SR|TOA)_)?B(?:AND)?_?0*(\d+)(?!\d)", label, re.IGNORECASE)
    return label.lower() == name.lower() or (found is not None and found[1] == wanted)


def band_of(scene: Scene, name: str) -> int:
    """Number of a band from 1, by its name; where bands have no names, B1 is the first.

    Raises:
        JobError: there is none.
    """
    matches = [number for number, label in enumerate(scene.band_names, 1) if _is(label, name)]
    if matches:
        return matches[0]
    number = int(re.sub(r"\D+", "", name) or 0)
    if not any(scene.descriptions) and 1 <= number <= scene.count:
        return number
    raise JobError(
        f"`{scene.name}` has no band {name}, it has {', '.join(scene.band_names)}", remedy="Name others with `--bands`"
    )


def hole_sources(scene: Scene, path: Path, kind: str, stripes: SlcOff) -> list[MaskSource]:
    """The prepared rules that say where holes are: dropped pixels of QA_RADSAT; empty ones inside, and stripes.

    Where a stripe meets the border only its geometry tells it from the collar.

    Raises:
        JobError: QA_RADSAT is asked for and not there.
    """
    beside = sorted(path.glob("*") if path.is_dir() else path.parent.glob(f"{path.stem}_*"))
    quality = [file for file in beside if re.search(r"(QA_RADSAT|radsat_qa)\.tiff?$", file.name, re.IGNORECASE)]
    if kind == "radsat" and not quality:
        raise JobError(
            f"There is no QA_RADSAT beside `{scene.name}`", remedy="Give `--mask nodata`", code="input_unreadable"
        )
    found: list[MaskSource] = []
    if kind != "nodata" and quality:
        found.append(qapixel(str(quality[0]), scene, stripes=False))
    if kind != "radsat":
        found.append(Nodata())
    for source in found:
        source.prepare(scene, lambda done: None)
    return [*found, stripes] if kind != "radsat" else found


def place_of(name: str) -> str:
    """Path and row of a Landsat product, so that its dates stay together; else what stands before the first underscore.

    >>> place_of("LE07_L1TP_006066_20050401_20200914_02_T1"), place_of("LE70060662005091ASN00"), place_of("Menindee_x")
    ('006066', '006066', 'Menindee')
    """
    found = _PRODUCT.match(name)
    return found["path_row"] if found else name.split("_")[0]
