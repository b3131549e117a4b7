"""A made-up photo for probing models, and measures of how a model answered it."""

import cv2
import numpy as np


def probe_picture(height: int, width: int, seed: int = 4) -> np.ndarray:
    """A picture with a sky, a ground, blobs of all colors and fine texture.

    Returns:
        (H, W, 3) float32 RGB in 0..1, using the whole range.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(max(height, width))
    image = np.dstack([0.7 - 0.4 * y, 0.6 - 0.1 * x, 0.3 + 0.5 * y]).astype(np.float32)
    for _ in range(24):
        center_y, center_x, radius = rng.random(), rng.random(), 0.04 + 0.12 * rng.random()
        inside = (y - center_y) ** 2 + (x - center_x) ** 2 < radius**2
        image[inside] = rng.random(3)
    image += 0.05 * rng.standard_normal(image.shape).astype(np.float32)
    low, high = image.min(), image.max()
    return np.clip((image - low) / max(float(high - low), 1e-6), 0.0, 1.0).astype(np.float32)


# Share of a range that a picture spreads over at least. Drawings on paper have .44; from there on
# contrast says nothing: that of an answer to values far too large is the highest of all.
SPREAD = 0.5
# Share of a picture's values at the two ends of its range, about which nobody wonders.
AT_ENDS = 0.2
# How far the outermost values of a network that does not clip reach beyond its range, as a share.
OVERSHOOT = 0.1


def fills(values: np.ndarray, low: float, high: float) -> float:
    """How well values fill a range: about 1 if they spread over it, 0 if they are all alike in
    it or stick to its ends, negative if many lie outside."""
    if not np.isfinite(values).all():
        return -1.0
    unit = (values - low) / (high - low)
    outside = float(np.mean(np.maximum(0.0, -unit) + np.maximum(0.0, unit - 1.0)))
    bottom, top = np.percentile(np.clip(unit, 0.0, 1.0), (2, 98))
    lowest, highest = np.percentile(unit, (0.5, 99.5))
    tails = max(0.0, -lowest - OVERSHOOT) + max(0.0, highest - 1.0 - OVERSHOOT)
    # Half a level of a byte counts as the end itself.
    at_ends = float(np.mean((unit <= 0.002) | (unit >= 0.998)))
    spread = min(top - bottom, SPREAD) / SPREAD
    return float(spread - 5.0 * outside - 2.0 * tails - max(0.0, at_ends - AT_ENDS))


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation (0..1) of where two float pictures have edges: strong for a photo and its
    painting, inverted or not."""
    if one.shape != other.shape:
        other = cv2.resize(other, (one.shape[1], one.shape[0]), interpolation=cv2.INTER_AREA)
    grays: list[np.ndarray] = [picture.mean(axis=2) for picture in (one, other)]
    edges = [
        np.abs(cv2.Laplacian(cv2.GaussianBlur(gray, (0, 0), 2.0), cv2.CV_32F)).ravel()
        for gray in grays
    ]
    if min(float(edge.std()) for edge in edges) < 1e-9:
        return 0.0
    return max(0.0, float(np.corrcoef(edges[0], edges[1])[0, 1]))


def channel_match(view: np.ndarray, painted: np.ndarray) -> float:
    """Positive if red answers red and blue blue, negative if they are exchanged.

    Compared are correlations of the color differences to green, whose sign the style may turn.
    """
    if painted.shape != view.shape:
        painted = cv2.resize(painted, (view.shape[1], view.shape[0]), interpolation=cv2.INTER_AREA)
    before = [(view[:, :, c] - view[:, :, 1]).ravel() for c in (0, 2)]
    after = [(painted[:, :, c] - painted[:, :, 1]).ravel() for c in (0, 2)]
    if min(float(values.std()) for values in (*before, *after)) < 1e-6:
        return 0.0

    def related(one: np.ndarray, other: np.ndarray) -> float:
        return abs(float(np.corrcoef(one, other)[0, 1]))

    same = related(before[0], after[0]) + related(before[1], after[1])
    crossed = related(before[0], after[1]) + related(before[1], after[0])
    # Styles mix colors: only a clear exchange counts.
    return -1.0 if crossed > 2.0 * same + 0.2 else same
