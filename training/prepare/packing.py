"""The packed file of training samples: what `training.pack` writes, with degraded inputs and holes beside the truth.

A packed file is one `.npz` without pickles. For sample N of the list `scenes` it holds

- `values_N` (bands, rows, columns), the truth, in the source's dtype,
- `valid_N`, bool of the same shape: where the truth may be trusted,
- `cloudy_N`, of pairs only: the degraded input, with the shape, dtype and units of the truth,
- `masks_N`, uint8 (bands or 1, rows, columns), where holes are known: 1 = hole, 0 = none.

`masks_N` beside `cloudy_N` says what is degraded there, and the truth is known under it. `masks_N` beside `values_N`
alone are real holes, without truth under them (`valid_N` is False): shapes to put over other samples. A sample of
`irregular-masks` has `masks_N` and nothing else. What a mask calls unknown is no hole, and `valid_N` is False there.

`scenes` is JSON: a list of {name, place, bands, arrays, span} and what else a source has to say. `arrays` names the
arrays of the sample; `span` is [low, high], the values that stand for 0 and 1, or null when each crop is to be scaled
by its own clear pixels. Samples of one place must never be in two splits; `write` sees to it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from rsinpaint.errors import JobError

ARRAYS = ("values", "valid", "cloudy", "masks")


@dataclass(frozen=True)
class Sample:
    """One tile, picture or pair; see the module for shapes. `notes` go into the list of scenes."""

    name: str
    place: str
    bands: tuple[str, ...] = ()
    values: NDArray[Any] | None = None
    valid: NDArray[np.bool_] | None = None
    cloudy: NDArray[Any] | None = None
    masks: NDArray[np.uint8] | None = None
    span: tuple[float, float] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = (
            self.values if self.values is not None else self.masks if self.masks is not None else np.empty(0)
        ).shape
        for name in ARRAYS:
            array = getattr(self, name)
            fits = array is None or array.shape == shape or (name == "masks" and array.shape == (1, *shape[1:]))
            if len(shape) != 3 or not fits:
                raise ValueError(
                    f"{self.name}: {name} of shape {None if array is None else array.shape} beside {shape}"
                )
        if self.values is not None and (self.valid is None or len(self.bands) != len(self.values)):
            raise ValueError(f"{self.name}: values need `valid` and a name for each band")


@dataclass(frozen=True)
class LeftOut:
    """A tile or picture that a source does not give, and why; counted and told, never silent."""

    name: str
    why: str


class Packer:
    """Writes a packed file sample by sample, so that memory is bounded by one; a context manager.

    The file appears under its name when `publish` is called, and not before. The same samples give the same bytes.
    """

    def __init__(self, output: Path) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        self.output, self._part = output, output.with_name(output.name + ".part")
        self._zip = ZipFile(self._part, "w")
        self.scenes: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._zip.close()
        self._part.unlink(missing_ok=True)

    def add(self, sample: Sample) -> None:
        """Write the arrays of a sample."""
        there = [name for name in ARRAYS if getattr(sample, name) is not None]
        for name in there:
            self._write(f"{name}_{len(self.scenes)}", getattr(sample, name))
        own = {"name": sample.name, "place": sample.place, "bands": list(sample.bands), "arrays": there}
        self.scenes.append(own | {"span": sample.span} | dict(sample.notes))

    def publish(self) -> None:
        """Finish the file and give it its name."""
        self._write("scenes", np.array(json.dumps(self.scenes)))
        self._zip.close()
        self._part.replace(self.output)

    def _write(self, name: str, array: NDArray[Any]) -> None:
        member = ZipInfo(f"{name}.npy")  # the date of a ZipInfo is fixed
        member.compress_type = ZIP_DEFLATED
        with self._zip.open(member, "w", force_zip64=True) as stream:
            np.lib.format.write_array(stream, array, allow_pickle=False)


@dataclass(frozen=True)
class Written:
    """How many samples each file holds, and what was left out, by reason."""

    train: int
    held_out: int
    left_out: Counter[str]


def write(
    samples: Iterable[Sample | LeftOut],
    output: Path,
    *,
    held_out: Iterable[str] = (),
    held_out_output: Path | None = None,
) -> Written:
    """Pack samples into `output`, those of the listed names or places into `held_out_output`.

    Args:
        samples: of any source.
        output: a file for training.
        held_out: names of samples or of whole places.
        held_out_output: a file for them; None: they are left out.

    Raises:
        JobError: the two files are one; there are no samples; two have one name; a listed name is of no sample, which
            is how pictures for validation get into training unseen; a place would be in both files. Nothing is written.
    """
    if held_out_output == output:
        raise JobError(f"`{output}` is named twice", "a file of its own for what is held out")
    wanted, seen, counts = set(held_out), set[str](), Counter[str]()
    places: tuple[set[str], set[str]] = (set(), set())
    names: set[str] = set()
    number = [0, 0]
    # Packed even when nobody asks for the file: what may be written is known at the end.
    with Packer(output) as train, Packer(held_out_output or output.with_name(output.name + ".held")) as held:
        for sample in samples:
            if isinstance(sample, LeftOut):
                counts[sample.why] += 1
                continue
            if sample.name in names:
                raise JobError(f"Two samples are called `{sample.name}`", "a name of its own for each")
            names.add(sample.name)
            which = {sample.name, sample.place} & wanted
            seen |= which
            places[bool(which)].add(sample.place)
            number[bool(which)] += 1
            (held if which else train).add(sample)
        _check(wanted - seen, places, number, counts)
        train.publish()
        if held_out_output:
            held.publish()
    return Written(number[0], number[1], counts)


def _check(unknown: set[str], places: tuple[set[str], set[str]], number: list[int], counts: Counter[str]) -> None:
    if not number[0]:
        why = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
        raise JobError("No sample is left to train on", remedy=f"Left out: {why}" if why else "", code="nothing_valid")
    if unknown:
        listed = ", ".join(f"`{name}`" for name in sorted(unknown)[:5])
        raise JobError(
            f"{len(unknown)} names to be held out are of no sample or place: {listed}",
            "names as in the list of scenes",
            "Correct them, or they are trained on",
        )
    if both := places[0] & places[1]:
        listed = ", ".join(f"`{place}`" for place in sorted(both)[:5])
        raise JobError(
            f"{len(both)} places would be both trained on and held out: {listed}",
            "each place in one file",
            "Hold out the places instead of single samples",
        )


def read(path: Path) -> Iterator[Sample]:
    """The samples of a packed file, one by one, in its order."""
    with np.load(path, allow_pickle=False) as file:
        for number, scene in enumerate(json.loads(str(file["scenes"]))):
            arrays = {name: file[f"{name}_{number}"] for name in scene.pop("arrays", ("values", "valid"))}
            span = scene.pop("span", None)
            own = {"name": scene.pop("name"), "place": scene.pop("place"), "bands": tuple(scene.pop("bands"))}
            yield Sample(**own, **arrays, span=tuple(span) if span else None, notes=scene)
