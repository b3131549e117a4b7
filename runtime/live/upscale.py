"""A small painted picture, shown large: enlarged, with the camera's edges put back.

    shown = cubic(P) + up(a) * (Y - up(y))          a = cov(y, p) / (var(y) + EPSILON), in 0..MOST

P is the painted picture, p its luma, y the luma of the picture it was painted from, at that size,
and Y the camera's luma at full size; `up` enlarges linearly, means are taken over windows. What the
camera shows beyond the small picture is added where, and by as much as, the painting follows the
camera there: edges become sharp again, flat and freely painted places stay as they are.

The factor is that of the guided filter (He, Sun 2015, arXiv:1505.00996), whose smooth part would
wash the strokes out; only its detail is used here. Against painting at full size, LPIPS with
SqueezeNet on two photos at 640x480, painted by starry at 192x144: .494 (linear .517, cubic .512),
at 341x256: .361 (.373, .365).
"""

import cv2
import numpy as np

from ..frame import Image

# Half of a window's side in pixels of the small picture, and how much variance (squared levels)
# counts as none: the best of 3 and 6, and of 100, 400 and 1600, by the figures above.
RADIUS, EPSILON = 6, 200.0
# A painting may have more contrast than its photo; beyond this it would be noise made large.
MOST = 1.5


def upscale(painted: Image, camera: Image) -> Image:
    """`painted` at the size of `camera`.

    Args:
        painted: (h, w, 3) uint8 RGB.
        camera: (H, W, 3) uint8 RGB, what was painted, before it was made small.

    Returns:
        (H, W, 3) uint8 RGB, a new picture.
    """
    (height, width), (low, narrow) = camera.shape[:2], painted.shape[:2]
    large = cv2.resize(painted, (width, height), interpolation=cv2.INTER_CUBIC)
    if height <= low or width <= narrow:
        return large
    full = cv2.cvtColor(camera, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(full, (narrow, low), interpolation=cv2.INTER_AREA)
    gain = _gain(small, cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY))
    beyond = cv2.subtract(full, cv2.resize(small, (width, height)), dtype=cv2.CV_32F)
    added = cv2.multiply(beyond, cv2.resize(gain, (width, height)), dst=beyond)
    detail = np.rint(added, out=added).astype(np.int16)
    return cv2.add(large, cv2.merge([detail, detail, detail]), dtype=cv2.CV_8U)


def _gain(guide: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """How the painting follows its guide, (h, w) float32 in 0..MOST; both (h, w) uint8."""
    y, p = guide.astype(np.float32), painted.astype(np.float32)
    window = (2 * RADIUS + 1, 2 * RADIUS + 1)
    mean_y, mean_p = cv2.blur(y, window), cv2.blur(p, window)
    covariance = cv2.blur(y * p, window) - mean_y * mean_p
    variance = cv2.blur(y * y, window) - mean_y * mean_y
    return np.clip(covariance / (variance + EPSILON), 0.0, MOST)
