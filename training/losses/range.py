"""Out-of-range loss: a linear output stays where a screen can show it."""

from torch import Tensor
from torch.nn import functional as F

from . import LossInputs, Target


def out_of_range(images: Tensor) -> Tensor:
    """Mean distance to [0, 1]: mean(max(0, y - 1) + max(0, -y)).

    Our generators end in a convolution and are clamped at export; without this term the clamp
    would hide saturated texture from the loss that could still correct it. Ours, 2026.

    Args:
        images: (N, C, H, W).

    Returns:
        scalar, 0 if every value is in [0, 1].
    """
    return (F.relu(images - 1) + F.relu(-images)).mean()


class RangeTerm:
    """`out_of_range` of the output."""

    needs = ()

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return out_of_range(inputs.output)


PLUGIN = RangeTerm
