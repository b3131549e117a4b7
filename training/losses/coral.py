"""CORAL loss: mean and covariance of the features, a Gram loss that knows where the middle is."""

import torch
from torch import Tensor

from ..feature_statistics import covariance
from . import LossInputs, Target


def coral_distance(features: Tensor, mean: Tensor, matrix: Tensor) -> Tensor:
    """Relative distance of means and covariances.

        L = |C(F) - C|^2 / |C|^2 + |m(F) - m|^2 / |m|^2,   averaged over the batch

    Sun and Saenko compare covariances only and divide by 4 C^2; the mean is added because a style
    has one, and both are relative so that one weight fits every layer.

    Args:
        features: (N, C, H, W).
        mean, matrix: (1, C) and (1, C, C) of the style.

    Returns:
        scalar; 0 when first and second moments agree.
    Reference:
        Sun and Saenko, "Deep CORAL", ECCV 2016 workshops (arXiv:1607.01719), eq. 1.
    """
    own_mean, own = covariance(features)
    shape = (own - matrix).square().sum((1, 2)) / matrix.square().sum((1, 2))
    place = (own_mean - mean).square().sum(1) / mean.square().sum(1)
    return (shape + place).mean()


class CoralTerm:
    """`coral_distance` to the painting, averaged over the style layers with their weights."""

    needs = ("features",)

    def __init__(self, target: Target) -> None:
        self.weights = target.style_layers
        self.moments = {layer: covariance(target.style_features[layer]) for layer in self.weights}

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        total = torch.zeros((), device=inputs.output.device)
        for layer, weight in self.weights.items():
            total = total + weight * coral_distance(inputs.features[layer], *self.moments[layer])
        return total / sum(self.weights.values())


PLUGIN = CoralTerm
