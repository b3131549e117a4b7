"""Palette: do large areas keep the colors the network gives them?"""

from collections.abc import Sequence

import cv2
import numpy as np

from . import Metric
from ._pictures import to_float

# Side of the cells whose mean colors are compared, in pixels: brush texture averages out in them.
CELL = 16


def palette(outputs: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    """255 x mean over frames, cells and channels of |mean color of O - mean color of R|.

    R is the network on the noise-free frame. Low frequencies are what people call the colors of a
    style: a stabilizer that drifts, darkens or lags behind the light is seen here.
    """
    differences = []
    for ours, theirs in zip(outputs, reference, strict=True):
        size = (max(1, ours.shape[1] // CELL), max(1, ours.shape[0] // CELL))
        a, b = (cv2.resize(to_float(p), size, interpolation=cv2.INTER_AREA) for p in (ours, theirs))
        differences.append(np.abs(a - b).mean(dtype=np.float64))
    return 255.0 * float(np.mean(differences))


PLUGIN = Metric(palette, unit="1/255", better="lower", takes="sequences")
