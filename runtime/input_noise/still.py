"""Input noise for stills, whole or in parts."""

import cv2
import numpy as np

from . import CELL_PX, SIGMA
from .flat import flatness

# Rows of a picture that are looked at in one go, in cells: a flatness of 20 000 columns then takes
# 40 MB.
BAND_CELLS = 8


class StillNoise:
    """Cells of Gaussian noise, upsampled bicubically, as strong as the picture is flat.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        amount: 0..1, times 0.2 = deviation of the Gaussian noise.
        seed: same seed, same strokes.
        weights: of the cells, (ceil(height / 16), ceil(width / 16)) in 0..1, as `flat_cells` finds
            them; None for the same noise everywhere.
    """

    def __init__(
        self,
        height: int,
        width: int,
        amount: float,
        seed: int = 0,
        weights: np.ndarray | None = None,
    ) -> None:
        rows, columns = -(-height // CELL_PX), -(-width // CELL_PX)
        noise = np.random.default_rng(seed).standard_normal((rows, columns, 3), dtype=np.float32)
        self._cells = noise * np.float32(amount * SIGMA)
        if weights is not None:
            self._cells *= weights[..., None]
        self._size = (height, width)

    def whole(self) -> np.ndarray:
        """(H, W, 3) float32, to be added to a picture in 0..1."""
        return self.window(0, 0, *self._size)

    def window(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """The part of `whole()` with these rows and columns, without making the rest."""
        # Bicubic interpolation reaches two cells far.
        first_row, first_column = (max(0, start // CELL_PX - 2) for start in (top, left))
        last_row, last_column = (-(-end // CELL_PX) + 2 for end in (bottom, right))
        cells = self._cells[first_row:last_row, first_column:last_column]
        size = (cells.shape[1] * CELL_PX, cells.shape[0] * CELL_PX)
        smooth = cv2.resize(cells, size, interpolation=cv2.INTER_CUBIC)
        row, column = first_row * CELL_PX, first_column * CELL_PX
        return smooth[top - row : bottom - row, left - column : right - column]


def flat_noise(pixels: np.ndarray, amount: float, seed: int = 0) -> StillNoise:
    """The noise of a picture, where it is flat.

    Args:
        pixels: (H, W, 3) uint8 or uint16 RGB.
        amount: see `StillNoise`.
        seed: same seed, same strokes.
    """
    height, width = pixels.shape[:2]
    return StillNoise(height, width, amount, seed, flat_cells(pixels))


def flat_cells(pixels: np.ndarray) -> np.ndarray:
    """`flatness` of a picture of any size, a band of rows at a time.

    Args:
        pixels: (H, W, 3) uint8 or uint16 RGB.
    """
    step = BAND_CELLS * CELL_PX
    bands = (pixels[top : top + step] for top in range(0, pixels.shape[0], step))
    return np.concatenate([flatness(_gray(band)) for band in bands])


def _gray(band: np.ndarray) -> np.ndarray:
    if band.dtype == np.uint16:
        band = (band >> 8).astype(np.uint8)
    return cv2.cvtColor(np.ascontiguousarray(band), cv2.COLOR_RGB2GRAY)
