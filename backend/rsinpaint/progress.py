"""What a job tells while it runs."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is."""

    stage: str
    """open, detect, fill or write."""
    fraction: float
    """0 to 1, even in time as far as can be foreseen."""
    done: int = 0
    """Hole pixels that are filled."""
    total: int = 0
    """Hole pixels in all; 0 while that is not known."""
    text: str = ""


Progressing: TypeAlias = Callable[[Progress], None]
