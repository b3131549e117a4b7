"""Border difference: does the network paint a frame around the picture?"""

from collections.abc import Callable

import numpy as np

from . import Metric
from ._pictures import to_float

# Outer strip that is judged, and the real picture content given around it.
STRIP, MARGIN = 16, 64


def border_difference(
    stylize: Callable[[np.ndarray], np.ndarray],
    picture: np.ndarray,
    strip: int = STRIP,
    margin: int = MARGIN,
) -> float:
    """Mean |G(crop x) - crop G(x)| over the outer `strip` pixels of the crop; colors 0..1.

    The crop leaves `margin` real pixels on every side, so G(x) knows what lies beyond the border
    and G(crop x) has to invent it.
    """
    if min(picture.shape[:2]) <= 2 * (margin + strip):
        raise ValueError(f"a picture of {picture.shape[:2]} is too small for margin {margin}")
    cut = (slice(margin, -margin), slice(margin, -margin))
    whole = to_float(stylize(picture))[cut]
    alone = to_float(stylize(np.ascontiguousarray(picture[cut])))
    ring = np.ones(alone.shape[:2], bool)
    ring[strip:-strip, strip:-strip] = False
    return float(np.abs(alone - whole)[ring].mean(dtype=np.float64))


PLUGIN = Metric(border_difference, unit="1", better="lower", takes="stylizer")
