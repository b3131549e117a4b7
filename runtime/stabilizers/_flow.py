"""Motion between small gray pictures, and how far it can be trusted.

Convention: a flow F from picture a to picture b says that pixel p of a is found at p + F(p) in b,
in pixels, x first; sampling b there (backward warping) redraws a.
"""

import cv2
import numpy as np

from ..frame import Image

# Longest side of the picture on which motion is estimated: 320x180 for 16:9. At half the resolution
# of a 640x360 frame DIS loses about 0.2 px of accuracy and is four times cheaper.
FLOW_WIDTH, FLOW_HEIGHT = 320, 240
# DIS works on 8x8 patches over a pyramid; below this side it has no room.
MIN_SIDE = 32
# ... and so has its coarsest scale.
LEAST_SEARCH = 16
# Residual (0..255) from which on a point is not the one that was painted. Chosen on photo pans with
# sensor noise of 3, which leaves a residual of about 2 at flow resolution. A hard gate: a pixel
# that is blended only a little loses its sharpness and gains nothing.
GATE = 20
# Mean HSV difference (0..255) above which two frames do not belong to one shot; PySceneDetect's
# ContentDetector uses 27 by default and is best near 31 on its own benchmark.
CUT_HSV = 30.0


def check_strength(strength: float) -> float:
    """Return `strength`, or raise ValueError when it is not within 0..1."""
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"stability is {strength}, allowed is 0 (off) to 1 (calmest)")
    return float(strength)


def flow_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) at which motion of a (height, width) frame is estimated."""
    factor = min(1.0, FLOW_WIDTH / max(height, width), FLOW_HEIGHT / min(height, width))
    return max(MIN_SIDE, round(height * factor)), max(MIN_SIDE, round(width * factor))


def to_gray(image: Image) -> np.ndarray:
    """Luma of an RGB picture: (h, w) uint8."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def grid(height: int, width: int) -> np.ndarray:
    """(height, width, 2) float32: every pixel's own (x, y)."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack([x, y])


def open_dis(preset: str = "fast") -> cv2.DISOpticalFlow:
    """OpenCV's dense inverse search; `preset` is "ultrafast", "fast" or "medium"."""
    presets = {
        "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
        "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
        "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
    }
    return cv2.DISOpticalFlow_create(presets[preset])


def residual(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """5x5 mean of |a - b|, the largest of the colors if there are several: (h, w) uint8."""
    error = cv2.blur(cv2.absdiff(a, b), (5, 5))
    if error.ndim == 2:
        return error
    red, green, blue = cv2.split(error)
    return cv2.max(cv2.max(red, green), blue)


def hsv_difference(a: Image, b: Image) -> float:
    """Mean absolute difference of hue (0..179), saturation and value of two small RGB pictures."""
    h, s, v, _ = cv2.mean(
        cv2.absdiff(cv2.cvtColor(a, cv2.COLOR_RGB2HSV), cv2.cvtColor(b, cv2.COLOR_RGB2HSV))
    )
    return (h + s + v) / 3.0


# Pictures whose means differ by less than this share are taken to be lit alike, unseen.
EVEN = 0.003


def brightness_gain(reference: np.ndarray, current: np.ndarray) -> float:
    """Factor by which the camera or the light brightened everything: median of current/reference.

    Over cells of 8x8 pixels that are not near black (> 16); a median, so an object that covers less
    than half of the picture does not move it. Limited to 1/2..2; 1 below 1 % (noise).
    """
    before, after = cv2.mean(reference)[0], cv2.mean(current)[0]
    if abs(after - before) < EVEN * before:
        return 1.0
    size = (max(1, reference.shape[1] // 8), max(1, reference.shape[0] // 8))
    a, b = (cv2.resize(gray, size, interpolation=cv2.INTER_AREA) for gray in (reference, current))
    lit = cv2.inRange(cv2.merge([a, b]), (17, 5), (249, 249))
    if cv2.countNonZero(lit) < 16:
        return 1.0
    ratio = cv2.divide(b, a, dtype=cv2.CV_32F)[lit > 0]
    gain = float(np.clip(np.partition(ratio, ratio.size // 2)[ratio.size // 2], 0.5, 2.0))
    return gain if abs(gain - 1.0) > 0.01 else 1.0
