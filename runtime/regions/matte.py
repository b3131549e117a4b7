"""A mask that fits the picture and keeps still: smoothed over time, with the picture's own edges.

    over time:   m_t = n_t + CALM u(n_t) (m_{t-1} - n_t),   u(n) = 4 n (1 - n)
    at full size: mask = up(mean a) Y + up(mean b),   a = cov(y, m) / (var(y) + EPSILON),
                  b = mean(m) - a mean(y)

n is the network's answer, which is sure of itself (0 or 1) inside and outside and hesitates along
edges; only there does the mask follow the last one, so that a moving hand leaves no trail. y is the
picture's luma at the network's size and Y at full size: the fast guided filter (He, Sun 2015,
arXiv:1505.00996), whose mask ends where the picture has an edge, and in strands where it has hair.
"""

from typing import Protocol

import cv2
import numpy as np

from ..frame import Image
from ..state import State, keep, put_back

# Share of the last mask where the network knows nothing (1/2). MediaPipe's own smoothing, weighted
# by uncertainty as well, has .7 (segmentation_smoothing_calculator). Of 0, .5, .7 and .9, on three
# clips of people near a camera: the second difference in time falls by 18 to 48 % with .7, and 2 to
# 6 of a thousand places are late to change sides; .9 calms little more and is later.
CALM = 0.7
# Half a window's side, in places of the network's answer, and the variance (of luma in 0..1) that
# counts as none: chosen by eye among 2, 4, 8 and 1e-4, 1e-3, 1e-2 on clips of a webcam.
RADIUS, EPSILON = 4, 1e-3


class Masks(Protocol):
    """What says where people are: a `Segmenter`."""

    def mask(self, image: Image) -> np.ndarray:
        """(h, w) float32 in 0..1."""
        ...


class Matte:
    """Masks of one picture after another.

    Args:
        masks: says where people are.
        calm: smooth over time; False for pictures that have nothing to do with each other.
    """

    def __init__(self, masks: Masks, *, calm: bool = True) -> None:
        self._masks, self._calm = masks, calm
        self._last: np.ndarray | None = None

    def of(self, image: Image) -> np.ndarray:
        """The mask of the next picture.

        Args:
            image: (H, W, 3) uint8 RGB.

        Returns:
            (H, W) float32 in 0..1, 1 for people.
        """
        mask = self._masks.mask(image)
        if self._calm and self._last is not None and self._last.shape == mask.shape:
            mask = settle(mask, self._last)
        self._last = mask
        return refine(mask, image)

    def reset(self) -> None:
        """Forget the past (a cut)."""
        self._last = None

    def state(self) -> State:
        """What is remembered between two pictures."""
        return keep(self, "_last")

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        put_back(self, state, "_last")


def settle(mask: np.ndarray, last: np.ndarray) -> np.ndarray:
    """`mask`, nearer to `last` where it hesitates; (h, w) float32 in 0..1 all."""
    return mask + (4.0 * CALM) * mask * (1.0 - mask) * (last - mask)


def refine(mask: np.ndarray, image: Image) -> np.ndarray:
    """`mask` (h, w) at the size of `image` (H, W, 3), with its edges; (H, W) float32 in 0..1."""
    (height, width), (low, narrow) = image.shape[:2], mask.shape
    full = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    full *= 1.0 / 255.0
    y = cv2.resize(full, (narrow, low), interpolation=cv2.INTER_AREA)
    window = (2 * RADIUS + 1, 2 * RADIUS + 1)
    mean_y, mean_m = cv2.blur(y, window), cv2.blur(mask, window)
    covariance = cv2.blur(y * mask, window) - mean_y * mean_m
    slope = covariance / (cv2.blur(y * y, window) - mean_y * mean_y + EPSILON)
    level = cv2.blur(mean_m - slope * mean_y, window)
    fine = cv2.multiply(full, cv2.resize(cv2.blur(slope, window), (width, height)), dst=full)
    fine = cv2.add(fine, cv2.resize(level, (width, height)), dst=fine)
    return np.clip(fine, 0.0, 1.0, out=fine)


def mix(inside: Image, outside: Image, mask: np.ndarray) -> Image:
    """`inside` where the mask is 1, `outside` where it is 0, between them both.

    Args:
        inside, outside: (H, W, 3) uint8.
        mask: (H, W) float32 in 0..1.
    """
    return cv2.blendLinear(inside, outside, mask, 1.0 - mask)
