"""Total variation: keeps single pixels from standing out."""

from torch import Tensor

from . import LossInputs, Target


def total_variation(images: Tensor) -> Tensor:
    """Anisotropic total variation, the mean of absolute differences of neighbors.

        TV = mean |y[h+1, w] - y[h, w]| + mean |y[h, w+1] - y[h, w]|

    The mean, not the sum: independent of size. "Total variation" names four different sums in the
    field's libraries; this is the first power of Rudin, Osher, Fatemi 1992 in its anisotropic form.

    Args:
        images: (N, C, H, W).

    Returns:
        scalar; 0 for a constant picture, 2 for a checkerboard of 0 and 1.
    """
    down = (images[:, :, 1:] - images[:, :, :-1]).abs().mean()
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs().mean()
    return down + across


class TotalVariationTerm:
    """`total_variation` of the output."""

    needs = ()

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return total_variation(inputs.output)


PLUGIN = TotalVariationTerm
