"""Total variation: keeps single pixels from standing out."""

from torch import Tensor

from . import LossInputs, Target


def total_variation(images: Tensor, power: int = 1) -> Tensor:
    """Anisotropic total variation, the mean of powers of absolute differences of neighbors.

        TV = mean |y[h+1, w] - y[h, w]|^power + mean |y[h, w+1] - y[h, w]|^power

    The mean, not the sum: independent of size. "Total variation" names four different sums in the
    field's libraries; the first power is Rudin, Osher, Fatemi 1992 in its anisotropic form, and
    keeps an edge; the second spreads it.

    Args:
        images: (N, C, H, W).
        power: 1 or more.

    Returns:
        scalar; 0 for a constant picture, 2 for a checkerboard of 0 and 1.
    Reference:
        For powers, Mahendran and Vedaldi, CVPR 2015 (arXiv:1412.0035), eq. 6, beta = power (sums).
    """
    down = (images[:, :, 1:] - images[:, :, :-1]).abs()
    across = (images[:, :, :, 1:] - images[:, :, :, :-1]).abs()
    return (down**power).mean() + (across**power).mean()


class VariationTerm:
    """`total_variation` of the output; recipes know the powers as terms of their own."""

    needs = ()
    power = 1

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return total_variation(inputs.output, self.power)


PLUGIN = VariationTerm
