"""Scores of whole pictures against their truth, in the conventions in which figures of the published systems are given.

Each says its convention: figures of two conventions cannot be compared. Whole-picture scores rise as holes shrink; what
is said of our own models is scored on hidden pixels alone. Pictures are (bands, rows, columns) of any type.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Picture = NDArray[Any]
LUMA = (0.298912, 0.586611, 0.114478)
"""Of the first three planes in the luma that SpA-GAN's figures are taken on; its planes come as blue, green, red."""
SIDE = 7
"""Of the uniform window of that SSIM, in pixels."""
K1, K2 = 0.01, 0.03
TINY = 1.17e-6
"""What the relative error divides by at least, as torchmetrics has it."""


def l1(made: Picture, truth: Picture) -> float:
    """Mean absolute difference, in the unit of the pictures. Of 8-bit pictures, too: nothing wraps round."""
    return float(np.abs(_difference(made, truth)).mean())


def psnr(made: Picture, truth: Picture, *, peak: float) -> float:
    """10 log10(peak^2 / mean squared difference) in dB over all bands together; infinite for equal pictures.

    Args:
        peak: 1 or 255 for pictures as they are shown (SpA-GAN); the span of the truth (ECEA); the span of the made
            picture (EdgeLearning). Clip what is made to what can be shown before, where it is to be shown.
    """
    square = float(np.square(_difference(made, truth)).mean())
    return 10 * math.log10(peak**2 / square) if square else math.inf


def mape(made: Picture, truth: Picture) -> float:
    """Mean of the absolute difference by the size of the truth; 0 for equal pictures. EdgeLearning swaps the two."""
    size = np.maximum(np.abs(truth.astype(np.float64)), TINY)
    return float((np.abs(_difference(made, truth)) / size).mean())


def ssim_of_luma(made: Picture, truth: Picture, *, span: float) -> float:
    """Structural similarity of the lumas of three planes, uniform window of 7 pixels, border left out; 1 at best.

    Args:
        span: width of the range of values. SpA-GAN's published figures are for pictures in [0, 1] under a span of
            2, an old default of scikit-image, which flatters them; 1 is right.

    Raises:
        ValueError: another number of planes, or pictures smaller than the window.
    """
    if truth.shape[0] != len(LUMA) or min(truth.shape[1:]) < SIDE:
        found = " x ".join(map(str, truth.shape))
        raise ValueError(f"pictures of {found}, expected {len(LUMA)} planes of at least {SIDE} x {SIDE}")
    a, b = (np.tensordot(LUMA, picture.astype(np.float64), 1) for picture in (made, truth))
    mean_a, mean_b = _mean(a), _mean(b)
    sample = SIDE**2 / (SIDE**2 - 1)
    spread = sample * (_mean(a * a) - mean_a**2 + _mean(b * b) - mean_b**2)
    common = sample * (_mean(a * b) - mean_a * mean_b)
    c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
    likeness = (2 * mean_a * mean_b + c1) * (2 * common + c2) / ((mean_a**2 + mean_b**2 + c1) * (spread + c2))
    return float(likeness.mean())


def _difference(made: Picture, truth: Picture) -> NDArray[np.float64]:
    return made.astype(np.float64) - truth.astype(np.float64)


def _mean(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over each whole window of the plane."""
    rim = SIDE // 2
    means: NDArray[np.float64] = ndimage.uniform_filter(plane, SIDE)[rim:-rim, rim:-rim]
    return means
