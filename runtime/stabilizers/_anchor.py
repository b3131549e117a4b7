"""Low frequencies follow the network, slowly; fine texture stays where the scene carries it.

Carried strokes keep the color of the moment they were painted. The anchor compares what is shown
with what the network paints now, both averaged over about 8 pixels, and moves the difference in
over some frames: light that changes is followed, and nothing darkens or drifts over minutes.
"""

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._blocks import shrink

# Side of the cells, in pixels, over which colors are averaged (then a 3x3 binomial blur: sigma ~8).
CELL = 8
# Every so many frames the difference is looked at.
EVERY = 2
# Share of the difference taken over then: half of it within 7 frames. Averages the network's own
# brightness flicker down to about a quarter.
RATE = 0.19
# The same for the mean of the whole picture, where flicker has averaged out already.
RATE_ALL = 0.75
# Differences below this would round to 0 (0..255).
LEAST = 0.5


class Anchor:
    """Keeps the slow difference between painted now and painted then: a small (h, w, 3) picture."""

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget the difference."""
        self._difference: np.ndarray | None = None
        self._grid = np.zeros((0, 0, 2), np.float32)
        self._count = 0

    def follow(self, flow: np.ndarray) -> None:
        """Move the difference along `flow` (h, w, 2), in flow pixels, to the new frame."""
        if self._difference is None:
            return
        h, w = self._difference.shape[:2]
        small = cv2.resize(flow, (w, h), interpolation=cv2.INTER_LINEAR)
        small = cv2.multiply(small, (w / flow.shape[1], h / flow.shape[0], 0, 0))
        small = cv2.add(small, self._grid)
        self._difference = cv2.remap(
            self._difference, small, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )

    def learn(self, styled: Image, propagated: Image) -> None:
        """Learn from every EVERY-th frame.

        Args:
            styled: what the network paints now, (H, W, 3) uint8.
            propagated: what memory draws, (H, W, 3) uint8.
        """
        self._count += 1
        if self._count % EVERY:
            return
        gap = coarse_gap(styled, propagated)
        if self._difference is None:
            self._difference, self._grid = np.zeros_like(gap), _flow.grid(*gap.shape[:2])
        change = cv2.subtract(gap, self._difference)
        mean = cv2.mean(change)
        self._difference = cv2.scaleAdd(change, RATE, self._difference)
        whole = tuple((RATE_ALL - RATE) * m for m in mean)
        self._difference = cv2.add(self._difference, whole)

    def release(self, painted: np.ndarray) -> None:
        """No difference where the network's own paint is shown, `painted`: (h, w) uint8, 255."""
        if self._difference is None or not cv2.countNonZero(painted):
            return
        kept = cv2.resize(~painted, self._difference.shape[1::-1], interpolation=cv2.INTER_AREA)
        kept = cv2.merge([kept, kept, kept])
        self._difference = cv2.multiply(self._difference, kept, scale=1 / 255, dtype=cv2.CV_32F)

    def apply(self, picture: Image) -> Image:
        """`picture`, (H, W, 3) uint8, with the difference added; itself when that rounds to 0."""
        if self._difference is None:
            return picture
        low, high, _, _ = cv2.minMaxLoc(self._difference.reshape(len(self._difference), -1))
        if max(-low, high) < LEAST:
            return picture
        # Bytes with their zero at 128: a quarter of the cost of signed numbers.
        coarse = cv2.add(self._difference, (128.0, 128.0, 128.0, 0.0), dtype=cv2.CV_8U)
        offset = cv2.resize(coarse, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return cv2.addWeighted(picture, 1, offset, 1, -128)


def coarse_gap(styled: Image, propagated: Image, size: tuple[int, int] | None = None) -> np.ndarray:
    """Low frequencies of `styled` - `propagated`: (H / CELL, W / CELL, 3) float32, 0..255 units.

    Args:
        styled, propagated: pictures of one size.
        size: (H, W) of the frame, where the pictures are smaller copies.
    """
    height, width = size or styled.shape[:2]
    size = (max(1, height // CELL), max(1, width // CELL))
    now, then = (shrink(picture, size) for picture in (styled, propagated))
    return cv2.GaussianBlur(cv2.subtract(now, then, dtype=cv2.CV_32F), (3, 3), 0)
