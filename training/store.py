"""Crops made ahead on disk by a process of their own, read at random by training."""

import os
import time
from dataclasses import asdict
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from .crops import BANDS, CropRecipe, Packed, make_crop


class Store:
    """`size` crops in memory-mapped arrays; crop N is there once `ready` exceeds N.

    Crops are pure functions of their number, so a store that was left half filled goes on where it ended.
    """

    def __init__(self, folder: Path, packed: Path, recipe: CropRecipe, size: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.packed, self.recipe, self.size = packed, recipe, size
        self._note(folder, packed)
        planes = (size, BANDS, recipe.side, recipe.side)
        self.truth = _array(folder / "truth.npy", planes, np.float16)
        self.start = _array(folder / "start.npy", planes, np.float16)
        self.holes = _array(folder / "holes.npy", planes, np.uint8)
        self.weight = _array(folder / "weight.npy", (size, BANDS), np.float32)
        self.bands = _array(folder / "bands.npy", (size,), np.int64)  # 0: not made yet

    @property
    def ready(self) -> int:
        missing = np.flatnonzero(self.bands[:] == 0)
        return int(missing[0]) if missing.size else self.size

    def wait_for(self, count: int, maker: BaseProcess | None) -> None:
        """Return once `count` crops are there; raises RuntimeError when the maker, if it is ours, has died before."""
        while self.bands[count - 1] == 0:
            if maker and not maker.is_alive() and self.bands[count - 1] == 0:
                raise RuntimeError(f"the process that makes crops ended (exit {maker.exitcode}) at crop {self.ready}")
            time.sleep(0.05)

    def fill(self) -> None:
        """Make every crop that is missing."""
        packed = Packed.read(self.packed)
        for number in range(self.ready, self.size):
            crop = make_crop(packed, self.recipe, number)
            count = len(crop.truth)
            self.truth[number, :count], self.start[number, :count] = crop.truth, crop.start
            self.holes[number, :count], self.weight[number, :count] = crop.holes, crop.weight
            self.bands[number] = count

    def start_filling(self) -> BaseProcess:
        """Make the missing crops in another process, which ends with this one."""
        # spawned, not forked: this process runs torch's threads by now
        process = get_context("spawn").Process(target=_fill, args=(self.truth.filename, self), daemon=True)
        process.start()
        return process

    def __reduce__(self) -> tuple[object, ...]:
        return Store, (Path(str(self.truth.filename)).parent, self.packed, self.recipe, self.size)

    def _note(self, folder: Path, packed: Path) -> None:
        """Refuse a folder that was filled from other scenes or by another recipe."""
        note, text = folder / "recipe.txt", f"{packed.name} {packed.stat().st_size} {asdict(self.recipe)} {self.size}\n"
        if note.exists() and note.read_text() != text:
            raise ValueError(f"{folder} holds crops of another recipe; remove it or name another folder")
        if not note.exists():
            note.write_text(text)


def _fill(_: str, store: Store) -> None:
    os.nice(3)
    store.fill()


def _array(path: Path, shape: tuple[int, ...], dtype: type) -> np.memmap:
    mode = "r+" if path.exists() else "w+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=dtype, shape=shape)
