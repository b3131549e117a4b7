"""Periodicity: a grid-artifact loss on texture that repeats with the network's stride.

A network that works at 1/4 resolution can satisfy a Gram loss most cheaply with a pattern that is
the same in every 4x4 block of output pixels: the woven lattice of undertrained style networks. Such
a pattern also sticks to the screen when the camera moves. Strokes of any other period pass
untouched. Ours, 2026; called "lock" in recipes of former versions.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from . import LossInputs, Target

BLOCK = 8  # px; catches periods 2, 4 and 8
WINDOWS = (64, 32)  # px; a pattern that drifts across 64 px escapes the first and not the second


def high_pass(images: Tensor, block: int = BLOCK) -> Tensor:
    """The picture minus its mean over a box of 2 block + 1 pixels (reflected at the border)."""
    size = 2 * block + 1
    padded = F.pad(images.contiguous(), (block,) * 4, mode="reflect")
    # Two one-dimensional means: as a grouped convolution this takes seconds on a CPU in bfloat16.
    low = F.avg_pool2d(F.avg_pool2d(padded, (1, size), 1), (size, 1), 1)
    return images - low


def mean_blocks(detail: Tensor, block: int, window: int) -> Tensor:
    """Average all blocks of each window of a high-passed picture.

    Args:
        detail: (N, C, H, W); what does not fill a window at the right and bottom is left out.
        block: side of a block in px.
        window: side of a window in px, a multiple of `block`.

    Returns:
        (N, C, H / window, block, W / window, block).
    """
    n, c = detail.shape[:2]
    rows, columns = detail.shape[2] // window, detail.shape[3] // window
    whole = detail[:, :, : rows * window, : columns * window]
    per = window // block
    return whole.reshape(n, c, rows, per, block, columns, per, block).mean((3, 6))


def periodicity_energy(
    images: Tensor, block: int = BLOCK, windows: tuple[int, ...] = WINDOWS
) -> Tensor:
    """Energy of what every block of a window has in common, summed over window sizes.

        L = sum over sizes, mean over windows of (mean over blocks of highpass(y))^2

    Args:
        images: (N, C, H, W).
        block: period that is looked for, in px (and its divisors).
        windows: sides of the windows in px; those that do not fit are left out.

    Returns:
        scalar in squared image units; 0 without a common pattern (white noise of variance v
        leaves v * (block / window)^2 per window size).
    """
    detail = high_pass(images, block)
    total = torch.zeros((), device=images.device)
    for window in windows:
        if min(images.shape[2:]) >= window:
            total = total + mean_blocks(detail, block, window).square().mean()
    return total


class PeriodicityTerm:
    """`periodicity_energy` of the output."""

    needs = ()

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return periodicity_energy(inputs.output)


PLUGIN = PeriodicityTerm
