"""Coarse style loss: the painting's forms, not only its texture.

The style loss of a picture at its own size is about texture: strokes and forms of a hand's width
are larger than what its layers compare. This one compares reduced copies of the picture with
reduced copies of the painting. Of our terms it changes the look most: hatching becomes brush
strokes that lie beside one another, and skies are painted.
"""

from collections.abc import Collection

import torch
from torch import Tensor
from torch.nn import functional as F

from ..backbones import Backbone
from . import LossInputs, Target
from .style import gram_energy, gram_matrix

# Wang et al. judge a hierarchy of networks at 256, 512 and 1024 px. Here one picture is judged at a
# half and at a quarter of its size; the style term is the first level.
FACTORS = (2, 4)
# Smallest side of a copy in px: backbones reflect at the border, which at 1/16 needs two cells.
LEAST_SIDE_PX = 32
# Cells a side that a layer must have left: a Gram matrix of fewer has more channels than positions
# and asks for the whole painting in a corner.
LEAST_CELLS = 8


def coarse_features(
    backbone: Backbone, images: Tensor, layers: Collection[str]
) -> dict[tuple[int, str], Tensor]:
    """Features of reduced copies, pool_f the mean over cells of f x f pixels.

    Args:
        backbone: feature extractor.
        images: (N, 3, H, W) RGB in [0, 1].
        layers: wanted ones.

    Returns:
        (factor f, layer) -> features of pool_f(images), of copies with 32 px a side and more and
        of maps with 8 cells a side and more.
    """
    found = {}
    for factor in FACTORS:
        if min(images.shape[2:]) < factor * LEAST_SIDE_PX:
            continue
        for layer, features in backbone(F.avg_pool2d(images, factor), set(layers)).items():
            if min(features.shape[2:]) >= LEAST_CELLS:
                found[factor, layer] = features
    return found


class CoarseTerm:
    """Relative Gram distance of reduced copies, averaged over factors and layers.

        L = mean over f in (2, 4) and layers l of |G_fl - Gs_fl|^2_M / |Gs_fl|^2_M

    with G_fl of pool_f(picture) and Gs_fl of pool_f(painting) at layer l; layers weighed as in the
    style term. Copies under 32 px and maps under 8 cells a side, of the painting or of the picture,
    are left out.

    Raises:
        ValueError: the target lacks the painting itself.
    Reference:
        Wang, Oxholm, Zhang, Wang, CVPR 2017 (arXiv:1612.01895), section 3: style losses at several
        sizes. There every size has a network of its own, here one network is judged at all.
    """

    needs = ("coarse",)

    def __init__(self, target: Target) -> None:
        if target.painting is None:
            raise ValueError("the coarse term needs the painting itself")
        self.weights = target.style_layers
        self.metrics = {layer: target.backbone.metric(layer) for layer in self.weights}
        with torch.no_grad():
            copies = coarse_features(target.backbone, target.painting, self.weights)
        self.set_target({key: gram_matrix(features) for key, features in copies.items()})

    def set_target(self, grams: dict[tuple[int, str], Tensor]) -> None:
        """Take (factor, layer) -> (1 or N, C, C) Gram matrices of a painting, or of one for each
        picture."""
        self.grams = {key: gram.detach() for key, gram in grams.items()}
        self.energies = {
            key: gram_energy(gram, self.metrics[key[1]]) for key, gram in self.grams.items()
        }

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar; 0 where no copy fits."""
        total, weights = torch.zeros((), device=inputs.output.device), 0.0
        for key, gram in self.grams.items():
            if key not in inputs.coarse:
                continue
            _, layer = key
            difference = gram_matrix(inputs.coarse[key]) - gram
            relative = gram_energy(difference, self.metrics[layer]) / self.energies[key]
            total = total + self.weights[layer] * relative.mean()
            weights += self.weights[layer]
        return total / weights if weights else total


PLUGIN = CoarseTerm
