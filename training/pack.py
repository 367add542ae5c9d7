"""Turn a folder of scenes into one array file, so that training needs no rasterio.

    python -m training.pack FOLDER -o scenes.npz [--leave-out Place ...]

The file holds, for each scene, `values_N` (bands, rows, columns) in the scene's own dtype and `valid_N` (bool),
and one JSON text `scenes`: a list of {name, place, bands}. A place is the part of the file's name before the
first underscore; dates of one place stay together when places are drawn or left out.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from rsinpaint.raster.scene import open_scene


def pack(folder: Path, output: Path, leave_out: frozenset[str]) -> int:
    """Pack the GeoTIFFs of a folder; returns how many."""
    arrays: dict[str, np.ndarray] = {}
    index: list[dict[str, object]] = []
    for path in sorted(folder.glob("*.tif")):
        place = path.stem.split("_")[0]
        if place in leave_out:
            continue
        with open_scene([str(path)]) as scene:
            values = scene.read(slice(0, scene.height), slice(0, scene.width))
            arrays[f"values_{len(index)}"] = values
            arrays[f"valid_{len(index)}"] = ~scene.empty(values)
            index.append({"name": path.stem, "place": place, "bands": list(scene.band_names)})
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output, allow_pickle=False, scenes=np.array(json.dumps(index)), **arrays)
    return len(index)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of GeoTIFFs named PLACE_SENSOR_DATE.tif")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="PLACE", help="places kept for tuning")
    given = parser.parse_args()
    count = pack(given.folder, given.output, frozenset(given.leave_out))
    print(f"{count} scenes, {given.output.stat().st_size / 2**20:.1f} MiB in {given.output}")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
