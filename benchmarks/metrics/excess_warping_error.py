"""Excess of the warping error over the floor that the source clip itself has."""

from collections.abc import Sequence

import numpy as np

from . import Metric, Motion
from .warping_error import warping_error


def excess_warping_error(
    outputs: Sequence[np.ndarray], source: Sequence[np.ndarray], motion: Motion, step: int = 1
) -> float:
    """max(0, E_warp(outputs) - E_warp(source)): what the stylizer adds to noise and resampling.

    Our own measure; colors in 0..1, squared.
    """
    floor = warping_error(source, motion, step)
    return float(np.maximum(0.0, warping_error(outputs, motion, step) - floor))


PLUGIN = Metric(excess_warping_error, unit="1", better="lower", takes="clips")
