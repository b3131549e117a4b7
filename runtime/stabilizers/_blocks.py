"""From flow pixels to frame pixels: every flow pixel becomes a block."""

import cv2
import numpy as np

NEIGHBORS = np.ones((3, 3), np.uint8)


def spread(small: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The nearest-neighbor enlargement of `small` (h, w) or (h, w, C) to `size` (height, width).

    Rows are enlarged by OpenCV and then copied, where the factor is whole: a third of the time that
    cv2.resize takes for both.
    """
    height, width = size
    h, w = small.shape[:2]
    if (h, w) == size:
        return small
    if height % h:
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    wide = small if w == width else cv2.resize(small, (width, h), interpolation=cv2.INTER_NEAREST)
    result = np.empty((h, height // h, *wide.shape[1:]), small.dtype)
    result[:] = wide[:, None]
    return result.reshape(height, *wide.shape[1:])


def shrink(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The area average of `picture` at `size` (height, width).

    By halves as far as possible: OpenCV's loop for exactly two is several times as fast as the one
    for any other factor.
    """
    height, width = picture.shape[:2]
    if (height, width) == size:
        return picture.copy()
    while height % 2 == width % 2 == 0 and height >= 2 * size[0] and width >= 2 * size[1]:
        height, width = height // 2, width // 2
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    if (height, width) == size:
        return picture
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)


def mix(below: np.ndarray, above: np.ndarray, weight: np.ndarray) -> None:
    """Mix a share of one picture into another, in place and with soft edges.

    Args:
        below, above: (H, W, 3) uint8; `below` is written to, where `weight` is not 0.
        weight: (h, w) float32, share of `above` per flow pixel, 0..1; interpolated.
    """
    size = below.shape[:2]
    some = cv2.compare(weight, 0, cv2.CMP_GT)
    if not cv2.countNonZero(some):
        return
    # What is all new is copied: the mean of neighbors is taken at its edge alone.
    whole = cv2.erode(cv2.compare(weight, 1, cv2.CMP_GE), NEIGHBORS)
    cv2.copyTo(above, spread(whole, size), below)
    pixels = np.flatnonzero(spread(some & ~whole, size))
    share = cv2.resize(weight, size[::-1]).reshape(-1)[pixels][:, None]
    flat = below.reshape(-1, 3)
    own = flat[pixels].astype(np.float32)
    flat[pixels] = own + share * (above.reshape(-1, 3)[pixels] - own) + np.float32(0.5)
