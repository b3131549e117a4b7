"""Periodicity, a grid-artifact loss: punishes texture that repeats with the network's stride.

A network that works at 1/4 resolution can satisfy a Gram loss most cheaply with a pattern that is
the same in every stride-4 block: the woven lattice of undertrained style networks. Such a pattern
also sticks to the screen when the camera moves. Strokes of any other period pass untouched. Ours,
2026.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from . import LossInputs, Target

CELL = 8  # px; catches periods 2, 4 and 8
WINDOWS = (64, 32)  # px; a pattern that drifts across 64 px escapes the first and not the second


def high_pass(images: Tensor, cell: int = CELL) -> Tensor:
    """The picture minus its mean over a box of 2 cell + 1 pixels (reflected at the border)."""
    size = 2 * cell + 1
    padded = F.pad(images.contiguous(), (cell,) * 4, mode="reflect")
    # Two one-dimensional means: as a grouped convolution this takes seconds on a CPU in bfloat16.
    low = F.avg_pool2d(F.avg_pool2d(padded, (1, size), 1), (size, 1), 1)
    return images - low


def mean_cells(detail: Tensor, cell: int, window: int) -> Tensor:
    """Average all blocks of each window of a high-passed picture.

    Args:
        detail: (N, C, H, W); what does not fill a window at the right and bottom is left out.
        cell: side of a block in px.
        window: side of a window in px, a multiple of `cell`.

    Returns:
        (N, C, H / window, cell, W / window, cell).
    """
    n, c = detail.shape[:2]
    rows, columns = detail.shape[2] // window, detail.shape[3] // window
    whole = detail[:, :, : rows * window, : columns * window]
    per = window // cell
    return whole.reshape(n, c, rows, per, cell, columns, per, cell).mean((3, 6))


def lock_energy(images: Tensor, cell: int = CELL, windows: tuple[int, ...] = WINDOWS) -> Tensor:
    """Energy of what all blocks of a window have in common, summed over window sizes.

        L = sum over sizes, mean over windows of (mean over cells of highpass(y))^2

    Args:
        images: (N, C, H, W).
        cell: period that is looked for, in px (and its divisors).
        windows: sides of the windows in px; those that do not fit are left out.

    Returns:
        scalar in squared image units; 0 without a common pattern (white noise of variance v
        leaves v * (cell / window)^2 per window size).
    """
    detail = high_pass(images, cell)
    total = torch.zeros((), device=images.device)
    for window in windows:
        if min(images.shape[2:]) >= window:
            total = total + mean_cells(detail, cell, window).square().mean()
    return total


class LockTerm:
    """`lock_energy` of the output."""

    needs = ()

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return lock_energy(inputs.output)


PLUGIN = LockTerm
