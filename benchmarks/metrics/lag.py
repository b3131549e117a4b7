"""Lag: by how many frames the output's edges trail the input's."""

from collections.abc import Sequence

import cv2
import numpy as np

from . import Metric
from ._pictures import luminance

# Lags that are tried, in frames; a frozen output has no best one and gets the largest.
LAGS = (-2, -1, 0, 1, 2, 3)
# Correlation of the source's edges with themselves so many frames apart above which the two cannot
# be told apart through a painting: at 0.5 px per frame it is 0.97 and more, at 2 px 0.8 and less.
DISTINCT = 0.85


def _edges(picture: np.ndarray) -> np.ndarray:
    """Gradient magnitude at the scale of shapes (sigma 1.5), not of brush texture; zero mean."""
    gray = cv2.GaussianBlur(luminance(picture), (0, 0), 1.5)
    magnitude = np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1))
    inner = magnitude[4:-4, 4:-4]
    return inner - inner.mean()


def _likeness(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean correlation of zero-mean pictures."""
    return float(
        np.mean(
            [(a * b).sum() / max(1e-12, np.sqrt((a * a).sum() * (b * b).sum())) for a, b in pairs]
        )
    )


def lag(outputs: Sequence[np.ndarray], source: Sequence[np.ndarray]) -> float:
    """The lag L in LAGS with the largest mean correlation of edges(O_t) with edges(I_t-L).

    Only meaningful on moving clips of more than 6 frames; 0 is in step. Every lag is judged on the
    same output frames. Lags over which the source itself hardly moves (DISTINCT) are not tried: the
    answer would be chance. NaN where none is left.
    """
    ours, theirs = [_edges(o) for o in outputs], [_edges(s) for s in source]
    first, last = max(LAGS), len(ours) + min(LAGS)
    if last <= first:
        raise ValueError(f"{len(ours)} frames are too few, {first - min(LAGS) + 1} are needed")

    def apart(shift: int) -> bool:
        pairs = [(theirs[t], theirs[t - shift]) for t in range(first, last)]
        return _likeness(pairs) < DISTINCT

    lags = [shift for shift in LAGS if not shift or apart(shift)]
    if lags == [0]:
        return float("nan")
    return float(
        max(
            lags,
            key=lambda shift: _likeness([(ours[t], theirs[t - shift]) for t in range(first, last)]),
        )
    )


PLUGIN = Metric(lag, unit="frames", better="lower", takes="sequences")
