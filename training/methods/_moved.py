"""The moved pictures that the term "motion" compares, of methods that paint photos."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..losses.motion import MARGIN_PX, MAX_NOISE, random_similarity, warp
from ..updates import Updates


def draw(images: Tensor, rng: np.random.Generator, updates: Updates) -> tuple[Tensor, Tensor]:
    """Sampling grids and noise for a batch (N, 3, H, W)."""
    count, _, height, width = images.shape
    # Autocast rounds the grids, to half a pixel at most; both sides of the term share them, and the
    # bundled networks were trained so.
    with updates.autocast():
        grid = random_similarity(count, (height, width), rng).to(images.device)
    noise = torch.from_numpy(rng.standard_normal(tuple(images.shape), dtype=np.float32))
    return grid, noise.to(images.device) * (MAX_NOISE * rng.random())


def pair(
    paint: Callable[[Tensor], Tensor], images: Tensor, output: Tensor, grid: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """(warp(G(x)), G(warp(x) + noise), mask of the inner pixels).

    Args:
        paint: G.
        images: x.
        output: G(x).
        grid, noise: of `draw`, for these images.
    """
    count, _, height, width = images.shape
    moved = (warp(images, grid) + noise).contiguous(memory_format=torch.channels_last)
    other = paint(moved)
    mask = torch.zeros(1, 1, height, width, device=images.device)
    mask[:, :, MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] = 1
    return warp(output, grid), other, mask.expand(count, 1, height, width)
