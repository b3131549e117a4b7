"""Conversions and warping shared by the metrics."""

from functools import lru_cache

import cv2
import numpy as np


def to_float(picture: np.ndarray) -> np.ndarray:
    """Float32 in 0..1 from bytes; floats are passed on."""
    if picture.dtype == np.uint8:
        return picture.astype(np.float32) * np.float32(1 / 255)
    return picture.astype(np.float32, copy=False)


def luminance(picture: np.ndarray) -> np.ndarray:
    """0.2126 R + 0.7152 G + 0.0722 B (Rec. 709): (H, W) float32 in 0..1."""
    return to_float(picture) @ np.array([0.2126, 0.7152, 0.0722], np.float32)


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.dstack([x, y])


def warp(picture: np.ndarray, flow: np.ndarray, linear: bool = False) -> np.ndarray:
    """Sample `picture` at p + flow(p).

    Cubic (Keys, a = -0.75, OpenCV's) unless `linear`: on sharp painted texture the error of a
    linear sampler is larger than the flicker to be measured.
    """
    how = cv2.INTER_LINEAR if linear else cv2.INTER_CUBIC
    where = _grid(*flow.shape[:2]) + flow.astype(np.float32)
    return cv2.remap(to_float(picture), where, None, how, borderMode=cv2.BORDER_REFLECT101)


def masked_mse(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> float:
    """Return sum M (a - b)^2 / (3 sum M); NaN when the mask is empty."""
    if not mask.any():
        return float("nan")
    return float(np.square(a - b, dtype=np.float64)[mask].mean())
