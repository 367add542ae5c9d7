"""RICE: pairs of cloudy and clear pictures (Lin et al. 2019, arXiv:1901.00600); RICE2 has masks, too."""

from collections.abc import Iterator
from pathlib import Path

from rsinpaint.errors import JobError

from ..folders import check_pairs, pictures, read_mask, read_whole, subfolder
from ..packing import LeftOut, Sample

CLOUDY, CLEAR, MASK = ("cloud", "cloudy"), ("label", "clear"), ("mask",)
BANDS = ("red", "green", "blue")
"""Order of the planes. SpA-GAN's published weights take blue, green, red: turn them round by these names."""


def samples(folder: Path, *, run: int = 1) -> Iterator[Sample | LeftOut]:
    """Pairs of the RICE data set, thin or thick cloud over clear pictures.

    Args:
        folder: holds `cloud`, `label` and perhaps `mask`, or folders that do (`RICE1`, `RICE2`).
        run: so many pictures of neighbouring numbers share a place, since they are often cut from one scene.

    Raises:
        JobError: a picture has no partner, or one of another size.
    """
    inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    sets = [path for path in [folder, *inside] if subfolder(path, CLOUDY) and subfolder(path, CLEAR)]
    if not sets:
        raise JobError(f"`{folder}` holds no pairs", "folders `cloud` and `label` in it", code="input_unreadable")
    for one in sets:
        yield from _set(one, "" if one == folder else f"{one.name}_", run)


def _set(folder: Path, prefix: str, run: int) -> Iterator[Sample]:
    cloudy, clear = (pictures(subfolder(folder, names) or folder) for names in (CLOUDY, CLEAR))
    check_pairs(folder, cloudy, clear)
    where = subfolder(folder, MASK)
    masks = pictures(where) if where else {}
    for stem, path in cloudy.items():
        degraded, empty, _ = read_whole(path)
        truth, missing, _ = read_whole(clear[stem])
        if truth.shape != degraded.shape or truth.shape[0] != 3 or truth.dtype != degraded.dtype:
            raise JobError(
                f"The pair `{stem}` has shapes {degraded.shape} and {truth.shape}", "three bands and one size for both",
                code="unsupported_raster",
            )  # fmt: skip
        holes, unknown = read_mask(masks.get(stem), truth.shape[1:])
        yield Sample(
            prefix + stem, prefix + _place(stem, run), BANDS, truth, ~(missing | empty | unknown), degraded, holes,
            span=(0, 255 if truth.dtype == "uint8" else 65535),
        )  # fmt: skip


def _place(stem: str, run: int) -> str:
    """The picture itself, or the run that its number falls into: `rice2_0137` of runs of 10 is `run13`."""
    number = next((part for part in stem.split("_") if part.isdigit()), None)
    return stem if run <= 1 or number is None else f"run{int(number) // run}"
