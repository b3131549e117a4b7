"""Color histogram distance: do two pictures use the same colors as often, wherever they are?"""

import numpy as np

from . import Metric
from ._pictures import to_float

BINS = 12  # per channel: colors nearer than 1/11 of the range share bins, brush noise stays within


def color_histogram(picture: np.ndarray) -> np.ndarray:
    """Shares of the pixels in BINS^3 colors, which add up to 1: (BINS, BINS, BINS) float64.

    Every pixel is divided among the eight nearest bins in proportion (trilinear): a color on a
    bin's edge does not jump.
    """
    colors = to_float(picture).reshape(-1, 3).clip(0, 1).astype(np.float64) * (BINS - 1)
    low = np.minimum(colors.astype(int), BINS - 2)
    share = colors - low
    found = np.zeros(BINS**3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, share, 1 - share).prod(1)
        at = (low + corner) @ np.array([BINS * BINS, BINS, 1])
        found += np.bincount(at, weight, BINS**3)
    return (found / len(colors)).reshape(BINS, BINS, BINS)


def histogram_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Hellinger distance of the color histograms, 0 (same colors) to 1 (none in common).

        H = sqrt(1 - sum_c sqrt(p_c q_c))

    The pictures may differ in size. Reordered pixels change nothing.

    Reference:
        As HistoGAN measures it (Afifi, Brubaker, Brown, CVPR 2021, arXiv:2011.11731, eq. 4), on RGB
        itself instead of its log-chroma histogram, so that brightness counts.
    """
    overlap = np.sqrt(color_histogram(a) * color_histogram(b)).sum()
    return float(np.sqrt(max(0.0, 1.0 - overlap)))


PLUGIN = Metric(histogram_distance, unit="1", better="lower", takes="pair")
