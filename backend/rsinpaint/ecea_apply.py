"""ECEA's own application: a corrupted picture goes in, `inpainting.tif` and `ground_truth.tif` come out.

The published program takes 8-bit pictures of 5120 x 5120 pixels and drops their place on Earth. Here any raster of
any size will do, both results lie where the input lies, and no known pixel changes.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import rasterio
from numpy.typing import NDArray

from .decide import asked_bands
from .errors import Cancelled, JobError
from .fill import fill
from .jobs import Job, Report
from .progress import Progressing
from .raster.publish import sweep, temporary_name
from .raster.scene import Scene, open_scene
from .raster.write import Writer, check_output, rasterio_env, write_like
from .tiles import Tile, blend, plan

WINDOW = 1024
MODEL = "ecea"
RESULT, TRUTH = "inpainting.tif", "ground_truth.tif"


@dataclass(frozen=True)
class Visible:
    """How reflectance is shown: `low` to `high` as 0 to 1, to the power of 1 / gamma, as displays do.

    The published program raises to gamma instead, and stretches 8-bit pictures that were stretched before.
    """

    low: float = 0.0
    high: float = 0.4
    gamma: float = 1.4

    def shown(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Values in 0 to 1; what lies outside is cut off."""
        stretched: NDArray[np.float64] = ((values - self.low) / (self.high - self.low)).clip(0, 1) ** (1 / self.gamma)
        return stretched

    def meant(self, shown: NDArray[Any]) -> NDArray[np.float64]:
        """What `shown` was made of."""
        values: NDArray[np.float64] = shown**self.gamma * (self.high - self.low) + self.low
        return values


def ecea_apply(
    picture: str,
    folder: str,
    visible: Visible,
    progress: Progressing,
    cancelled: Callable[[], bool],
    *,
    model: str = MODEL,
    device: str = "auto",
) -> Report:
    """Fill every pixel without data; where the file names no nodata value, these are the pixels that are 0.

    Args:
        picture: the corrupted raster; 8 bits are taken as a picture to be shown as it is, others as reflectance
            (times the file's scale) to be stretched by `visible`.
        folder: where the two results go; those of an earlier run are replaced.

    Raises:
        JobError: the input is no file, the output is no folder, the stretch is impossible, or the fill failed.
        Cancelled: `cancelled` said so; nothing is written.
    """
    if not Path(picture).is_file():
        raise JobError(f"The input `{picture}` is not a file", "a raster with holes", "Give its path to `--input`")
    if not Path(folder).is_dir():
        raise JobError(
            f"The output `{folder}` is not a folder", remedy="Make it first, or name another with `--output`"
        )
    if not (visible.low < visible.high and visible.gamma > 0):
        found = f"--vis-min {visible.low:g} --vis-max {visible.high:g} --gamma {visible.gamma:g}"
        raise JobError(f"Nothing can be shown with `{found}`", "a minimum below the maximum, and a gamma above 0")
    results = [str(Path(folder) / name) for name in (RESULT, TRUTH)]
    sweep(folder)
    with ExitStack() as stack:
        scene = stack.enter_context(open_scene((picture,)))
        stack.enter_context(rasterio.Env(**rasterio_env(scene, WINDOW)))
        for path in results:
            check_output(path, scene, True)
        work = Path(stack.enter_context(_folder_beside(results[0])))
        writers = [stack.enter_context(write_like(scene, path, overwrite=True)) for path in results]
        lens = _Lens(scene, None if scene.dtype == np.uint8 else visible)
        shown, mask = lens.show(work, cancelled)
        job = Job(
            scene=(shown,),
            output=str(work / "filled.tif"),
            out_mask=str(work / "done.tif"),
            task="masked",
            mask=mask,
            bands=asked_bands(scene, None),
            model=model,
            device=device,
        )
        report = fill(job, progress, cancelled)
        tags = lens.write(job.output, str(job.out_mask), writers, cancelled)
        for writer in writers:
            writer.complete(tags)
        for writer in writers:
            writer.rename()
    notes = tuple(note for note in report.notes if "nodata" not in note)
    return msgspec.structs.replace(report, output=results[0], notes=notes)


@contextmanager
def _folder_beside(result: str) -> Iterator[str]:
    """A temporary folder, named so that the next run sweeps it should this one be killed."""
    folder = temporary_name(result, "work")
    os.mkdir(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Lens:
    """The picture as the network sees it, 8 bits, and back."""

    def __init__(self, scene: Scene, visible: Visible | None) -> None:
        self._scene, self._visible = scene, visible
        self._zero = scene.dtype.kind in "iu" and set(scene.nodata) == {None}
        # a filled 0 would be missing again
        self._empties = ((0.0,),) * scene.count if self._zero else scene.empties
        self._scale, self._offset = (np.array(each)[:, None, None] for each in (scene.scales, scene.offsets))

    def show(self, work: Path, cancelled: Callable[[], bool]) -> tuple[str, str]:
        """Write what the network is to see, and where it is to fill; paths of both."""
        shown, mask = str(work / "shown.tif"), str(work / "holes.tif")
        plain: dict[str, Any] = {"overwrite": True, "dtype": "uint8", "plain": True}
        with (
            write_like(self._scene, shown, nodata=0, **plain) as picture,
            write_like(self._scene, mask, **plain) as holes,
        ):
            for tile, values in self._windows():
                if cancelled():
                    raise Cancelled
                empty = self._empty(values)
                outside = self._outside(tile, values)
                lost = empty & ~outside
                seen: NDArray[Any] = values
                if self._visible is not None:
                    seen = np.rint(255 * self._visible.shown(self._real(values, empty)))
                # 0 says that there is nothing, so black is 1
                picture.write(*tile.write, np.where(empty | outside, 0, np.maximum(seen, 1)).astype(np.uint8))
                holes.write(*tile.write, lost.astype(np.uint8))
            for writer in (picture, holes):
                writer.publish({})
        return shown, mask

    def write(self, filled: str, done: str, writers: list[Writer], cancelled: Callable[[], bool]) -> dict[str, str]:
        """Write the filled picture in the input's own units, and the input itself; what was done, as tags."""
        with rasterio.open(filled) as file, rasterio.open(done) as where:
            for tile, values in self._windows():
                if cancelled():
                    raise Cancelled
                window = tuple((part.start, part.stop) for part in tile.write)
                answer = file.read(window=window).astype(np.float64)
                if self._visible is not None:
                    answer = (self._visible.meant(answer / 255) - self._offset) / self._scale
                repaired, _ = blend(values, answer, where.read(window=window) == 1, self._empties)
                for writer, planes in zip(writers, (repaired, values), strict=True):
                    writer.write(*tile.write, planes)
            return {name: value for name, value in file.tags().items() if name.startswith("RSINPAINT_")}

    def _windows(self) -> Iterator[tuple[Tile, NDArray[Any]]]:
        for tile in plan(self._scene.height, self._scene.width, window=WINDOW, halo=0):
            yield tile, self._scene.read(*tile.write)

    def _empty(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        return self._scene.empty(values) | (values == 0) if self._zero else self._scene.empty(values)

    def _outside(self, tile: Tile, values: NDArray[Any]) -> NDArray[np.bool_]:
        """What an alpha or mask band calls transparent, (1, rows, columns): no picture, so no hole in it."""
        alpha = [band for band, fillable in enumerate(self._scene.fillable) if not fillable]
        outside = (values[alpha] == 0).any(0, keepdims=True)
        if self._scene.has_mask:
            outside |= self._scene.read_mask(*tile.write) == 0
        return outside

    def _real(self, values: NDArray[Any], empty: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Reflectance; something finite where there is no data."""
        real: NDArray[np.float64] = np.where(empty, 0, values).astype(np.float64) * self._scale + self._offset
        return real
