"""Pictures of a scene before and after: the same pixels, the same stretch, one picture pixel for each of the scene.

python scripts/pictures.py        the README's, from the demo's output
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "resources" / "sample" / "MenindeeLakes_LE07slcoff_20100508.tif"
FILLED = ROOT / "demo" / "filled.tif"
PICTURES = ROOT / "resources" / "pictures"
COMPOSITE = (3, 2, 1)
"""Bands shown as red, green and blue: swir1, nir, red."""
README_WINDOW = Window(150, 200, 720, 460)  # columns and rows from, then how many: lakes, dunes and wide stripes
LIMIT_BYTES = 500_000
GUTTER = 12

Picture = NDArray[np.uint8]


def before_and_after(
    before: Path, after: Path, bands: Sequence[int] = COMPOSITE, window: Window | None = None
) -> tuple[Picture, Picture]:
    """Both scenes as (rows, columns, 3); nodata is black. The stretch is that of the first one's known pixels."""
    with rasterio.open(before) as one, rasterio.open(after) as other:
        whole = one.read(bands, masked=True)
        limits = [np.percentile(band.compressed(), (1, 99)) for band in whole]
        pair = [scene.read(bands, masked=True, window=window) for scene in (one, other)]
    first, second = (_stretched(planes, limits) for planes in pair)
    return first, second


def _stretched(planes: np.ma.MaskedArray, limits: Sequence[NDArray[np.float64]]) -> Picture:
    shown = np.zeros((*planes.shape[1:], len(planes)), np.uint8)
    for index, (plane, (low, high)) in enumerate(zip(planes, limits, strict=True)):
        share = np.clip((plane.astype(np.float64) - low) / max(high - low, 1e-9), 0, 1)
        # From 20 up, so that no known pixel is as black as a gap.
        shown[..., index] = np.where(np.ma.getmaskarray(plane), 0, 20 + 235 * share.filled(0))
    return shown


def side_by_side(pair: tuple[Picture, Picture], output: Path) -> None:
    """Write one PNG: before on the left, after on the right."""
    gutter = np.full((pair[0].shape[0], GUTTER, 3), 255, np.uint8)
    output.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([pair[0], gutter, pair[1]], axis=1)).save(output, optimize=False)


def main() -> int:
    if not FILLED.is_file():
        print(f"{FILLED.relative_to(ROOT)} is missing: `make demo` makes it", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, picture in zip(("before", "after"), before_and_after(SAMPLE, FILLED, window=README_WINDOW), strict=True):
        path = PICTURES / f"{name}.jpg"
        Image.fromarray(picture).save(path, quality=92, subsampling=0, optimize=True)
        size = path.stat().st_size
        print(f"{path.relative_to(ROOT)}: {size / 1000:.0f} kB")
        if size > LIMIT_BYTES:
            print(f"{path.name} is larger than {LIMIT_BYTES} bytes", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
