"""Style by regions: sky takes its style from sky, houses from houses."""

import torch
from torch import Tensor
from torch.nn import functional as F

from runtime.errors import UsageError

from . import LossInputs, Target
from .style import gram_energy, gram_matrix

SMALLEST = 0.01  # regions of a smaller share of either picture are left to the others


def masked_gram(features: Tensor, mask: Tensor) -> Tensor:
    """Gram matrix of one region, averaged over the region's area.

        G = 1 / (C sum(m^2)) * sum_hw m^2 F F'

    Args:
        features: (N, C, H, W).
        mask: (1, 1, h, w) in [0, 1], resized by averaging.

    Returns:
        (N, C, C); `gram_matrix` where the mask is 1 everywhere.
    """
    small = F.adaptive_avg_pool2d(mask.float(), features.shape[2:])
    area = small.square().mean().clamp_min(1e-8)
    return gram_matrix(features.float() * small) / area


class RegionsTerm:
    """Relative Gram distance of every pair of regions, weighted by the region's share of the photo.

        L = sum_l w_l sum_r a_r |G_lr - Gs_lr|^2 / |Gs_lr|^2 / sum_l w_l,   sum_r a_r = 1

    With one region that covers everything this is the style term.

    Reference:
        Gatys, Ecker, Bethge, Hertzmann, Shechtman, CVPR 2017 (arXiv:1611.07865), section 4; Luan et
        al., CVPR 2017, eq. 3.
    """

    needs = ("features",)

    def __init__(self, target: Target) -> None:
        if target.masks is None:
            raise UsageError('the term "regions" needs masks of the painting and of the photo')
        painting, photo = target.masks
        if painting.shape[1] != photo.shape[1]:
            raise UsageError(
                f"the painting has {painting.shape[1]} regions, the photo {photo.shape[1]}"
            )
        self.weights = target.style_layers
        self.metrics = {layer: target.backbone.metric(layer) for layer in self.weights}
        kept = [
            i
            for i in range(photo.shape[1])
            if min(float(painting[:, i].mean()), float(photo[:, i].mean())) >= SMALLEST
        ]
        if not kept:
            raise UsageError("every region is empty in the painting or in the photo")
        self.masks = [photo[:, i : i + 1] for i in kept]
        shares = [float(mask.mean()) for mask in self.masks]
        self.shares = [share / sum(shares) for share in shares]
        self.grams = {
            layer: [
                masked_gram(target.style_features[layer], painting[:, i : i + 1]).detach()
                for i in kept
            ]
            for layer in self.weights
        }

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        total = torch.zeros((), device=inputs.output.device)
        for layer, weight in self.weights.items():
            metric = self.metrics[layer]
            regions = zip(self.masks, self.grams[layer], self.shares, strict=True)
            for mask, wanted, share in regions:
                difference = masked_gram(inputs.features[layer], mask) - wanted
                relative = gram_energy(difference, metric) / gram_energy(wanted, metric)
                total = total + weight * share * relative.mean()
        return total / sum(self.weights.values())


PLUGIN = RegionsTerm
