"""e_stab: root mean square change along the motion, as the feed-forward papers print it."""

from collections.abc import Sequence

import numpy as np

from . import Metric, Motion
from .warping_error import warping_errors


def stability_error(outputs: Sequence[np.ndarray], motion: Motion) -> float:
    """sqrt( 1/(T-1) sum_t 1/D_t sum_p M |O_t - W(O_t+1)|^2 ), D_t = 3 x valid pixels, colors 0..1.

    The papers leave open whether D_t counts channels (a factor sqrt 3) and which filter samples;
    values of different papers cannot be compared, ours neither.

    Reference:
        Huang et al., CVPR 2017, eq. 8; Gao et al. (ReCoNet), ACCV 2018, eq. 10.
    """
    values = warping_errors(outputs, motion)
    return float(np.sqrt(np.mean(values))) if values else float("nan")


PLUGIN = Metric(stability_error, unit="1", better="lower", takes="clip")
