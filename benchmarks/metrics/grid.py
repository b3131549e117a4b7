"""Grid: how much of a picture's roughness depends on the place in a network's cells."""

import numpy as np

from . import Metric
from ._pictures import luminance

# Cells of lean networks, and the window of the training loss (`training.losses.grid`).
CELL, WINDOW = 4, 64
# Differences below half a level of a byte do not count.
FLOOR = (0.5 / 255) ** 2


def grid(picture: np.ndarray) -> float:
    """Mean over 64-px windows and over first and second differences d of the luminance along both
    axes; the training loss's formula:

        mean over the 16 places p of a 4x4 cell of ((E_p - E) / E)^2 + M_p^2 / E,
        E_p = mean d^2 at p,   E = mean over p of E_p,   M_p = mean d at p

    0 where texture does not know the grid. Stairs and dots raise the first part, a pattern that is
    the same in every cell the second. A painting has .02; so have photos, but for the blocks that
    compression leaves (.02 to .2).
    """
    gray = luminance(picture)
    found = []
    for axis in (0, 1):
        first = np.diff(gray, axis=axis).astype(np.float64)
        for differences in (first, np.diff(first, axis=axis)):
            energies = _by_places(np.square(differences))
            mean = energies.mean((1, 3), keepdims=True)
            uneven = np.square((energies - mean) / (mean + FLOOR))
            common = np.square(_by_places(differences)) / (mean + FLOOR)
            found.append(np.mean(uneven + common))
    return float(np.mean(found))


def _by_places(values: np.ndarray) -> np.ndarray:
    """(rows, CELL, columns, CELL): mean of each place of a cell over the cells of a window."""
    rows, columns = (max(1, round(side / WINDOW)) for side in values.shape)
    high, wide = values.shape[0] // CELL // rows, values.shape[1] // CELL // columns
    whole = values[: rows * high * CELL, : columns * wide * CELL]
    return whole.reshape(rows, high, CELL, columns, wide, CELL).mean((1, 4))


PLUGIN = Metric(grid, unit="1", better="lower", takes="picture")
