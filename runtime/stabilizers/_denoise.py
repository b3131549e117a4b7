"""Temporal denoising of the input: style networks amplify sensor noise into flickering strokes.

Still areas are averaged with the past; moving ones are averaged along the flow rounded to whole
pixels (no interpolation, so nothing is blurred) and only where that still predicts the frame.
"""

import cv2
import numpy as np

from ..frame import Image
from . import _flow

# Weight of the past: noise falls to sqrt((1 - a) / (1 + a)) = 1/3.
PAST = 0.8
# Residual (0..255, 5x5 mean at flow resolution) up to which the past may be averaged in: noise of
# 3/255 leaves about 2 here.
LIMIT = 5


class Denoiser:
    """Keeps the last denoised frame."""

    def __init__(self):
        self._last: Image | None = None

    def start(self, image: Image, gray: np.ndarray) -> Image:
        """Take the first frame of a shot as it is."""
        self._last, self._gray = image, gray
        return image

    def step(self, image: Image, flow: np.ndarray, gray: np.ndarray, scale: np.ndarray) -> Image:
        """Average `image` with the past where the past predicts it.

        Args:
            image: (H, W, 3) uint8.
            flow: (h, w, 2) float32 from this frame to the last, in flow pixels.
            gray: (h, w) uint8, this frame at flow resolution.
            scale: frame pixels per flow pixel, (x, y).
        """
        assert self._last is not None
        height, width = image.shape[:2]
        whole = np.rint(flow * scale)
        past = self._last
        predicted = self._gray
        if whole.any():
            h, w = gray.shape
            predicted = cv2.remap(
                self._gray,
                _flow.grid(h, w) + whole / scale,
                None,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            jump = cv2.resize(whole, (width, height), interpolation=cv2.INTER_NEAREST)
            jump += _flow.grid(height, width)
            past = cv2.remap(past, jump, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        known = (_flow.residual(gray, predicted) <= LIMIT).astype(np.uint8)
        known = cv2.resize(known, (width, height), interpolation=cv2.INTER_NEAREST)
        clean = cv2.copyTo(cv2.addWeighted(image, 1 - PAST, past, PAST, 0), known, image.copy())
        self._last, self._gray = clean, gray
        return clean
