"""Pop: the worst moments, which a mean hides (key frames have a good mean and a visible jump)."""

from collections.abc import Sequence

import numpy as np

from . import Metric, Motion
from .warping_error import warping_errors


def pop(outputs: Sequence[np.ndarray], motion: Motion, percentile: float = 95.0) -> float:
    """The `percentile` (100: maximum) over time of the short-term warping error, colors in 0..1."""
    values = warping_errors(outputs, motion)
    return float(np.percentile(values, percentile)) if values else float("nan")


PLUGIN = Metric(pop, unit="1", better="lower", takes="clip")
