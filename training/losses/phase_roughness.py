"""Per-phase roughness: a grid-artifact loss on texture that knows the network's stride.

A network that works at 1/4 resolution paints each 4x4 block at once, and what it paints need not
fit the block beside it: strokes break into stairs, and the edges of the blocks show as a fine weave
or as dots. `losses.periodicity` does not see this, because no pattern is common to the blocks; what
they share is where they are rough. In a painting the differences of neighboring pixels have the
same energy at every phase, that is at every place modulo 4 (to 1 %); in networks trained without
this term they have three to five times more between blocks than inside. In the terms of signals:
the picture shall be stationary, not cyclostationary with the stride as its period. Ours, 2026;
called "grid" in recipes of former versions.
"""

import torch
from torch import Tensor

from . import LossInputs, Target

BLOCK = 4  # px; catches periods 2 and 4
WINDOW = 64  # px, about: small enough for a sky beside trees, 256 blocks to average over
# Energy below which differences do not count: those of half a level of a byte.
FLOOR = (0.5 / 255) ** 2


def by_phase(values: Tensor, block: int = BLOCK, window: int = WINDOW) -> Tensor:
    """Mean of each phase, over the blocks of a window.

    Args:
        values: (N, C, H, W); what does not fill a window at the right and bottom is left out.
        block: side of a block in px.
        window: side of a window in px, about: as many as fit are made equal.

    Returns:
        (N, C, windows, block * block).
    """
    n, c, height, width = values.shape
    rows, columns = (max(1, round(side / window)) for side in (height, width))
    high, wide = height // block // rows, width // block // columns
    whole = values[:, :, : rows * high * block, : columns * wide * block]
    split = whole.reshape(n, c, rows, high, block, columns, wide, block).mean((3, 6))
    return split.permute(0, 1, 2, 4, 3, 5).reshape(n, c, rows * columns, block * block)


def phase_roughness(images: Tensor, block: int = BLOCK, window: int = WINDOW) -> Tensor:
    """How much of a picture's roughness depends on the phase, the place in a block.

        L = mean over windows, phases p, and first and second differences d along both axes, of
            ((E_p - E) / (E + floor))^2 + M_p^2 / (E + floor),
            E_p = mean over blocks and channels of d^2 at phase p,   E = mean over p of E_p,
            M_p^2 = mean over channels of (mean over blocks of d at phase p)^2

    The second part is what all blocks of a window have in common, as in `losses.periodicity`, but
    relative to the window's own roughness: a faint weave in a sky counts as much as a strong one in
    grass.

    Args:
        images: (N, C, H, W) in [0, 1], the top left pixel the first of a block.
        block: period that is looked for, in px (and its divisors).
        window: see `by_phase`.

    Returns:
        scalar without unit; 0 where all phases are alike; 3 along an axis where one of four columns
        has all differences, 1 along an axis where all blocks are the same.
    """
    total = torch.zeros((), device=images.device)
    for axis in (2, 3):
        first = images.diff(dim=axis)
        for differences in (first, first.diff(dim=axis)):
            energies = by_phase(differences.square().mean(1, keepdim=True), block, window)
            common = by_phase(differences, block, window).square().mean(1, keepdim=True)
            mean = energies.mean(3, keepdim=True)
            uneven = ((energies - mean) / (mean + FLOOR)).square()
            total = total + uneven.mean() + (common / (mean + FLOOR)).mean()
    return total / 4


class PhaseRoughnessTerm:
    """`phase_roughness` of the output."""

    needs = ()

    def __init__(self, target: Target) -> None:
        pass

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Scalar."""
        return phase_roughness(inputs.output.float())


PLUGIN = PhaseRoughnessTerm
