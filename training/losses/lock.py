"""Lock loss: punishes texture that repeats with the network's own grid.

A network that works at 1/4 resolution can satisfy a Gram loss most cheaply with a pattern that is
the same in every 4x4 cell: the woven lattice of undertrained style networks. Such a pattern also
sticks to the screen when the camera moves. Strokes of any other period pass untouched.
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


def mean_cells(images: Tensor, cell: int, window: int) -> Tensor:
    """Average all cells of each window of the high-passed picture.

    Args:
        images: (N, C, H, W); what does not fill a window at the right and bottom is left out.

    Returns:
        (N, C, H / window, cell, W / window, cell).
    """
    n, c = images.shape[:2]
    rows, columns = images.shape[2] // window, images.shape[3] // window
    whole = high_pass(images, cell)[:, :, : rows * window, : columns * window]
    per = window // cell
    return whole.reshape(n, c, rows, per, cell, columns, per, cell).mean((3, 6))


def lock_energy(images: Tensor, cell: int = CELL, window: int = 64) -> Tensor:
    """Energy of what every cell of a window has in common.

        L = mean over windows of (mean over cells of highpass(y))^2

    Args:
        images: (N, C, H, W), H and W at least `window`.

    Returns:
        scalar in squared image units; 0 without a common pattern (white noise of variance v
        leaves v * (cell / window)^2).

    Raises:
        ValueError: a side is shorter than the window.
    """
    if min(images.shape[2:]) < window:
        raise ValueError(f"lock needs at least {window} px, images are {tuple(images.shape[2:])}")
    return mean_cells(images, cell, window).square().mean()


class LockTerm:
    """`lock_energy` of the output."""

    needs = ()

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return lock_energy(inputs.output)


PLUGIN = LockTerm
