"""Moments loss: mean and deviation of every channel, as AdaIN exchanges them."""

import torch
from torch import Tensor

from ..feature_statistics import channel_moments
from . import LossInputs, Target


def moments_distance(features: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Relative distance of channel means and deviations.

        L = (|m(F) - m|^2 + |d(F) - d|^2) / (|m|^2 + |d|^2),   averaged over the batch

    Huang and Belongie take the plain norms; dividing by the style's own makes one weight fit every
    layer of every backbone.

    Args:
        features: (N, C, H, W).
        mean, deviation: (N or 1, C) of the style.

    Returns:
        scalar; 0 when the moments agree.
    Reference:
        Huang and Belongie, ICCV 2017 (arXiv:1703.06868), eq. 13.
    """
    own_mean, own_deviation = channel_moments(features)
    distance = (own_mean - mean).square().sum(1) + (own_deviation - deviation).square().sum(1)
    return (distance / (mean.square().sum(1) + deviation.square().sum(1))).mean()


class MomentsTerm:
    """`moments_distance` to the painting, averaged over the style layers with their weights."""

    needs = ("features",)

    def __init__(self, target: Target) -> None:
        self.weights = target.style_layers
        self.moments = {
            layer: channel_moments(target.style_features[layer]) for layer in self.weights
        }

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        total = torch.zeros((), device=inputs.output.device)
        for layer, weight in self.weights.items():
            total = total + weight * moments_distance(inputs.features[layer], *self.moments[layer])
        return total / sum(self.weights.values())


PLUGIN = MomentsTerm
