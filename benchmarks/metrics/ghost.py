"""Ghosts: do newly uncovered places still show what used to cover them?"""

from collections.abc import Sequence

import cv2
import numpy as np

from . import Metric, Motion
from ._pictures import to_float

# Shapes and colors count, brush texture does not: pictures are low-passed with this sigma, pixels.
SIGMA = 2.0


def ghost(outputs: Sequence[np.ndarray], reference: Sequence[np.ndarray], motion: Motion) -> float:
    """255 x mean |L O_t - L R_t| over pixels of t that t-1 did not show (0 if there are none).

    R is the network on the noise-free frame, L a Gaussian. The network's own noisy frames have a
    value above 0, too; a stabilizer must not exceed it.
    """
    total, count = 0.0, 0
    for t in range(1, len(outputs)):
        _, seen_before = motion(t, t - 1)
        new = ~seen_before
        blurred = [cv2.GaussianBlur(to_float(p), (0, 0), SIGMA) for p in (outputs[t], reference[t])]
        total += float(np.abs(blurred[0] - blurred[1])[new].sum(dtype=np.float64))
        count += 3 * int(new.sum())
    return 255.0 * total / count if count else 0.0


PLUGIN = Metric(ghost, unit="1/255", better="lower", takes="clips")
