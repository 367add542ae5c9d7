"""From what a product stores to reflectance, and from reflectance to what a display shows."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsinpaint.errors import JobError
from rsinpaint.raster.scene import Scene

EXPONENT = 1 / 1.4
"""What Earth Engine's `gamma: 1.4` means: fractions are raised to the power 1 / 1.4, which brightens."""
LEVELS = 65535
SURFACE = (2.75e-05, -0.2)
"""Scale and offset of surface reflectance in Landsat Collection 2 (LSDS-1618)."""

_FIELD = re.compile(r"^\s*(?P<key>\w+)\s*=\s*(?P<value>\S.*?)\s*$", re.MULTILINE)


def to_levels(reflectance: NDArray[Any], *, low: float, high: float, exponent: float) -> NDArray[np.uint16]:
    """Levels 0 to 65535 of reflectance: cut to `low`..`high`, scaled to a fraction, raised to the power `exponent`.

    The published application's code raises to 1.4, which darkens; its pictures were made with 1 / 1.4. So the power is
    stated as such, and not as a `gamma`, which means either.

    >>> to_levels(np.array([-1, 0.1, 9]), low=0, high=0.4, exponent=2).tolist()
    [0, 4096, 65535]
    """
    fraction = np.clip((np.asarray(reflectance, np.float64) - low) / (high - low), 0, 1)
    return np.floor(fraction**exponent * LEVELS + 0.5).astype(np.uint16)  # rounded: cutting off darkens by half a level


def from_levels(levels: NDArray[Any], *, low: float, high: float, exponent: float) -> NDArray[np.float64]:
    """Reflectance of levels: the inverse of `to_levels` within `low`..`high`."""
    return low + (high - low) * (np.asarray(levels, np.float64) / LEVELS) ** (1 / exponent)


def calibration(scene: Scene, bands: list[int], scale: float | None, offset: float) -> list[tuple[float, float]]:
    """Scale and offset that make reflectance of what each band stores.

    In this order: what is given; what the file's tags say; surface reflectance of Collection 2, by the bands' names;
    the `_MTL.txt` beside the file (at the top of the atmosphere); none for floats, which are reflectance already.

    Args:
        scene: open.
        bands: counted from 1.
        scale, offset: given by the user; None: look for them.

    Raises:
        JobError: none of these.
    """
    if scale is not None:
        return [(scale, offset)] * len(bands)
    return [_band(scene, band) for band in bands]


def _band(scene: Scene, band: int) -> tuple[float, float]:
    place, index = scene.planes[band - 1]
    dataset = scene.datasets[place]
    tagged = float(dataset.scales[index - 1]), float(dataset.offsets[index - 1])
    if tagged != (1.0, 0.0):
        return tagged
    name = scene.band_names[band - 1]
    if scene.dtype == np.uint16 and re.match(r"SR_B\d", name, re.IGNORECASE):
        return SURFACE
    for path in sorted(Path(scene.paths[place]).parent.glob("*_MTL.txt")):
        if found := top_of_atmosphere(path.read_text(encoding="utf-8"), name):
            return found
    if scene.dtype.kind == "f":
        return 1.0, 0.0
    raise JobError(
        f"`{scene.name}` stores {scene.dtype} and does not say how they become reflectance",
        "scale tags, a `_MTL.txt` beside it, or floats",
        "Give `--scale` and `--offset`",
    )


def top_of_atmosphere(metadata: str, band: str) -> tuple[float, float] | None:
    """Scale and offset to reflectance at the top of the atmosphere, from the text of a `_MTL.txt`; None if not there.

    The sun's elevation is divided out. Factors of a Level 2 product stand in the same file under the same names, so
    only the group of Level 1 counts.

    Source: Landsat 7 Data Users Handbook (LSDS-1927), conversion to TOA reflectance.
    """
    group = re.search(r"GROUP = (LEVEL1_)?RADIOMETRIC_RESCALING(.*?)END_GROUP", metadata, re.DOTALL)
    number = re.search(r"B(?:AND)?_?(\d+)", band, re.IGNORECASE)
    fields = {found["key"]: found["value"] for found in _FIELD.finditer(metadata)}
    if not group or not number or "SUN_ELEVATION" not in fields:
        return None
    rescaling = {found["key"]: found["value"] for found in _FIELD.finditer(group[2])}
    keys = [f"REFLECTANCE_{kind}_BAND_{int(number[1])}" for kind in ("MULT", "ADD")]
    if any(key not in rescaling for key in keys):
        return None
    sine = math.sin(math.radians(float(fields["SUN_ELEVATION"])))
    return float(rescaling[keys[0]]) / sine, float(rescaling[keys[1]]) / sine
