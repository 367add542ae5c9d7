"""How long it will still take, from the progress so far. Standard library only."""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 30.0
"""What happened longer ago (reading, loading a model) says little about what is to come."""
LEAST_SECONDS = 2.0


class RemainingTime:
    """Extrapolates the pace of the last half minute; progress has to be linear in time."""

    def __init__(self) -> None:
        self._past: deque[tuple[float, float]] = deque()
        self._stage, self._stalled_at = "", 0.0

    def update(self, fraction: float, now: float, stage: str = "") -> float | None:
        """Seconds that remain, or None while that cannot be said.

        Args:
            fraction: part that is done, 0 to 1.
            now: seconds on a clock that does not jump.
            stage: what is being done; each has a pace of its own.
        """
        if stage != self._stage:
            self._stage, self._stalled_at = stage, fraction
            self._past.clear()
        if not self._past and fraction <= self._stalled_at:
            return None  # it loads a model: that happens once, and is no part of the pace
        past = self._past
        past.append((now, fraction))
        while len(past) > 2 and now - past[1][0] >= WINDOW_SECONDS:
            past.popleft()
        then, earlier = past[0]
        if now - then < LEAST_SECONDS or fraction <= earlier:
            return None
        return (1.0 - fraction) * (now - then) / (fraction - earlier)


def in_words(seconds: float) -> tuple[str, int]:
    """A duration as a person would say it: a unit (`s`, `min` or `h`) and how many of it, at least 1.

    >>> in_words(42), in_words(100), in_words(9000)
    (('s', 45), ('min', 2), ('h', 3))
    """
    if seconds < 55:
        return "s", max(5 * round(seconds / 5), 1) if seconds >= 5 else max(round(seconds), 1)
    if seconds < 5400:
        return "min", max(round(seconds / 60), 1)
    return "h", max(round(seconds / 3600 + 0.01), 1)
