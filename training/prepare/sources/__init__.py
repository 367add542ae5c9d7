"""Where samples come from. A new source is a file here and a line in `SOURCES`.

A source is a function that yields samples, and says what it leaves out. Its parameters are the options of its command:
those without a default are positional, and the docstring gives the help.
"""

from collections.abc import Callable, Iterator

from ..packing import LeftOut, Sample
from . import irregular_masks, landsat7, olci, rice, sen12mscr, spacenet, stac

SOURCES: dict[str, Callable[..., Iterator[Sample | LeftOut]]] = {
    "irregular-masks": irregular_masks.samples,
    "landsat7": landsat7.samples,
    "olci": olci.samples,
    "rice": rice.samples,
    "sen12mscr": sen12mscr.samples,
    "spacenet": spacenet.samples,
    "stac": stac.samples,
}
"""Name of the command -> its source."""
