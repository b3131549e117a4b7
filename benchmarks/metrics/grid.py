"""Grid: is texture rougher at some places of the network's cells than at others (stairs, dots)?"""

import numpy as np

from . import Metric
from ._pictures import luminance

# Cells of lean networks, and the window of the training loss (`training.losses.grid`).
CELL, WINDOW = 4, 64
# Differences below half a level of a byte do not count.
FLOOR = (0.5 / 255) ** 2


def grid(picture: np.ndarray) -> float:
    """Mean over 64-px windows, and first and second differences along both axes, of the variance
    over the 16 places of a 4x4 cell of E_p / mean E; E_p is the mean squared difference at place p.

    0 where all places are alike. Small photos as cameras compress them have .02 to .2 (blocks of
    8 px), a painting .01, networks that work at 1/4 resolution and are not told otherwise .3.
    """
    gray = luminance(picture)
    found = []
    for axis in (0, 1):
        first = np.diff(gray, axis=axis)
        for differences in (first, np.diff(first, axis=axis)):
            found.append(_unevenness(np.square(differences, dtype=np.float64)))
    return float(np.mean(found))


def _unevenness(energy: np.ndarray) -> float:
    rows, columns = (max(1, round(side / WINDOW)) for side in energy.shape)
    high, wide = energy.shape[0] // CELL // rows, energy.shape[1] // CELL // columns
    whole = energy[: rows * high * CELL, : columns * wide * CELL]
    split = whole.reshape(rows, high, CELL, columns, wide, CELL).mean((1, 4))
    mean = split.mean((1, 3), keepdims=True)
    return float(np.square((split - mean) / (mean + FLOOR)).mean())


PLUGIN = Metric(grid, unit="1", better="lower", takes="picture")
