"""SF: how much a still scene boils."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from . import Metric
from ._pictures import to_float


def static_flicker(outputs: Sequence[np.ndarray]) -> float:
    """255 x mean over time and pixels of |O_t+1 - O_t|, for a still scene with sensor noise.

    Sees what E_warp cannot: 2 % of brightness flicker is 3.2 here and hardly moves E_warp. Noise
    sigma on a constant gives 2 sigma / sqrt(pi).
    """
    changes = [
        np.abs(to_float(b) - to_float(a)).mean(dtype=np.float64) for a, b in pairwise(outputs)
    ]
    return 255.0 * float(np.mean(changes))


PLUGIN = Metric(static_flicker, unit="1/255", better="lower", takes="frames")
