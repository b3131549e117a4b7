"""Ghosts: do newly uncovered places still show what used to cover them?"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from . import Metric
from ._pictures import to_float

# Shapes and colors count, brush texture does not: pictures are low-passed with this sigma, pixels.
SIGMA = 2.0


def ghost(
    outputs: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    uncovered: Callable[[int], np.ndarray],
) -> float:
    """255 x mean |L O_t - L R_t| over `uncovered(t)`, (H, W) bool: what t-1 did not show.

    R is the network on the noise-free frame, L a Gaussian over the uncovered pixels alone (what
    lies beside them does not leak in). The network's own noisy frames have a value above 0, too.
    """
    total, count = 0.0, 0
    for t in range(1, len(outputs)):
        new = uncovered(t)
        difference = _lowpass(to_float(outputs[t]) - to_float(reference[t]), new)
        total += float(np.abs(difference)[new].sum(dtype=np.float64))
        count += 3 * int(new.sum())
    return 255.0 * total / count if count else 0.0


def _lowpass(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    weight = mask.astype(np.float32)
    above = cv2.GaussianBlur(picture * weight[..., None], (0, 0), SIGMA)
    below = cv2.GaussianBlur(weight, (0, 0), SIGMA)
    return above / np.maximum(below, 1e-6)[..., None]


PLUGIN = Metric(ghost, unit="1/255", better="lower", takes="uncovered")
