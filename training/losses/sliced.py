"""Sliced Wasserstein loss: the whole joint distribution of the features, seen from many sides."""

import torch
from torch import Tensor

from . import LossInputs, Target
from .histogram import matched

SEED = 0  # directions are drawn once: an objective that changes under L-BFGS has no minimum


def directions(channels: int, count: int, seed: int = SEED) -> Tensor:
    """Random unit vectors (count, channels)."""
    drawn = torch.randn(count, channels, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm(dim=1, keepdim=True)


def sliced_distance(features: Tensor, style: Tensor, sides: Tensor) -> Tensor:
    """Mean squared transport distance of one-dimensional projections.

        L = mean over sides v of W2^2(v.F, v.Fs) / mean over v of mean((v.Fs)^2)

    for each picture, then the mean over pictures.

    In one dimension transport is sorting. Heitz et al. draw new directions at every iteration and
    compare equal sample counts; ours are fixed, and the style is resampled by rank.

    Args:
        features: (N, C, H, W).
        style: (1 or N, C, h, w); one for all, or one for each.
        sides: (K, C) unit vectors.

    Returns:
        scalar; 0 when both have the same values, in any order.
    Reference:
        Heitz, Vanhoey, Chambon, Belcour, CVPR 2021 (arXiv:2006.07229), eq. 4-5.
    """
    ours = torch.einsum("kc,nchw->nkhw", sides, features.float())
    theirs = torch.einsum("kc,nchw->nkhw", sides, style.float())
    with torch.no_grad():
        wanted = matched(ours, theirs)
    return ((ours - wanted).square().mean((1, 2, 3)) / theirs.square().mean((1, 2, 3))).mean()


class SlicedTerm:
    """`sliced_distance` to the painting over as many sides as channels, averaged over layers."""

    needs = ("features",)

    def __init__(self, target: Target) -> None:
        self.weights = target.style_layers
        self.features = target.style_features
        self.sides = {
            layer: directions(f.shape[1], f.shape[1]).to(f.device)
            for layer, f in target.style_features.items()
        }

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        total = torch.zeros((), device=inputs.output.device)
        for layer, weight in self.weights.items():
            value = sliced_distance(inputs.features[layer], self.features[layer], self.sides[layer])
            total = total + weight * value
        return total / sum(self.weights.values())


PLUGIN = SlicedTerm
