"""Networks that look `halo` pixels far: windows of any size give what the whole scene would give."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tiles import Tile, plan
from .bands import Group
from .device import Device
from .normal import Flags, Inside

NETWORK_WINDOW = (512, 512)
"""Rows and columns that a network fills at once: larger ones cost memory, smaller ones more halo."""


class Windows:
    """Fills the inside of an array window by window; those without holes are left out."""

    def __init__(self, device: Device, seen: int, multiple: int, memory_bytes: int) -> None:
        self.seen, self.multiple = seen, multiple
        self._device, self._memory_bytes = device, memory_bytes

    def __call__(
        self,
        image: NDArray[np.float32],
        unknown: Flags,
        holes: Flags,
        inside: Inside,
        origin: tuple[int, int],
        group: Group,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Fill and expected error of the inside, (bands, rows, columns), in the network's units.

        Args:
            image: values and guesses; `unknown` marks what is not known of them, `holes` what is wanted.
            origin, group: see `fixed_windows.FixedWindows`; windows do not depend on them.
        """
        fill, scale = image[inside].copy(), np.zeros(image[inside].shape, np.float32)
        wanted, shapes, told = holes[inside], _Shapes(), False
        for tile in plan(*fill.shape[1:], window=self._window(len(image)), halo=0, multiple=self.multiple):
            if wanted[(slice(None), *tile.write)].any():
                shapes.add(tile, self._seen_by(tile, inside, image.shape), self.multiple)
        for shape, members in sorted(shapes.items(), key=lambda shape: -len(shape[1])):
            pictures = [
                (_padded(image[seen], shape, edge=True), _padded(unknown[seen], shape, edge=False))
                for _, seen in members
            ]
            for (tile, seen), (part, error) in zip(members, self._device.answers(pictures), strict=True):
                place = (slice(None), *tile.write)
                cut = tuple(
                    slice(own.start + write.start - read.start, own.start + write.stop - read.start)
                    for own, write, read in zip(inside[1:], tile.write, seen[1:], strict=True)
                )
                fill[place] = part[(slice(None), *cut)]
                if error is not None:
                    told, scale[place] = True, error[(slice(None), *cut)]
        return fill, scale if told else None

    def _seen_by(self, tile: Tile, inside: Inside, shape: tuple[int, ...]) -> Inside:
        """What the network is shown to write a tile of the inside: starts on its grid, `seen` pixels around."""
        seen = self.seen + -self.seen % self.multiple
        rows, columns = (
            slice(
                max((own.start + write.start - seen) // self.multiple * self.multiple, 0),
                min(own.start + write.stop + seen, size),
            )
            for own, write, size in zip(inside[1:], tile.write, shape[1:], strict=True)
        )
        return slice(None), rows, columns

    def _window(self, bands: int) -> tuple[int, int]:
        """Rows and columns of a network window that fits half the memory for this many bands."""
        rows, columns = NETWORK_WINDOW
        around, need = 2 * self.seen, bands * self._device.bytes_a_pixel
        while rows > 64 and need * (rows + around) * (columns + around) > self._memory_bytes / 2:
            rows, columns = (rows // 2, columns) if rows >= columns else (rows, columns // 2)
        return rows, columns


class _Shapes(dict[tuple[int, int], list[tuple[Tile, Inside]]]):
    """Tiles by the shape that the network sees of them, so that equal ones can run together."""

    def add(self, tile: Tile, seen: Inside, multiple: int) -> None:
        rows, columns = (-(-(part.stop - part.start) // multiple) * multiple for part in seen[1:])
        self.setdefault((rows, columns), []).append((tile, seen))


def _padded(planes: NDArray[Any], shape: tuple[int, int], *, edge: bool) -> NDArray[Any]:
    """Grow to `shape` at the bottom and right: values go on (`edge`), flags say not known."""
    width = ((0, 0), (0, shape[0] - planes.shape[1]), (0, shape[1] - planes.shape[2]))
    if not any(after for _, after in width):
        return planes
    return np.pad(planes, width, mode="edge") if edge else np.pad(planes, width, constant_values=True)
