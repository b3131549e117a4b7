"""Integer weights of a head that paints no grid: rounded so that its phases keep equal sums.

`training.networks.layers.equalize_phases_` holds a head to

    sum over ky of W[c, py, px, i, ky, kx] the same for every py,
    sum over kx of W[c, py, px, i, ky, kx] the same for every px

(c: color, p: place in a block, i: input channel, k: tap). Rounding every tap by itself makes the
sums differ by up to a step and a half each, and what is one color is painted as a faint net again:
4 levels deep on plain gray with `great_wave`, none with this. So the sums are rounded first, alike
for all phases of a color, which share one scale, and the taps of a kernel then go to the nearest
integers that have these sums: controlled rounding (Cox 1987, "A constructive procedure for unbiased
controlled rounding"; that up or down always suffices is the integrality of transportation).
"""

import itertools

import numpy as np

from .scales import WEIGHT_LEVELS


def quantize_phases(
    kernels: np.ndarray, levels: int = WEIGHT_LEVELS
) -> tuple[np.ndarray, np.ndarray]:
    """Integers whose sums are equal across phases, and the scale of each color.

    Args:
        kernels: (colors, r, r, in, k, k) float, k 1 or 3, whose sums are about equal.
        levels: largest size of an integer.

    Returns:
        integers of the same shape, int8; (colors,) float32. A tap is less than 1.73 steps off: 1 by
        going up or down, 1/3 by each of its sums, 1/18 by the total.
    """
    _, _, _, _, down, across = kernels.shape
    # One level is left for a largest tap that goes up for the sake of its sums: 62 + 1.73 < 64.
    largest = np.abs(kernels).max(axis=(1, 2, 3, 4, 5))
    scale = (np.maximum(largest, 1e-12) / (levels - 1)).astype(np.float32)
    steps = kernels / scale[:, None, None, None, None, None].astype(np.float64)
    columns, rows = steps.sum(4).mean(1, keepdims=True), steps.sum(5).mean(2, keepdims=True)
    total = np.rint(columns.sum(4).mean(2, keepdims=True))
    columns, rows = _with_sum(columns, total), _with_sum(rows, total)
    missing = (
        (columns - steps.sum(4))[..., None, :] / down
        + (rows - steps.sum(5))[..., None] / across
        - (total - steps.sum((4, 5)))[..., None, None] / (down * across)
    )
    integers = _with_sums(steps + missing, columns, rows)
    return np.clip(integers, -levels, levels).astype(np.int8), scale


def _with_sum(values: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Each line of the last axis to integers that add up to `total`: largest remainders go up."""
    whole = np.floor(values)
    rank = np.argsort(np.argsort(whole - values, axis=-1), axis=-1)
    return whole + (rank < (total - whole.sum(-1))[..., None])


def _with_sums(kernels: np.ndarray, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each kernel, whose sums are these integers, to the nearest integers up or down with them."""
    down, across = kernels.shape[-2:]
    # A tap that is an integer but for the last digit stays.
    whole = np.floor(kernels + 1e-6)
    ups = np.array(list(itertools.product((0, 1), repeat=down * across)))
    ups = ups.reshape(-1, down, across)
    sums = np.concatenate([ups.sum(1), ups.sum(2)], -1)
    wanted = np.concatenate([columns - whole.sum(-2), rows - whole.sum(-1)], -1)
    # No sum is above 3: digits of one number tell them all.
    digits = 4 ** np.arange(down + across)
    fits = np.rint(wanted) @ digits
    # |up - rest|^2 less |rest|^2, which all of them share.
    cost = (1 - 2 * (kernels - whole)).reshape(*kernels.shape[:-2], -1)
    cost = cost @ ups.reshape(len(ups), -1).T
    best = np.where(sums @ digits == fits[..., None], cost, np.inf).argmin(-1)
    return whole + ups[best]
