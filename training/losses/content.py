"""Content loss: the picture keeps the photo's features, relative to their energy."""

from torch import Tensor

from . import ENERGY, LossInputs, Target


def content_distance(features: Tensor, target: Tensor, energy: Tensor | None = None) -> Tensor:
    """Relative squared distance of feature maps.

        L = mean((F - Fc)^2) / mean(Fc^2)

    Gatys et al. use half the sum and Johnson et al. (eq. 2) the mean of squares; dividing by the
    photo's own energy makes one weight fit every layer of every backbone.

    Args:
        features, target: (N, C, H, W), any range.
        energy: mean F*^2 of the whole batch, where these pictures are a part of one.

    Returns:
        scalar; 0 when equal, 1 for features that vanish.
    Reference:
        Gatys, Ecker, Bethge, CVPR 2016, eq. 1 (unnormalized); Johnson et al., ECCV 2016, eq. 2.
    """
    target = target.float()
    energy = target.square().mean() if energy is None else energy
    return (features.float() - target).square().mean() / energy


class ContentTerm:
    """Mean of `content_distance` over the content layers."""

    needs = ("features", "content_features")

    def __init__(self, target: Target) -> None:
        self.layers = target.content_layers

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        parts = [
            content_distance(
                inputs.features[layer],
                inputs.content_features[layer],
                inputs.content_features.get(ENERGY + layer),
            )
            for layer in self.layers
        ]
        return sum(parts[1:], parts[0]) / len(parts)


PLUGIN = ContentTerm
