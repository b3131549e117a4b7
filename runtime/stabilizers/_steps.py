"""The motion between two neighboring frames, both ways, and what only one of them shows."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from . import _flow
from ._motion import Motion, Search, Searched
from ._team import Team

# Rounding leaves holes of one pixel in what comes from the other frame.
AROUND = np.ones((3, 3), np.uint8)
# ... and what is not known is the mean of what is, in windows of this size.
NEAR = (7, 7)
# ... of which one pixel has a 49th: less is nobody, and keeps the quotient finite.
LEAST_WEIGHT = 1e-3


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
    """Measures the motion between neighbors of size (h, w)."""

    def __init__(self, height: int, width: int, search: Search):
        self._motion = Motion(height, width, search)

    def measure(
        self, pairs: Iterable[tuple[np.ndarray, np.ndarray]], team: Team
    ) -> Iterator[tuple[Way, Way]]:
        """Of every pair of frames, (h, w) uint8 gray, the way from the second to the first, and
        from the first to the second. The camera is followed from pair to pair."""
        searched = team.each(self._search, pairs)
        return team.each(self._find, ((pair, self._motion.camera(pair)) for pair in searched))

    def _search(self, pair: tuple[np.ndarray, np.ndarray]) -> Searched:
        before, now = pair
        gain = _flow.brightness_gain(before, now)
        if gain != 1.0:
            before = cv2.convertScaleAbs(before, alpha=gain)
        return self._motion.search(now, before)

    def _find(self, known: tuple[Searched, np.ndarray]) -> tuple[Way, Way]:
        found = self._motion.find(*known)
        if not found.moved[2]:
            return Way(None, None), Way(None, None)
        back, covered = invert(found.flow, found.own, self._motion.grid)
        return Way(found.flow, found.uncovered), Way(back, covered if found.local else None)


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
    # Half of the arithmetic is OpenCV's, which takes half the time and rounds alike.
    x, y = cv2.split(cv2.add(flow, grid, dtype=cv2.CV_32S))
    x, y = cv2.min(cv2.max(x, 0), w - 1), cv2.min(cv2.max(y, 0), h - 1)
    place = (y * np.int32(w) + x).reshape(-1)
    source = np.full(h * w, -1, np.int32)
    source[place] = np.arange(h * w, dtype=np.int32)
    if front is not None:
        above = np.flatnonzero(front)
        source[place[above]] = above
    hit = source >= 0
    # A vector is looked up as one number.
    pairs = np.ascontiguousarray(flow).reshape(-1, 2).view(np.complex64).reshape(-1)
    back = np.take(pairs, source, mode="clip")
    np.multiply(back, hit, out=back)
    back = cv2.multiply(back.view(np.float32).reshape(h, w, 2), (-1, -1, 0, 0))
    known = hit.reshape(h, w).view(np.uint8) * np.uint8(255)
    # Larger holes were covered; the flow continues into them.
    filled = cv2.morphologyEx(known, cv2.MORPH_CLOSE, AROUND)
    if cv2.countNonZero(known) < h * w:
        weight = cv2.max(cv2.blur(hit.reshape(h, w).astype(np.float32), NEAR), LEAST_WEIGHT)
        near = cv2.divide(cv2.blur(back, NEAR), cv2.merge([weight, weight]))
        back = cv2.copyTo(back, known, near)
    # What was rounded to the nearest pixel is looked up again in between.
    where = cv2.add(back, grid)
    found = cv2.remap(flow, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    back = cv2.multiply(found, (-1, -1, 0, 0))
    return back, cv2.dilate(~filled, AROUND)
