"""Motion loss: styling a moved photo must give the moved styled photo. No video needed.

    L = mean over valid pixels of (warp(G(x)) - G(warp(x) + noise))^2

Compound regularization of Wang et al., AAAI 2020 (arXiv:1912.09895), reduced to one squared
difference. It removes texture glued to the network's grid, of stills and of video alike.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from . import LossInputs, Target

# Ranges of the random similarity: up to 8 px of shift (every phase of a 4-px grid, twice),
# 6 % of zoom and 3.4 degrees, about what a hand-held camera does in a few frames.
MAX_SHIFT_PX = 8.0
MAX_ZOOM = 0.06
MAX_ANGLE = 0.06
MAX_NOISE = 0.02  # standard deviation; a webcam in room light has about 3/255
MARGIN_PX = 12  # outer pixels that a warp fills by reflection; not compared


def random_similarity(count: int, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """Sampling grids (count, H, W, 2) of random small similarity transforms, for `warp`."""
    height, width = size
    matrices = []
    for _ in range(count):
        angle = rng.uniform(-MAX_ANGLE, MAX_ANGLE)
        zoom = 1 + rng.uniform(-MAX_ZOOM, MAX_ZOOM)
        shift_x, shift_y = rng.uniform(-MAX_SHIFT_PX, MAX_SHIFT_PX, 2)
        cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
        matrices.append([[cos, -sin, 2 * shift_x / width], [sin, cos, 2 * shift_y / height]])
    theta = torch.tensor(matrices, dtype=torch.float32)
    return F.affine_grid(theta, [count, 3, height, width], align_corners=False)


def warp(images: Tensor, grid: Tensor) -> Tensor:
    """Sample images (N, C, H, W) at `grid`, bilinear, reflected at the border."""
    return F.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


class MotionTerm:
    """Mean squared difference of the moved pair inside its valid mask."""

    needs = ("moved",)

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar; 0 when this batch carries no moved pair."""
        if inputs.moved is None:
            return torch.zeros((), device=inputs.output.device)
        expected, output, mask = inputs.moved
        squared = (expected - output).square() * mask
        return squared.sum() / (mask.sum().clamp_min(1) * output.shape[1])


PLUGIN = MotionTerm
