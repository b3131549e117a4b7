"""Frame: what a network paints along the border only because nothing lies beyond it."""

from collections.abc import Callable

import numpy as np

from . import Metric
from ._pictures import to_float

# Strip that is judged, and the replicated pixels that stand for "far from any border"
STRIP, MARGIN = 16, 64


def border_artifact(
    stylize: Callable[[np.ndarray], np.ndarray],
    picture: np.ndarray,
    wide: Callable[[np.ndarray], np.ndarray] | None = None,
) -> float:
    """Mean |G(x) - crop G(pad x)| over the outer `STRIP` pixels; colors 0..1.

    `pad` replicates the edge by `MARGIN` pixels, so that zero padding inside the network is out of
    reach. Unlike `border_difference` it asks nothing of the network about what lies beyond.

    Args:
        stylize: G, picture to picture of the same size.
        picture: (H, W, 3).
        wide: G with the statistics of the picture painted last, for the padded one: else those of
            instance normalization change with the padding, and all pixels with them (by .03 where
            the frame itself is .003).
    """
    if min(picture.shape[:2]) <= 2 * STRIP:
        raise ValueError(f"a picture of {picture.shape[:2]} is too small for a strip of {STRIP}")
    alone = to_float(stylize(picture))
    padded = np.pad(picture, ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")
    cut = slice(MARGIN, -MARGIN)
    far = to_float((wide or stylize)(padded))[cut, cut]
    ring = np.ones(alone.shape[:2], bool)
    ring[STRIP:-STRIP, STRIP:-STRIP] = False
    return float(np.abs(alone - far)[ring].mean(dtype=np.float64))


PLUGIN = Metric(border_artifact, unit="1", better="lower", takes="stylizer")
