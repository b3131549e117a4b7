"""Histogram loss: every channel has the painting's distribution, not only its moments."""

import torch
from torch import Tensor

from . import LossInputs, Target


def matched(features: Tensor, style: Tensor) -> Tensor:
    """Give every channel the style's distribution, keeping the order of its values.

    The value of rank r among n becomes the style's value at the same share of ranks, (r + 1/2) / n,
    between two values linearly. Equal values keep the order they have in memory (a stable sort).

    Args:
        features: (N, C, H, W).
        style: (1 or N, C, h, w), of any size.

    Returns:
        (N, C, H, W); `features` itself when both have the same values.
    """
    flat = features.flatten(2).float()
    ranks = flat.argsort(dim=2, stable=True).argsort(dim=2)
    wanted = style.flatten(2).float().sort(2).values
    count, available = flat.shape[2], wanted.shape[2]
    place = (ranks + 0.5) * (available / count) - 0.5
    low = place.floor().clamp(0, available - 1).long()
    high = (low + 1).clamp_max(available - 1)
    share = (place - low).clamp(0, 1)
    table = wanted.expand(len(flat), -1, -1)
    below, above = table.gather(2, low), table.gather(2, high)
    return (below + share * (above - below)).view(features.shape)


def histogram_distance(features: Tensor, style: Tensor) -> Tensor:
    """Distance to the features with matched histograms, relative to the style's energy.

        L = mean((F - match(F, Fs))^2) / mean(Fs^2);   match(...) is held constant

    Risser et al. take the plain sum of squares; ours makes one weight fit every layer. Sorting
    replaces their binned remapping: exact, and without a number of bins.

    Reference:
        Risser, Wilmot, Barnes 2017 (arXiv:1701.08893), eq. 8.
    """
    with torch.no_grad():
        wanted = matched(features, style)
    return (features.float() - wanted).square().mean() / style.float().square().mean()


class HistogramTerm:
    """`histogram_distance` to the painting, averaged over the style layers with their weights."""

    needs = ("features",)

    def __init__(self, target: Target) -> None:
        self.weights = target.style_layers
        self.features = target.style_features

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        total = torch.zeros((), device=inputs.output.device)
        for layer, weight in self.weights.items():
            value = histogram_distance(inputs.features[layer], self.features[layer])
            total = total + weight * value
        return total / sum(self.weights.values())


PLUGIN = HistogramTerm
