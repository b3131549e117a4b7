"""Temporal denoising of the input: style networks amplify sensor noise into flickering strokes.

The past is moved along the camera's motion by whole pixels (no interpolation, so nothing is
blurred) and averaged in where it still predicts the frame: everywhere on a still camera, in the
calm areas of a moving one, where noise is what the network sees.
"""

import cv2
import numpy as np

from ..frame import Image
from ..state import State, keep, put_back
from . import _flow
from ._blocks import shrink, spread

# Weight of the past: noise falls to sqrt((1 - a) / (1 + a)) = 1/3.
PAST = 0.8
# Residual (0..255, 5x5 mean at flow resolution) up to which the past may be averaged in: noise of
# 3/255 leaves about 3 here, the largest of three colors.
LIMIT = 5
# The past is brightened with the light when that changed by more than this; less would only round.
LEAST_GAIN = 0.002


class Denoiser:
    """Keeps the last denoised frame, full size and at flow resolution."""

    def __init__(self):
        self._last: Image | None = None
        self._last_small: Image | None = None

    def state(self) -> State:
        """All that it remembers."""
        return keep(self, "_last", "_last_small")

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        put_back(self, state, "_last", "_last_small")

    def start(self, image: Image, small: Image) -> Image:
        """Take the first frame of a shot as it is."""
        # A copy: a live source may write its next frame into the same buffer.
        self._last, self._last_small = image.copy(), small
        return image

    def step(self, image: Image, small: Image, flow: np.ndarray, scale: np.ndarray) -> Image:
        """Average `image` with the past where the past predicts it.

        Args:
            image: (H, W, 3) uint8.
            small: the same at flow resolution, (h, w, 3).
            flow: (h, w, 2) float32 from this frame to the last, in flow pixels.
            scale: frame pixels per flow pixel, (x, y).
        """
        if self._last is None or self._last_small is None:
            return self.start(image, small)
        some = flow[::8, ::8].reshape(-1, 2)
        shift = np.partition(some, len(some) // 2, axis=0)[len(some) // 2]
        whole = np.rint(shift * scale)
        past = _shifted(self._last, int(whole[0]), int(whole[1]))
        away = whole / scale
        if (away == np.rint(away)).all():
            predicted = _shifted(self._last_small, int(away[0]), int(away[1]))
        else:
            predicted = cv2.warpAffine(
                self._last_small,
                np.array([[1, 0, away[0]], [0, 1, away[1]]], np.float32),
                small.shape[1::-1],
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
        known = cv2.compare(_flow.residual(small, predicted), LIMIT, cv2.CMP_LE)
        gain = sum(cv2.mean(small, known)) / max(1.0, sum(cv2.mean(predicted, known)))
        if abs(gain - 1) > LEAST_GAIN:
            past = cv2.convertScaleAbs(past, alpha=gain)
        clean = cv2.addWeighted(image, 1 - PAST, past, PAST, 0)
        clean = cv2.copyTo(image, spread(~known, image.shape[:2]), clean)
        small = shrink(clean, small.shape[:2])
        self._last, self._last_small = clean, small
        return clean


def _shifted(picture: Image, dx: int, dy: int) -> Image:
    """`picture` read at p + (dx, dy), its own border pixels outside."""
    if dx == 0 and dy == 0:
        return picture
    height, width = picture.shape[:2]
    rows, columns = min(abs(dy), height - 1), min(abs(dx), width - 1)
    body = picture[
        rows if dy > 0 else 0 : height - (rows if dy < 0 else 0),
        columns if dx > 0 else 0 : width - (columns if dx < 0 else 0),
    ]
    return cv2.copyMakeBorder(
        body,
        rows if dy < 0 else 0,
        rows if dy > 0 else 0,
        columns if dx < 0 else 0,
        columns if dx > 0 else 0,
        cv2.BORDER_REPLICATE,
    )
