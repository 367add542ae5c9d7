"""Where tiles lie in a scene: a centred grid, turned so that scan lines are level; and how pixels get there."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_NAME = re.compile(r"(?P<scene>.+)_y(?P<row>\d+)_x(?P<column>\d+)")


def tile_name(scene: str, row: int, column: int) -> str:
    """A name that says where the tile lies: first row and column in the scene's cropped, levelled frame, in pixels.

    >>> tile_name("LE07_006066", 256, 0)
    'LE07_006066_y00256_x00000'
    """
    return f"{scene}_y{row:05d}_x{column:05d}"


def place_of_tile(name: str) -> tuple[str, int, int]:
    """Scene, row and column of a tile's name: what `tile_name` was given.

    Raises:
        ValueError: it is no tile's name.
    """
    found = _NAME.fullmatch(name)
    if not found:
        raise ValueError(f"{name} is no name of a tile, expected SCENE_y00000_x00000")
    return found["scene"], int(found["row"]), int(found["column"])


@dataclass(frozen=True)
class Frame:
    """A grid of whole tiles in the middle of a scene, turned about the scene's centre.

    Made by `centred`. `angle` in degrees: lines that fall by it towards the right of the scene are level here.
    """

    height: int
    width: int
    tile: int
    rows: int
    """Tiles one below another; `columns` beside one another."""
    columns: int
    angle: float

    @property
    def corner(self) -> tuple[int, int]:
        """First row and column of the frame in the scene, before it is turned."""
        return (self.height - self.rows * self.tile) // 2, (self.width - self.columns * self.tile) // 2

    def tiles(self) -> Iterator[tuple[int, int]]:
        """First row and column of each tile in the frame, in pixels, row by row."""
        for row in range(self.rows):
            for column in range(self.columns):
                yield row * self.tile, column * self.tile

    def places(self, row: int, column: int) -> tuple[Floats, Floats]:
        """Rows and columns of the scene in which the pixel centres of the tile at (row, column) lie.

        Whole numbers are pixel centres. Both are (tile, tile), and may lie outside the scene.
        """
        top, left = self.corner
        down: NDArray[Any] = np.arange(row, row + self.tile) + top - (self.height - 1) / 2
        right: NDArray[Any] = np.arange(column, column + self.tile) + left - (self.width - 1) / 2
        turn = math.radians(self.angle)
        cosine, sine = math.cos(turn), math.sin(turn)
        y = (self.height - 1) / 2 + down[:, None] * cosine + right[None] * sine
        x = (self.width - 1) / 2 + right[None] * cosine - down[:, None] * sine
        return y, x


def centred(height: int, width: int, *, tile: int, crop: int, angle: float = 0.0) -> Frame:
    """The largest frame of whole tiles in the middle of a scene, at most `crop` pixels on a side.

    Args:
        height, width: of the scene, in pixels.
        tile: side of a tile, in pixels.
        crop: longest side of the frame; 5,120 in the published sets, which are 20 x 20 tiles of 256.
        angle: degrees by which lines fall to the right of the scene that shall be level; 0 leaves pixels as they are.

    >>> centred(7000, 8000, tile=256, crop=5120).rows, centred(600, 800, tile=256, crop=5120).columns
    (20, 3)
    """
    return Frame(height, width, tile, min(height, crop) // tile, min(width, crop) // tile, angle)


def around(places: Floats, size: int) -> slice | None:
    """The pixels of an axis of `size` that can matter to `places`; None when all lie outside."""
    first, last = max(math.floor(places.min()), 0), min(math.floor(places.max()) + 2, size)
    return slice(first, last) if first < last else None


def at_nearest(flags: Bools, y: Floats, x: Floats) -> Bools:
    """Flags (bands, rows, columns) at the nearest pixels, False outside; y and x count from the first of `flags`."""
    row, column = np.floor(y + 0.5).astype(int), np.floor(x + 0.5).astype(int)
    inside = (row >= 0) & (row < flags.shape[1]) & (column >= 0) & (column < flags.shape[2])
    return flags[:, np.where(inside, row, 0), np.where(inside, column, 0)] & inside


def resampled(values: NDArray[Any], valid: Bools, y: Floats, x: Floats) -> tuple[NDArray[Any], Bools]:
    """Values at places between pixels, from the valid ones of the four around; the rest has no say.

    A place is valid when its nearest pixel is. Places on pixel centres give these bit for bit, in their dtype;
    others give float64. What is not valid is 0.

    Args:
        values, valid: (bands, rows, columns).
        y, x: places, counted from the first row and column of `values`.
    """
    kept = at_nearest(valid, y, x)
    row, column = np.floor(y).astype(int), np.floor(x).astype(int)
    if not (y - row).any() and not (x - column).any():
        near = values[:, np.clip(row, 0, values.shape[1] - 1), np.clip(column, 0, values.shape[2] - 1)]
        return np.where(kept, near, values.dtype.type(0)), kept
    total, weights = np.zeros(kept.shape), np.zeros(kept.shape)
    for lower in (0, 1):
        for right in (0, 1):
            share = np.abs(1 - lower - (y - row)) * np.abs(1 - right - (x - column))
            weight = share * at_nearest(valid, row + lower, column + right)
            rows = np.clip(row + lower, 0, values.shape[1] - 1)
            columns = np.clip(column + right, 0, values.shape[2] - 1)
            corner = values[:, rows, columns]
            total += np.where(weight > 0, weight * np.where(weight > 0, corner, 0), 0)
            weights += weight
    return np.where(kept, total / np.where(kept, weights, 1), 0), kept


def area_weights(size: int, wanted: int) -> Floats:
    """(wanted, size): the share that each of `size` pixels has in each of `wanted` that cover the same length.

    Averages, so that the mean is kept; taking the largest, or every nth, would not.

    >>> area_weights(3, 2).round(3).tolist()
    [[0.667, 0.333, 0.0], [0.0, 0.333, 0.667]]
    """
    edges = np.arange(wanted + 1) * size / wanted
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(overlap, 0) * wanted / size


def averaged(values: NDArray[Any], valid: Bools, side: int) -> tuple[Floats, Bools]:
    """Pictures (bands, rows, columns) averaged over area to `side` x `side`; valid where more than half of it is."""
    down, right = area_weights(values.shape[1], side), area_weights(values.shape[2], side).T
    share = down @ valid.astype(float) @ right
    total = down @ np.where(valid, values, 0).astype(float) @ right
    kept = share > 0.5
    return np.where(kept, total / np.where(kept, share, 1), 0), kept
