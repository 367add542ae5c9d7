"""Closed-form fills: the first guesses of the networks, and models in their own right.

`contract` says what a fill is given and gives back. Adding one is a file and a line here.
"""

from .contract import Guess
from .inverse_distance import inverse_distance
from .local_ridge import local_ridge
from .variational import harmonic, tension_spline

GUESSES: dict[str, Guess] = {
    "harmonic": harmonic,
    "inverse-distance": inverse_distance,
    "local-ridge": local_ridge,
    "tension-spline": tension_spline,
}
