"""L1: every pixel as in the photo; in a method with pairs, as in the picture wanted.

It makes pixels right on average and blurs what it cannot know; a perceptual or an adversarial term
beside it decides for one of the possible pictures (Isola et al. 2017, section 3.1).
"""

import torch
from torch import Tensor

from . import LossInputs, Target


def absolute_difference(output: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference.

        L = mean |y - y*|

    Args:
        output, wanted: (N, 3, H, W), RGB in 0..1.

    Returns:
        scalar, 0 where equal, 1 for black instead of white.
    Reference:
        Isola, Zhu, Zhou, Efros, CVPR 2017 (arXiv:1611.07004), eq. 3 (its sum is a mean here).
    """
    return (output - wanted).abs().mean()


class L1Term:
    """`absolute_difference` from the photos."""

    needs = ("photos",)

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar; 0 where no photos are known."""
        if inputs.photos is None:
            return torch.zeros((), device=inputs.output.device)
        return absolute_difference(inputs.output, inputs.photos)


PLUGIN = L1Term
