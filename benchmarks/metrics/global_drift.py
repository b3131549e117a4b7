"""GL: pumping, darkening and contrast changes of a still scene as a whole."""

from collections.abc import Sequence

import numpy as np

from . import Metric
from ._pictures import to_float


def frame_statistics(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Per frame the three channel means, then the three standard deviations: (T, 6), 1/255."""
    pictures = (to_float(o).reshape(-1, 3).astype(np.float64) for o in outputs)
    return 255.0 * np.array([np.concatenate([p.mean(axis=0), p.std(axis=0)]) for p in pictures])


def global_drift(outputs: Sequence[np.ndarray]) -> float:
    """Largest standard deviation over time of the six frame statistics, in 1/255."""
    return float(frame_statistics(outputs).std(axis=0).max())


PLUGIN = Metric(global_drift, unit="1/255", better="lower", takes="frames")
