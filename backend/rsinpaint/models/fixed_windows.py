"""Networks that look at all of their input: windows of one size, on a grid that starts at the scene's corner.

+-----------+                  the answer of a pixel hangs on its window, so the windows are the scene's and not
|      +----+------+           those in which it is written: promise 5. Neighbours overlap by a quarter; there
|      |    |      |           their answers fade into each other.
+------+----+      |
"""

from collections import OrderedDict
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from .bands import Group
from .device import Answer, Device
from .normal import Flags, Inside

Planes = TypeVar("Planes", bound=NDArray[Any])
OVERLAP = 4
"""One part in so many of a window is shared with the next one."""
KEPT = 8
"""One part in so many of the memory keeps answers of windows that reach into a later window."""


class FixedWindows:
    """Fills the inside of an array window by window; those without holes are left out.

    Args:
        side: of a window, in pixels.
        size: rows and columns of the scene.
    """

    multiple = 1

    def __init__(self, device: Device, side: int, size: tuple[int, int], memory_bytes: int) -> None:
        self.side, self.seen = side, side
        """A window reaches at most its side beyond a pixel that it fills."""
        self._device, self._size = device, size
        self._fade = _fade(side)
        self._answers: OrderedDict[tuple[object, ...], Answer] = OrderedDict()
        self._room = memory_bytes // KEPT

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
            image: values and guesses, and one plane more where the device is `guided`. What lies in a collar counts
                as known, since networks of this kind would take it for one great hole: `unknown` is not looked at.
            holes: what is wanted; likewise one plane more.
            origin: row and column in the scene of the first pixel of the arrays.
            group: whose bands these are.
        """
        shape = (len(group.seen), *image[inside].shape[1:])
        fill, scale, weight = np.zeros(shape), np.zeros(shape), np.zeros(shape[1:])
        told = False
        places = self._places(holes, inside, origin)
        for (top, left), (part, error) in zip(places, self._all(image, holes, places, origin, group), strict=True):
            rows, columns = (
                slice(max(start - first - own.start, 0), min(start + self.side - first, own.stop) - own.start)
                for start, first, own in zip((top, left), origin, inside[1:], strict=True)
            )
            cut = tuple(
                slice(to.start + own.start + first - start, to.stop + own.start + first - start)
                for to, own, first, start in zip((rows, columns), inside[1:], origin, (top, left), strict=True)
            )
            fade = self._fade[cut]
            fill[:, rows, columns] += fade * part[(slice(None), *cut)]
            weight[rows, columns] += fade
            if error is not None:
                told = True
                scale[:, rows, columns] += fade * error[(slice(None), *cut)]
        weight = np.maximum(weight, 1e-12)  # 0 where no window has holes: nobody looks there
        return (fill / weight).astype(np.float32), (scale / weight).astype(np.float32) if told else None

    def _places(self, holes: Flags, inside: Inside, origin: tuple[int, int]) -> list[tuple[int, int]]:
        """First row and column, in the scene, of each window with holes that reaches into the inside."""
        firsts = [
            [
                start
                for start in starts(size, self.side)
                if start < first + own.stop and start + self.side > first + own.start
            ]
            for size, own, first in zip(self._size, inside[1:], origin, strict=True)
        ]
        wanted = holes[inside].any(0)
        marked = np.zeros(holes.shape[1:], bool)
        marked[inside[1:]] = wanted
        return [(top, left) for top in firsts[0] for left in firsts[1] if self._seen(marked, (top, left), origin).any()]

    def _all(
        self,
        image: NDArray[np.float32],
        holes: Flags,
        places: list[tuple[int, int]],
        origin: tuple[int, int],
        group: Group,
    ) -> list[Answer]:
        """The answer of each window, computed once even where it reaches into two windows."""
        missing = [place for place in places if (group, *place) not in self._answers]
        pictures = [
            (self._whole(self._seen(image, place, origin)), self._whole(self._seen(holes, place, origin)))
            for place in missing
        ]
        fresh = dict(zip(missing, self._device.answers(pictures), strict=True))
        answers = [fresh[place] if place in fresh else self._answers[(group, *place)] for place in places]
        for place, answer in fresh.items():
            self._answers[(group, *place)] = answer
        while sum(part.nbytes for part, _ in self._answers.values()) > self._room:
            self._answers.popitem(last=False)
        return answers

    def _seen(self, planes: Planes, place: tuple[int, int], origin: tuple[int, int]) -> Planes:
        """What lies in a window of arrays that start at `origin`."""
        rows, columns = (
            slice(max(start - first, 0), start - first + self.side) for start, first in zip(place, origin, strict=True)
        )
        return cast(Planes, planes[..., rows, columns])

    def _whole(self, planes: Planes) -> Planes:
        """A scene that is smaller than a window is mirrored until it fills it."""
        width = ((0, 0), *((0, self.side - size) for size in planes.shape[1:]))
        return cast(Planes, np.pad(planes, width, mode="symmetric")) if any(after for _, after in width) else planes


def starts(size: int, side: int) -> list[int]:
    """Where windows start along a side of the scene; the last one ends with the scene."""
    last = max(size - side, 0)
    return [*range(0, last, side - side // OVERLAP), last]


def _fade(side: int) -> NDArray[np.float64]:
    """Weight of a window's answer: 1 inside, falling towards the edges over the overlap, nowhere 0.

    It sets in and ends without a bend, so that a difference between neighbours starts with no step.
    """
    share = np.minimum(np.minimum(np.arange(side), np.arange(side)[::-1]) + 1.0, side // OVERLAP + 1)
    share /= side // OVERLAP + 1
    ramp = share * share * (3 - 2 * share)
    return ramp[:, None] * ramp[None, :]
