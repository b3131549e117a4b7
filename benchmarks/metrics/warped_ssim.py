"""Structural similarity of neighboring frames along the motion of the scene."""

from collections.abc import Sequence

import numpy as np

from . import Metric, Motion
from ._pictures import to_float, warp
from .ssim import ssim_map


def warped_ssim(outputs: Sequence[np.ndarray], motion: Motion) -> float:
    """Mean over time of SSIM(O_t, W(O_t+1)) over visible pixels; masked pixels are filled with O_t
    first, so that they do not leak in through the window."""
    values = []
    for t in range(len(outputs) - 1):
        flow, mask = motion(t, t + 1)
        if mask.any():
            here = to_float(outputs[t])
            there = np.where(mask[..., None], warp(outputs[t + 1], flow), here)
            values.append(ssim_map(here, there)[mask].mean(dtype=np.float64))
    return float(np.mean(values)) if values else float("nan")


PLUGIN = Metric(warped_ssim, unit="1", better="higher", takes="clip")
