"""A small step of pointers toward what they should show: Lucas and Kanade, IJCAI 1981."""

import cv2
import numpy as np

# Window of the fit, in flow pixels.
WINDOW = (15, 15)
# Added to the mean squared slope (0..255 per pixel, squared) of a window: sensor noise of 3 has
# about 3 of it, and where there is no more than noise nothing is to be fitted.
LEAST_SLOPE = 10.0
# Longest step, in flow pixels: a larger departure is none that slopes tell.
LONGEST = 0.5
# Share of the step that is taken: noise averages out over 1 / RATE frames.
RATE = 0.3


def closer(gray: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """By how much further to look, (h, w, 2) float32, where `drawn` should show `gray`.

    Args:
        gray: a picture, (h, w) uint8; drawn: what pointers from it show of another one.
    """
    dx = cv2.Sobel(gray, cv2.CV_32F, 1, 0, scale=0.125)
    dy = cv2.Sobel(gray, cv2.CV_32F, 0, 1, scale=0.125)
    rest = cv2.subtract(gray, drawn, dtype=cv2.CV_32F)
    ridge = (LEAST_SLOPE, 0, 0, 0)
    xx, yy = cv2.add(_mean(dx, dx), ridge), cv2.add(_mean(dy, dy), ridge)
    xy, x, y = _mean(dx, dy), _mean(dx, rest), _mean(dy, rest)
    scale = cv2.divide(RATE, cv2.subtract(cv2.multiply(xx, yy), cv2.multiply(xy, xy)))
    step = cv2.merge(
        [
            cv2.multiply(cv2.subtract(cv2.multiply(yy, x), cv2.multiply(xy, y)), scale),
            cv2.multiply(cv2.subtract(cv2.multiply(xx, y), cv2.multiply(xy, x)), scale),
        ]
    )
    return np.clip(step, -LONGEST, LONGEST, out=step)


def _mean(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return cv2.blur(cv2.multiply(a, b), WINDOW)
