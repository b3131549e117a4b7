"""Low frequencies follow the network, slowly; fine texture stays where the motion takes it.

Carried strokes keep the color of the moment they were painted. The anchor compares what is shown
with what the network paints now, both averaged over about 8 pixels, and moves the difference in
over some frames: light that changes is followed, and nothing darkens or drifts over minutes.
"""

import cv2
import numpy as np

from ..frame import Image
from ..state import State, keep, put_back
from . import _flow
from ._blocks import shrink

# Side of the cells, in pixels, over which colors are averaged (then a 3x3 binomial blur: sigma ~8).
CELL = 8
BLUR = (3, 3)
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
    """Keeps the slow difference between painted now and painted then: (h, w, 3) at flow resolution.

    It belongs to the paint: it moves with it, ends where it ends, and goes when it goes. One number
    per cell would leak over the border between old paint and new and color both wrongly.
    """

    def __init__(self):
        self.reset()

    def reset(self) -> None:
        """Forget the difference."""
        self._difference: np.ndarray | None = None
        self._grid = np.zeros((0, 0, 2), np.float32)
        self._count = 0

    def state(self) -> State:
        """All that it remembers."""
        return keep(self, "_difference", "_grid", "_count")

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        put_back(self, state, "_difference", "_grid", "_count")

    @property
    def _calm(self) -> bool:
        """Whether the difference rounds to 0 everywhere."""
        if self._difference is None:
            return True
        low, high, _, _ = cv2.minMaxLoc(self._difference.reshape(len(self._difference), -1))
        return max(-low, high) < LEAST

    def follow(self, flow: np.ndarray, moved: tuple[int, int, int, int]) -> None:
        """Move the difference along `flow` (h, w, 2), in flow pixels, to the new frame; `moved`: x,
        y, width and height of the area outside of which it is 0."""
        x, y, w, h = moved
        if self._difference is None or not w or self._calm:
            return
        area = (slice(y, y + h), slice(x, x + w))
        where = flow[area] + self._grid[area]
        found = cv2.remap(
            self._difference, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        # Others may hold the old one: what is handed out is not written to.
        self._difference = self._difference.copy()
        self._difference[area] = found

    def learn(self, styled: Image, propagated: Image, small: tuple[int, int]) -> np.ndarray | None:
        """Learn from every EVERY-th frame.

        Args:
            styled: what the network paints now, (H, W, 3) uint8.
            propagated: what memory draws, (H, W, 3) uint8.
            small: (h, w), the flow's resolution.

        Returns:
            their `coarse_gap`; None for frames that are not learned from.
        """
        self._count += 1
        if self._count % EVERY:
            return None
        gap = coarse_gap(styled, propagated)
        if self._difference is None:
            self._difference, self._grid = np.zeros((*small, 3), np.float32), _flow.grid(*small)
        size = gap.shape[1::-1]
        known = cv2.resize(self._difference, size, interpolation=cv2.INTER_AREA)
        # Both with the same blur: at the border of two paints they would never agree.
        change = cv2.subtract(gap, cv2.GaussianBlur(known, BLUR, 0))
        # The common change, but nowhere more than there is: new paint would be driven past itself.
        common = np.float32(cv2.mean(change)[:3])
        common = np.clip(common, np.minimum(change, 0), np.maximum(change, 0))
        step = RATE * change + (RATE_ALL - RATE) * common
        self._difference = cv2.add(self._difference, cv2.resize(step, small[::-1]))
        return gap

    def release(self, share: np.ndarray) -> None:
        """Less difference where the network's own paint was mixed in: `share` of it, (h, w) uint8,
        255 all. What was painted now does not lag behind what is painted now."""
        if self._difference is None or not cv2.countNonZero(share):
            return
        kept = cv2.multiply(~share, 1 / 255, dtype=cv2.CV_32F)
        self._difference = cv2.multiply(self._difference, cv2.merge([kept, kept, kept]))

    def apply(self, picture: Image) -> Image:
        """`picture`, (H, W, 3) uint8, with the difference added; itself when that rounds to 0."""
        if self._difference is None or self._calm:
            return picture
        # Bytes with their zero at 128: a quarter of the cost of signed numbers.
        small = cv2.add(self._difference, (128.0, 128.0, 128.0, 0.0), dtype=cv2.CV_8U)
        offset = cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
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
    return cv2.GaussianBlur(cv2.subtract(now, then, dtype=cv2.CV_32F), BLUR, 0)
