"""Palette loss: the picture is painted with the painting's colors, in the painting's shares.

Gram matrices weigh a color by its energy in the first layer, so that the rare bright ones (the
yellow of a night sky) cost almost nothing to leave out; this term counts areas.
"""

from torch import Tensor
from torch.nn import functional as F

from . import LossInputs, Target
from .sliced import directions, sliced_distance

# Colors are compared after averaging cells of this side, in px: the width of a thin brush stroke.
# Finer, and a network earns the right colors with hair lines that the eye mixes to gray.
CELL = 8
# Projections of the color cube. Three axes alone would allow wrong mixtures.
SIDES = 16


def cell_colors(images: Tensor, cell: int = CELL) -> Tensor:
    """(N, 3, H, W) -> mean colors of cells (N, 3, H / cell, W / cell)."""
    return F.avg_pool2d(images.float(), cell)


class PaletteTerm:
    """`sliced_distance` of the cells' colors to the painting's.

    Sliced Wasserstein distance (Heitz et al., CVPR 2021, arXiv:2006.07229, eq. 4-5) on mean colors
    in place of features.
    """

    needs = ()

    def __init__(self, target: Target) -> None:
        if target.painting is None:
            raise ValueError("the palette term needs the painting itself")
        # (1 or N, 3, h, w): one painting for all pictures, or one for each (`methods.multi`).
        self.colors = cell_colors(target.painting)
        self.sides = directions(3, SIDES).to(target.painting.device)

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return sliced_distance(cell_colors(inputs.output), self.colors, self.sides)


PLUGIN = PaletteTerm
