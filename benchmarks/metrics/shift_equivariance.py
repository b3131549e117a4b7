"""EQ: does the texture move with the picture, or is it fixed to the network's own grid?"""

from collections.abc import Callable

import numpy as np

from . import Metric
from ._pictures import to_float

# Pixels left out at every side: padding makes any network uneven there.
BORDER = 32


def shift_errors(
    stylize: Callable[[np.ndarray], np.ndarray], picture: np.ndarray, border: int = BORDER
) -> dict[tuple[int, int], float]:
    """Per shift (dx, dy), dx 1..3 and dy 0..3: mean (crop G(shift x) - shift G(x))^2, colors 0..1.

    Args:
        stylize: G, picture to picture of the same size.
        picture: (H, W, 3) uint8; H and W at least 2 border + 16.
        border: pixels left out on every side.
    """
    height, width = picture.shape[0] - 3, picture.shape[1] - 3
    inner = (slice(border, height - border), slice(border, width - border))
    if height < 2 * border + 8 or width < 2 * border + 8:
        raise ValueError(f"a picture of {picture.shape[:2]} is too small for border {border}")
    # Crops from one larger picture, all of one size: no pixel is invented by a shift.
    home = to_float(stylize(np.ascontiguousarray(picture[:height, :width])))
    errors = {}
    for dx in (1, 2, 3):
        for dy in (0, 1, 2, 3):
            moved = picture[dy : dy + height, dx : dx + width]
            away = to_float(stylize(np.ascontiguousarray(moved)))
            back = away[border - dy : height - border - dy, border - dx : width - border - dx]
            errors[dx, dy] = float(np.square(back - home[inner], dtype=np.float64).mean())
    return errors


def shift_equivariance(
    stylize: Callable[[np.ndarray], np.ndarray], picture: np.ndarray, border: int = BORDER
) -> float:
    """Mean of `shift_errors` over the variance of G(x): 0 for a perfectly equivariant stylizer, 2
    for texture that has nothing to do with itself one pixel further. Needs no flow and no clip.

    Our own measure.
    """
    variance = float(to_float(stylize(picture)).reshape(-1, 3).var(axis=0).mean())
    mean = float(np.mean(list(shift_errors(stylize, picture, border).values())))
    return mean / variance if variance > 0 else float("nan")


PLUGIN = Metric(shift_equivariance, unit="1", better="lower", takes="stylizer")
