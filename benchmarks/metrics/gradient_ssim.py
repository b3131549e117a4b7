"""Gradient SSIM: are edges where they were? Colors and contrast as a whole may change."""

import cv2
import numpy as np

from . import Metric
from ._pictures import to_float
from .ssim import C1, C2, SIGMA, WINDOW

# Of Sobel's operator, whose weights then give the difference of neighbors two pixels apart, halved.
SCALE = 1 / 8


def gradients(picture: np.ndarray) -> np.ndarray:
    """Length of the gradient of all three colors: (H, W) float32.

    sqrt of the sum over colors of (d/dx)^2 + (d/dy)^2, of values in 0..1: edges between colors of
    one lightness count as well.
    """
    values = to_float(picture)
    across = cv2.Sobel(values, cv2.CV_32F, 1, 0, scale=SCALE)
    down = cv2.Sobel(values, cv2.CV_32F, 0, 1, scale=SCALE)
    return np.sqrt((across**2 + down**2).sum(2))


def gradient_ssim(picture: np.ndarray, photo: np.ndarray) -> float:
    """SSIM of both pictures' gradients, the picture's scaled to the photo's energy; -1..1.

    1 for the photo with other contrast; 0 where the picture is flat and the photo is busy.
    """
    ours, theirs = gradients(picture), gradients(photo)
    energy = float(np.square(ours).mean())
    ours = ours * np.sqrt(float(np.square(theirs).mean()) / energy) if energy else ours

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT101)

    m, n = mean(ours), mean(theirs)
    v, w = mean(ours * ours) - m * m, mean(theirs * theirs) - n * n
    both = mean(ours * theirs) - m * n
    found = ((2 * m * n + C1) * (2 * both + C2)) / ((m * m + n * n + C1) * (v + w + C2))
    return float(found.mean(dtype=np.float64))


PLUGIN = Metric(gradient_ssim, unit="1", better="higher", takes="pair")
