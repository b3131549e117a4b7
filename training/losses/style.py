"""Style loss: distance of Gram matrices, relative to the painting's."""

import torch
from torch import Tensor

from . import LossInputs, Target


def gram_matrix(features: Tensor) -> Tensor:
    """Channel correlations of a feature map, averaged over positions and channels.

        G[n, c, d] = 1 / (C H W) * sum_hw F[n, c, h, w] F[n, d, h, w]

    Computed in float32 even under autocast: the sums overflow float16.

    Args:
        features: (N, C, H, W), any range.

    Returns:
        (N, C, C), symmetric positive semi-definite, in squared feature units.

    Raises:
        ValueError: if `features` is not 4-dimensional.
    Reference:
        Johnson, Alahi, Fei-Fei, ECCV 2016, eq. 3. Gatys et al., CVPR 2016, eq. 3, do not divide.
    """
    if features.ndim != 4:
        raise ValueError(f"features are (N, C, H, W), these are {tuple(features.shape)}")
    n, c, h, w = features.shape
    # Positions first is how convolutions on CPUs leave their results (channels last): no copy.
    # One product a picture is a third faster than a batched one (2 cores, 2 pictures of 256 px).
    flat = features.permute(0, 2, 3, 1).reshape(n, h * w, c).float()
    with torch.autocast(features.device.type, enabled=False):
        return torch.stack([rows.T @ rows for rows in flat]) / (c * h * w)


def gram_energy(gram: Tensor, metric: Tensor | None = None) -> Tensor:
    """Squared norm of each (C, C) matrix: |Q G Q'|^2 = tr(M G M G) with M = Q'Q, or |G|^2.

    `metric` M carries a compressed network's Gram matrix into the channels of the network it
    imitates without computing them.

    Args:
        gram: (N, C, C) symmetric.
        metric: (C, C) symmetric positive semi-definite, or None for the identity.

    Returns:
        (N,), not negative.
    """
    if metric is None:
        return gram.square().sum((1, 2))
    product = metric.float() @ gram
    return (product * product.transpose(1, 2)).sum((1, 2))


class StyleTerm:
    """Relative Gram distance, averaged over layers with their weights.

        L = sum_l w_l |G_l - Gs_l|^2_M / |Gs_l|^2_M / sum_l w_l

    Dividing by the painting's own energy (not in the papers) makes every layer count alike, so that
    one weight set fits all backbones: an untouched photo is near 1, a picture without texture at 1.
    """

    needs = ("features",)

    def __init__(self, target: Target) -> None:
        self.weights = target.style_layers
        self.metrics = {layer: target.backbone.metric(layer) for layer in self.weights}
        features = target.style_features
        self.set_target({layer: gram_matrix(features[layer]) for layer in self.weights})

    def set_target(self, grams: dict[str, Tensor]) -> None:
        """Take layer -> (1 or N, C, C) Gram matrices of a painting, or of one for each picture."""
        self.grams = {layer: gram.detach() for layer, gram in grams.items()}
        self.energies = {
            layer: gram_energy(gram, self.metrics[layer]) for layer, gram in self.grams.items()
        }

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        total = torch.zeros((), device=inputs.output.device)
        for layer, weight in self.weights.items():
            difference = gram_matrix(inputs.features[layer]) - self.grams[layer]
            relative = gram_energy(difference, self.metrics[layer]) / self.energies[layer]
            total = total + weight * relative.mean()
        return total / sum(self.weights.values())


PLUGIN = StyleTerm
