"""The motion between two neighboring frames, both ways, and what only one of them shows."""

from dataclasses import dataclass

import cv2
import numpy as np

from . import _flow
from ._motion import Motion, Search

# Rounding leaves holes of one pixel in what comes from the other frame.
AROUND = np.ones((3, 3), np.uint8)
# ... and what is not known is the mean of what is, in windows of this size.
NEAR = (7, 7)


@dataclass(frozen=True)
class Way:
    """Motion from one frame to a neighbor.

    Attributes:
        flow: (h, w, 2) float32; None where nothing moved.
        hidden: (h, w) uint8, 255 where something may be in front of the point in the neighbor;
            None: nowhere.
    """

    flow: np.ndarray | None
    hidden: np.ndarray | None


class Steps:
    """Measures the motion between neighbors of size (h, w), one pair after the other."""

    def __init__(self, height: int, width: int, search: Search):
        self._motion = Motion(height, width, search)

    def measure(self, before: np.ndarray, now: np.ndarray) -> tuple[Way, Way]:
        """The way from `now` to `before` and from `before` to `now`, both (h, w) uint8 gray."""
        gain = _flow.brightness_gain(before, now)
        if gain != 1.0:
            before = cv2.convertScaleAbs(before, alpha=gain)
        motion = self._motion
        flow = motion.estimate(now, before)
        if not motion.moved[2]:
            return Way(None, None), Way(None, None)
        back, covered = invert(flow, motion.own, motion.grid)
        return Way(flow, motion.uncovered), Way(back, covered if motion.local else None)


def invert(
    flow: np.ndarray, front: np.ndarray | None, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The flow back, and where nothing comes from: (h, w, 2) float32 and (h, w) uint8, 255.

    Args:
        flow: (h, w, 2) float32.
        front: (h, w) uint8, 255 what is in front of the rest; None: nothing.
        grid: every pixel's own place.
    """
    h, w = flow.shape[:2]
    target = np.rint(cv2.add(flow, grid)).astype(np.int32)
    np.clip(target, 0, (w - 1, h - 1), out=target)
    place = (target[..., 1] * w + target[..., 0]).reshape(-1)
    source = np.full(h * w, -1, np.int32)
    source[place] = np.arange(h * w, dtype=np.int32)
    if front is not None:
        above = np.flatnonzero(front)
        source[place[above]] = above
    hit = source >= 0
    back = np.zeros((h * w, 2), np.float32)
    back[hit] = -flow.reshape(-1, 2)[source[hit]]
    known = hit.reshape(h, w).view(np.uint8) * np.uint8(255)
    back = back.reshape(h, w, 2)
    # Larger holes were covered; the flow continues into them.
    filled = cv2.morphologyEx(known, cv2.MORPH_CLOSE, AROUND)
    if cv2.countNonZero(known) < h * w:
        weight = known.astype(np.float32) / 255
        near = cv2.blur(back, NEAR) / np.maximum(cv2.blur(weight, NEAR), 1e-3)[..., None]
        back = cv2.copyTo(back, known, near)
    # What was rounded to the nearest pixel is looked up again in between.
    where = cv2.add(back, grid)
    found = cv2.remap(flow, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    back = cv2.multiply(found, (-1, -1, 0, 0))
    return back, cv2.dilate(~filled, AROUND)
