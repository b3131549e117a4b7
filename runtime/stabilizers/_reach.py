"""Old paint beside what moves: strokes reach beyond the edges of what they paint.

A network draws an outline around a body, some pixels into the wall behind it. When the body moves
on, the wall there looks to the camera as it did before: by what is seen, nothing is wrong with its
strokes, and the outline would stand beside the body for as long as a stroke lives. So where
something moved a moment ago, within the reach of a stroke, paint is old as well if the network
paints something else there now, and by more than it does elsewhere in the picture:

    stale = near and mean |gap| > CONTRAST median(mean |gap|)

gap is what the network paints now less what is shown, over cells (`_anchor.coarse_gap`); a light
that changes raises the median, too.
"""

import cv2
import numpy as np

from ..state import State, keep, put_back
from ._anchor import CELL

# How far an outline reaches, in pixels: on our networks two bright and dark lines, some 20 pixels.
REACH = 24
AROUND = np.ones((2 * REACH // CELL + 1,) * 2, np.uint8)
# Looks at the paint for which a place stays near after the motion is over, every second frame:
# outlines that were left a little each time add up until they are seen.
STAYS = 8
STEP = 255 // STAYS
# Cells over which a difference is averaged: strokes flicker, outlines are long.
MEAN = (3, 3)
# Differences above this share of the usual one are no flicker of strokes; below LEAST (0..255)
# nobody minds any. With 2 and 6 all that is beside a foreground is painted anew again and again:
# E on parallax clips .30, with 4 and 12 .23, without any of this .20.
CONTRAST, LEAST = 4.0, 12.0


class Reach:
    """Remembers where something moved a moment ago."""

    def __init__(self) -> None:
        self._near: np.ndarray | None = None

    def state(self) -> State:
        """All that it remembers."""
        return keep(self, "_near")

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        put_back(self, state, "_near")

    def stale(self, gap: np.ndarray, moving: np.ndarray) -> np.ndarray | None:
        """Where old paint stands beside what moves.

        Args:
            gap: (h, w, 3) float32 per cell, 0..255 units, what the network paints now less what is
                shown.
            moving: (H, W) uint8 per flow pixel, not 0 where something moved.

        Returns:
            (H, W) uint8, 255 or 0; None for nowhere.
        """
        cells = cv2.resize(moving, gap.shape[1::-1], interpolation=cv2.INTER_AREA)
        near = cv2.dilate((cells > 0).astype(np.uint8) * 255, AROUND)
        if self._near is not None and self._near.shape == near.shape:
            near = cv2.max(near, np.maximum(self._near, STEP) - np.uint8(STEP))
        self._near = near
        if not cv2.countNonZero(near):
            return None
        size = np.abs(gap).max(axis=2)
        size = cv2.blur(size, MEAN)
        usual = float(np.partition(size, size.size // 2, axis=None)[size.size // 2])
        over = size - max(LEAST, CONTRAST * usual)
        over[near == 0] = -LEAST
        fine = cv2.resize(over, moving.shape[::-1], interpolation=cv2.INTER_LINEAR)
        return (fine > 0).astype(np.uint8) * 255
