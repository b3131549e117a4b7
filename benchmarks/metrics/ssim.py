"""Structural similarity of two pictures."""

import cv2
import numpy as np

from . import Metric
from ._pictures import luminance

# Constants of the paper: 11x11 Gaussian of sigma 1.5, K1 = 0.01, K2 = 0.03, range 1.
WINDOW, SIGMA, C1, C2 = 11, 1.5, 0.01**2, 0.03**2


def ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """SSIM of every pixel's neighborhood, on luminance: (H, W) float32, -1..1."""
    x, y = luminance(a), luminance(b)

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(picture, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT101)

    mx, my = mean(x), mean(y)
    vx, vy = mean(x * x) - mx * mx, mean(y * y) - my * my
    cov = mean(x * y) - mx * my
    return ((2 * mx * my + C1) * (2 * cov + C2)) / ((mx * mx + my * my + C1) * (vx + vy + C2))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean of `ssim_map` over the whole picture (borders mirrored; the paper crops them).

    Two constants p and q give (2 p q + C1) / (p^2 + q^2 + C1).

    Reference:
        Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004.
    """
    return float(ssim_map(a, b).mean(dtype=np.float64))


PLUGIN = Metric(ssim, unit="1", better="higher", takes="pair")
