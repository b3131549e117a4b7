"""How flat a picture is, cell by cell: noise is wanted where there is nothing to see."""

import cv2
import numpy as np

from . import CELL_PX

# Deviation of the brightness within a cell, of 255, at which half of the noise is left: skies and
# walls lie below 3, grass and cloth above 15 (photographs of the scoreboard).
HALF = 5.0
# Every STEP-th pixel each way is looked at: 64 in a cell say as much, at a quarter of the time.
STEP = 2


def flatness(gray: np.ndarray) -> np.ndarray:
    """The weight of the noise: 1 / (1 + (s / HALF)^2), s the deviation of the brightness in a cell.

    Args:
        gray: (H, W) uint8.

    Returns:
        (ceil(H / CELL_PX), ceil(W / CELL_PX)) float32 in 0..1, 1 where all pixels are alike.
    """
    rows, columns = (-(-side // CELL_PX) for side in gray.shape)
    side = CELL_PX // STEP
    some = gray[::STEP, ::STEP]
    bottom, right = rows * side - some.shape[0], columns * side - some.shape[1]
    some = cv2.copyMakeBorder(some, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
    values = some.astype(np.float32)
    mean, square = (
        cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
        for part in (values, values * values)
    )
    variance = np.maximum(square - mean * mean, 0.0)
    return 1.0 / (1.0 + variance / np.float32(HALF**2))
