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

    def step(self, styled: Image, carried: Image, weight: np.ndarray) -> np.ndarray | None:
        """Learn from this frame and return the offset to add to `carried`.

        Args:
            styled: what the network paints now, (H, W, 3) uint8.
            carried: what memory draws, (H, W, 3) uint8.
            weight: (h, w) uint8, 255 where `styled` itself will be shown.
        """
        gap = coarse_gap(styled, carried)
        if self._difference is None:
            self._difference = np.zeros_like(gap)
        change = gap - self._difference
        self._difference += RATE * change
        self._difference += (RATE_ALL - RATE) * np.float32(cv2.mean(change)[:3])
        painted = (
            cv2.resize(weight, gap.shape[1::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
            / 255
        )
        self._difference *= (1 - painted)[..., None]
        return self.offset(styled.shape[:2])

    def offset(self, shape: tuple[int, int]) -> np.ndarray | None:
        """The difference at full size, (H, W, 3) int16, 0..255 units; None when it rounds to 0."""
        if self._difference is None or np.abs(self._difference).max() < 0.5:
            return None
        coarse = np.rint(self._difference).astype(np.int16)
        return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)


def coarse_gap(styled: Image, carried: Image) -> np.ndarray:
    """Low frequencies of `styled` - `carried`: (H / CELL, W / CELL, 3) float32, 0..255 units."""
    height, width = styled.shape[:2]
    size = (max(1, width // CELL), max(1, height // CELL))
    now, then = (cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (styled, carried))
    return cv2.GaussianBlur(cv2.subtract(now, then, dtype=cv2.CV_32F), (3, 3), 0)
