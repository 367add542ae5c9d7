"""Turn folders of scenes into one array file, so that training needs no rasterio.

    python -m training.pack FOLDER [FOLDER ...] -o scenes.npz [--leave-out Place ...] [--nodata V]

The file holds, for each scene, `values_N` (bands, rows, columns) in the scene's own dtype and `valid_N` (bool),
and one JSON text `scenes`: a list of {name, place, bands}. A place is the part of the file's name before the
first underscore; dates of one place stay together when places are drawn or left out.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rsinpaint.raster.scene import open_scene


def pack(folders: Sequence[Path], output: Path, leave_out: frozenset[str], nodata: float | None = None) -> int:
    """Pack the GeoTIFFs of folders; returns how many. `nodata` is for files that name none."""
    arrays: dict[str, np.ndarray] = {}
    index: list[dict[str, object]] = []
    for path in (path for folder in folders for path in sorted(folder.glob("*.tif"))):
        place = path.stem.split("_")[0]
        if place in leave_out:
            continue
        with open_scene([str(path)]) as scene:
            values = scene.read(slice(0, scene.height), slice(0, scene.width))
            arrays[f"values_{len(index)}"] = values
            empty = scene.empty(values)
            if nodata is not None and set(scene.nodata) == {None}:
                empty |= values == nodata
            arrays[f"valid_{len(index)}"] = ~empty
            index.append({"name": path.stem, "place": place, "bands": list(scene.band_names)})
    output.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(output, allow_pickle=False, scenes=np.array(json.dumps(index)), **arrays)
    return len(index)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", help="folders of GeoTIFFs named PLACE_SENSOR_DATE.tif")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="PLACE", help="places kept for tuning")
    parser.add_argument("--nodata", type=float, metavar="V", help="nodata value of files that name none")
    given = parser.parse_args()
    count = pack(given.folders, given.output, frozenset(given.leave_out), given.nodata)
    print(f"{count} scenes, {given.output.stat().st_size / 2**20:.1f} MiB in {given.output}")
    return 0 if count else 1


if __name__ == "__main__":
    sys.exit(main())
