"""Per-phase roughness, a grid-artifact loss: texture is as strong at every place of a block.

A network that works at 1/4 resolution paints each 4x4 block at once, and what it paints need not
fit the block beside it: strokes break into stairs, and the edges of blocks show as a fine weave or
as dots. The periodicity loss (`losses.lock`) does not see this, because no pattern is common to the
blocks; what they share is where they are rough. In a painting the differences of neighboring pixels
have the same energy at every place modulo 4 (to 1 %); in networks trained without this term they
have three to five times more between blocks than inside. In the terms of signals: the picture shall
be stationary, not cyclostationary with the grid's period. Ours, 2026.
"""

import torch
from torch import Tensor

from . import LossInputs, Target

CELL = 4  # px; catches periods 2 and 4
WINDOW = 64  # px, about: small enough for a sky beside trees, 256 blocks to average over
# Energy below which differences do not count: those of half a level of a byte.
FLOOR = (0.5 / 255) ** 2


def by_places(values: Tensor, cell: int = CELL, window: int = WINDOW) -> Tensor:
    """Mean of each place in a block, over the blocks of a window.

    Args:
        values: (N, C, H, W); what does not fill a window at the right and bottom is left out.
        cell: side of a block in px.
        window: side of a window in px, about: as many as fit are made equal.

    Returns:
        (N, C, windows, cell * cell).
    """
    n, c, height, width = values.shape
    rows, columns = (max(1, round(side / window)) for side in (height, width))
    high, wide = height // cell // rows, width // cell // columns
    whole = values[:, :, : rows * high * cell, : columns * wide * cell]
    split = whole.reshape(n, c, rows, high, cell, columns, wide, cell).mean((3, 6))
    return split.permute(0, 1, 2, 4, 3, 5).reshape(n, c, rows * columns, cell * cell)


def grid_energy(images: Tensor, cell: int = CELL, window: int = WINDOW) -> Tensor:
    """How much of a picture's roughness depends on the place in a cell.

        L = mean over windows, places p, and first and second differences d along both axes, of
            ((E_p - E) / (E + floor))^2 + M_p^2 / (E + floor),
            E_p = mean over cells and channels of d^2 at place p,   E = mean over p of E_p,
            M_p^2 = mean over channels of (mean over cells of d at place p)^2

    The second part is what all cells of a window have in common, as in the lock loss, but relative
    to the window's own roughness: a faint weave in a sky counts as much as a strong one in grass.

    Args:
        images: (N, C, H, W) in [0, 1], the top left pixel the first of a cell.
        cell: period that is looked for, in px (and its divisors).
        window: see `by_places`.

    Returns:
        scalar without unit; 0 where all places are alike; 3 along an axis where one of four columns
        has all differences, 1 along an axis where all cells are the same.
    """
    total = torch.zeros((), device=images.device)
    for axis in (2, 3):
        first = images.diff(dim=axis)
        for differences in (first, first.diff(dim=axis)):
            energies = by_places(differences.square().mean(1, keepdim=True), cell, window)
            common = by_places(differences, cell, window).square().mean(1, keepdim=True)
            mean = energies.mean(3, keepdim=True)
            uneven = ((energies - mean) / (mean + FLOOR)).square()
            total = total + uneven.mean() + (common / (mean + FLOOR)).mean()
    return total / 4


class GridTerm:
    """`grid_energy` of the output."""

    needs = ()

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return grid_energy(inputs.output.float())


PLUGIN = GridTerm
