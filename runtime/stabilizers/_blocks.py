"""From flow pixels to frame pixels: every flow pixel becomes a block."""

import cv2
import numpy as np


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
