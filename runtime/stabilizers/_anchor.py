"""Low frequencies follow the network, slowly; fine texture stays where the scene carries it.

Carried strokes keep the color of the moment they were painted. The anchor compares what is shown
with what the network paints now, both averaged over about 8 pixels, and moves the difference in
over some frames: light that changes is followed, and nothing darkens or drifts over minutes.
"""

import cv2
import numpy as np

from ..frame import Image

# Side of the cells, in pixels, over which colors are averaged (then a 3x3 binomial blur: sigma ~8).
CELL = 8
# Share of the difference taken over per frame: half of it within 7 frames. Averages the network's
# own brightness flicker down to about a quarter.
RATE = 0.1
# The same for the mean of the whole picture, where flicker has averaged out already.
RATE_ALL = 0.5
# Differences below this would round to 0 (0..255).
LEAST = 0.5


class Anchor:
    """Keeps the slow difference between painted now and painted then: a small (h, w, 3) picture."""

    def __init__(self):
        self._difference: np.ndarray | None = None

    def reset(self) -> None:
        """Forget the difference."""
        self._difference = None

    def follow(self, flow: np.ndarray) -> None:
        """Move the difference along `flow` (h, w, 2), in flow pixels, to the new frame."""
        if self._difference is None:
            return
        h, w = self._difference.shape[:2]
        small = cv2.resize(flow, (w, h), interpolation=cv2.INTER_AREA)
        small *= np.array([w / flow.shape[1], h / flow.shape[0]], np.float32)
        x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
        small += np.dstack([x, y])
        self._difference = cv2.remap(
            self._difference, small, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )

    def learn(self, styled: Image, carried: Image, painted: np.ndarray) -> None:
        """Learn from this frame.

        Args:
            styled: what the network paints now, (H, W, 3) uint8.
            carried: what memory draws, (H, W, 3) uint8.
            painted: (h, w) uint8, 255 where `styled` itself will be shown.
        """
        gap = coarse_gap(styled, carried)
        if self._difference is None:
            self._difference = np.zeros_like(gap)
        change = cv2.subtract(gap, self._difference)
        mean = cv2.mean(change)
        self._difference = cv2.scaleAdd(change, RATE, self._difference)
        whole = tuple((RATE_ALL - RATE) * m for m in mean)
        self._difference = cv2.add(self._difference, whole)
        if cv2.countNonZero(painted):
            kept = cv2.resize(~painted, gap.shape[1::-1], interpolation=cv2.INTER_AREA)
            kept = cv2.merge([kept, kept, kept])
            self._difference = cv2.multiply(self._difference, kept, scale=1 / 255, dtype=cv2.CV_32F)

    def apply(self, picture: Image) -> Image:
        """`picture`, (H, W, 3) uint8, with the difference added; itself when that rounds to 0."""
        if self._difference is None:
            return picture
        low, high, _, _ = cv2.minMaxLoc(self._difference.reshape(self._difference.shape[0], -1))
        if max(-low, high) < LEAST:
            return picture
        # Bytes with their zero at 128: a quarter of the cost of signed numbers.
        coarse = cv2.add(self._difference, (128.0, 128.0, 128.0, 0.0), dtype=cv2.CV_8U)
        offset = cv2.resize(coarse, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return cv2.addWeighted(picture, 1, offset, 1, -128)


def coarse_gap(styled: Image, carried: Image) -> np.ndarray:
    """Low frequencies of `styled` - `carried`: (H / CELL, W / CELL, 3) float32, 0..255 units."""
    height, width = styled.shape[:2]
    size = (max(1, width // CELL), max(1, height // CELL))
    now, then = (_shrink(picture, size) for picture in (styled, carried))
    return cv2.GaussianBlur(cv2.subtract(now, then, dtype=cv2.CV_32F), (3, 3), 0)


def _shrink(picture: Image, size: tuple[int, int]) -> Image:
    """Averages over cells; by halves as far as possible, which is three times as fast."""
    while picture.shape[1] % 2 == picture.shape[0] % 2 == 0 and picture.shape[1] >= 4 * size[0]:
        half = (picture.shape[1] // 2, picture.shape[0] // 2)
        picture = cv2.resize(picture, half, interpolation=cv2.INTER_AREA)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
