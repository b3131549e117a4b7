"""Periodicity: the share of fine texture that repeats in every block of a grid (weave, dots)."""

import cv2
import numpy as np

from . import Metric
from ._pictures import luminance

# 8x8 blocks see patterns of 2, 4 and 8 pixels; 64-pixel windows keep real texture from averaging
# in; 17 pixels is the box whose mean counts as "not texture".
BLOCK, WINDOW, BOX = 8, 64, 17
# A flat window has no real texture: the quarter of the windows with the least in the input.
FLAT_SHARE = 0.25


def window_energies(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per 64-pixel window: energy of the mean 8x8 block, and energy of all fine texture."""
    gray = luminance(picture)
    fine = gray - cv2.blur(gray, (BOX, BOX), borderType=cv2.BORDER_REFLECT101)
    rows, columns = (side // WINDOW for side in gray.shape)
    if rows == 0 or columns == 0:
        raise ValueError(f"a picture of {gray.shape} is smaller than one {WINDOW}-px window")
    cells = WINDOW // BLOCK
    blocks = fine[: rows * WINDOW, : columns * WINDOW]
    blocks = blocks.reshape(rows, cells, BLOCK, columns, cells, BLOCK).transpose(0, 3, 1, 4, 2, 5)
    cell = blocks.mean(axis=(2, 3), dtype=np.float64)
    repeated = np.square(cell - cell.mean(axis=(2, 3), keepdims=True)).mean(axis=(2, 3))
    return repeated, np.square(blocks, dtype=np.float64).mean(axis=(2, 3, 4, 5))


def periodicity(picture: np.ndarray) -> float:
    """Repeated energy / fine energy, over all windows: 0 no grid, 1 nothing but grid.

    Independent noise has 1/64 (an average of 64 blocks). A stable picture can be bought with a
    fixed pattern, and a pattern lowers a Gram loss: read no style loss without this number.
    """
    repeated, energy = window_energies(picture)
    total = energy.sum()
    return float(repeated.sum() / total) if total > 0 else 0.0


def flat_periodicity(picture: np.ndarray, source: np.ndarray) -> float:
    """The same, over the FLAT_SHARE of windows in which `source` has the least fine texture."""
    repeated, energy = window_energies(picture)
    _, source_energy = window_energies(source)
    flat = source_energy <= np.quantile(source_energy, FLAT_SHARE)
    total = energy[flat].sum()
    return float(repeated[flat].sum() / total) if total > 0 else 0.0


PLUGIN = Metric(periodicity, unit="1", better="lower", takes="picture")
