"""Laplacian loss: edges of the photo stay where they are, at several scales."""

import torch
from torch import Tensor
from torch.nn import functional as F

from . import LossInputs, Target

# Pooling factors; the paper combines 4 and 16 and shows that one scale alone loses details.
SCALES = (4, 16)


def laplacian(images: Tensor) -> Tensor:
    """Sum over color channels of the four-neighbor Laplacian, on the inner pixels.

        D = [[0, -1, 0], [-1, 4, -1], [0, -1, 0]]

    Args:
        images: (N, C, H, W), both sides at least 3.

    Returns:
        (N, H - 2, W - 2).
    """
    inner = images[:, :, 1:-1, 1:-1]
    around = images[:, :, :-2, 1:-1] + images[:, :, 2:, 1:-1]
    around = around + images[:, :, 1:-1, :-2] + images[:, :, 1:-1, 2:]
    return (4 * inner - around).sum(1)


def laplacian_distance(images: Tensor, photos: Tensor, scale: int) -> Tensor:
    """Squared difference of the Laplacians after mean pooling.

        L = mean over pixels of (D(pool_s(y)) - D(pool_s(x)))^2

    Li et al. sum over pixels; the mean makes one weight fit every size.

    Args:
        images, photos: (N, 3, H, W).
        scale: pooling factor s.

    Returns:
        scalar; 0 for equal pictures, and for pictures that differ by a plane of constant slope.
    Reference:
        Li, Xu, Nie, Liu, ACM MM 2017 (arXiv:1707.01253), eq. 6-8.
    """
    pooled = [F.avg_pool2d(x.float(), scale) for x in (images, photos)]
    return (laplacian(pooled[0]) - laplacian(pooled[1])).square().mean()


class LaplacianTerm:
    """Sum of `laplacian_distance` to the photos over the `SCALES` that fit."""

    needs = ("photos",)

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar; 0 when the photos are not known."""
        total = torch.zeros((), device=inputs.output.device)
        if inputs.photos is None:
            return total
        for scale in SCALES:
            if min(inputs.output.shape[2:]) >= 3 * scale:
                total = total + laplacian_distance(inputs.output, inputs.photos, scale)
        return total


PLUGIN = LaplacianTerm
