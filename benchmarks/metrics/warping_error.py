"""E_warp: how much the picture changes along the motion of the scene."""

from collections.abc import Sequence

import numpy as np

from . import Metric, Motion
from ._pictures import masked_mse, to_float, warp


def warping_errors(
    outputs: Sequence[np.ndarray], motion: Motion, step: int = 1, linear: bool = False
) -> list[float]:
    """One value per t of: sum M (W(O_t+k; F_t->t+k) - O_t)^2 / (3 sum M).

    Pairs without a common visible point (across a cut) are left out.

    Args:
        outputs: T pictures.
        motion: see `benchmarks.metrics`.
        step: k; 1 is the short-term error, 5 the long-term one.
        linear: sample linearly (for analytic checks) instead of cubically.
    """
    values = []
    for t in range(len(outputs) - step):
        flow, mask = motion(t, t + step)
        if mask.any():
            moved = warp(outputs[t + step], flow, linear)
            values.append(masked_mse(moved, to_float(outputs[t]), mask))
    return values


def warping_error(
    outputs: Sequence[np.ndarray], motion: Motion, step: int = 1, linear: bool = False
) -> float:
    """Mean of `warping_errors`: squared, per channel, over valid pixels, colors in 0..1.

    Of independent noise sigma on a constant: 2 sigma^2 for whole-pixel motion, 1.25 sigma^2 for
    half-pixel motion in x and y sampled linearly.

    Reference:
        Lai et al., "Learning Blind Video Temporal Consistency", ECCV 2018, eq. 11; measured on
        arrays and not, as in their code, after writing JPEG files.
    """
    values = warping_errors(outputs, motion, step, linear)
    return float(np.mean(values)) if values else float("nan")


PLUGIN = Metric(warping_error, unit="1", better="lower", takes="clip")
