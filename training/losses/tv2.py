"""Total variation of the second power: spreads an edge where the first power keeps it."""

from torch import Tensor

from . import LossInputs, Target


def squared_variation(images: Tensor) -> Tensor:
    """The mean of squared differences of neighbors.

        TV2 = mean (y[h+1, w] - y[h, w])^2 + mean (y[h, w+1] - y[h, w])^2

    The mean, not the sum: independent of size. `losses.tv` is the first power.

    Args:
        images: (N, C, H, W).

    Returns:
        scalar; 0 for a constant picture, 2 for a checkerboard of 0 and 1.
    Reference:
        Mahendran and Vedaldi, CVPR 2015 (arXiv:1412.0035), eq. 6 with beta = 2 (sums).
    """
    down = (images[:, :, 1:] - images[:, :, :-1]).square().mean()
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).square().mean()
    return down + across


class SquaredVariationTerm:
    """`squared_variation` of the output."""

    needs = ()

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return squared_variation(inputs.output)


PLUGIN = SquaredVariationTerm
