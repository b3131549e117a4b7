"""Pairs that do not lie on one another: a student of such pairs learns a blur.

Edges are compared, which survive most effects, at every shift: where another one fits clearly
better than none, the pictures are displaced, and where none fits, they are not of one thing.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from runtime.frame import Image

# px of the longer side at which pairs are compared: a shift of a hundredth is one pixel.
SIDE = 128
# Largest shift looked for, as a share of the longer side.
FARTHEST = 0.25
# A shift counts from this many pixels of SIDE on: strokes of an effect are about as wide.
LEAST_SHIFT = 1.5
# By how much edges must correlate better there than where they are. Of 50 pairs of each of four
# effects (pencil, toon, color grade, a painting by a network) none gains .004; moved by 2 % of the
# longer side, all gain .069 and more.
LEAST_GAIN = 0.05
# Correlation from which edges are those of one thing: of other photos, the best fit reaches .45.
ALIKE = 0.5
# Edges that fit nowhere: of other photos, half correlate by less where they are, and most gain this
# at a shift that means nothing; the four effects have .55 and more.
LEAST_LIKENESS, MOST_GAIN = 0.1, 0.15


def displacement(before: Image, after: Image) -> tuple[float, float, float, float]:
    """How two pictures (H, W, 3) of one size lie on one another.

    Normalized cross-correlation of the smoothed gradients' magnitudes.

    Returns:
        (x, y): shift of `after` in px at which edges fit best; their correlation there; and the
        one where they are.
    """
    factor = SIDE / max(before.shape[:2])
    one, other = (_edges(image, factor) for image in (before, after))
    reach = round(FARTHEST * SIDE)
    spectrum = np.fft.rfft2(other) * np.conj(np.fft.rfft2(one))
    found = np.fft.irfft2(spectrum, one.shape) / max(
        float(np.linalg.norm(one) * np.linalg.norm(other)), 1e-9
    )
    rows, columns = (np.fft.fftfreq(n, 1 / n) for n in one.shape)
    near = (np.abs(rows)[:, None] <= reach) & (np.abs(columns) <= reach)
    best = np.unravel_index(np.argmax(np.where(near, found, -1)), found.shape)
    return (
        float(columns[best[1]] / factor),
        float(rows[best[0]] / factor),
        float(found[best]),
        float(found[0, 0]),
    )


def complaint(before: Image, after: Image) -> str:
    """What is wrong with how a pair lies, in a few words; nothing if it is in order."""
    x, y, best, here = displacement(before, after)
    scale = SIDE / max(before.shape[:2])
    moved = np.hypot(x, y) * scale >= LEAST_SHIFT
    if moved and best >= ALIKE and best - here >= LEAST_GAIN:
        sides = [f"{abs(x):.0f} px {'right' if x > 0 else 'left'}"] if round(x) else []
        sides += [f"{abs(y):.0f} px {'down' if y > 0 else 'up'}"] if round(y) else []
        return f"lies {', '.join(sides)} of its photo"
    if here < LEAST_LIKENESS or best - here >= MOST_GAIN:
        return "does not look like its photo"
    return ""


def displaced(pairs: Sequence[tuple[Image, Image]], names: Sequence[str]) -> dict[str, str]:
    """Name -> what is wrong, of the pairs that do not lie on one another."""
    found = {name: complaint(*pair) for name, pair in zip(names, pairs, strict=True)}
    return {name: why for name, why in found.items() if why}


def _edges(image: Image, factor: float) -> np.ndarray:
    """Gradients' magnitude, (h, w) float64, smoothed, without its mean."""
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(gray, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    across, along = (cv2.Sobel(small, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    edges = cv2.GaussianBlur(np.hypot(across, along), (0, 0), 1.0).astype(np.float64)
    # Edges of the frame are no edges of the picture.
    window = np.outer(np.hanning(edges.shape[0] + 2)[1:-1], np.hanning(edges.shape[1] + 2)[1:-1])
    return (edges - edges.mean()) * window
