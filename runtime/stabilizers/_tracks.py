"""Which frame of a chunk paints each pixel of each frame.

Frames are ranked (the middle one first, then the middles of the halves, and so on). Every pixel is
painted by the best-ranked frame in which its point of the scene can be seen: found by one pass
forward and one backward, in which a pixel hands on its pointer along the motion and drops it for
its own frame when that ranks better or the point was not visible before. All pixels on one
trajectory see the same frames, so they choose the same one: nothing pops while a point is visible.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._motion import RETURN, THOROUGH, Motion
from ._sampler import PAD
from ._visibility import edge_error, inside, smeared

# Forward and backward flow must cancel (Sundaram et al., ECCV 2010): squared error in pixels below
# FB_SHARE of the squared motions plus FB_CONSTANT. Theirs is 0.5 for a flow less exact than this;
# with a QUICK search of the way back a tenth of what is seen was lost.
FB_SHARE, FB_CONSTANT = 0.01, 0.2


@dataclass
class Track:
    """Pointers of one frame at flow resolution.

    Attributes:
        shift: (h, w, 2) float32, displacement into the painting frame.
        key: (h, w) int16, which frame paints; -1 none.
        tag: (h, w) float32, a number that travels with the pointer.
    """

    shift: np.ndarray
    key: np.ndarray
    tag: np.ndarray


def middle_first(count: int) -> np.ndarray:
    """Rank of each of `count` frames, (count,) int: the middle 0, middles of the halves 1, 2..."""
    ranks, queue, place = np.zeros(count, np.int16), [(0, count)], 0
    while queue:
        start, stop = queue.pop(0)
        if start < stop:
            middle = (start + stop) // 2
            ranks[middle] = place
            place += 1
            queue += [(start, middle), (middle + 1, stop)]
    return ranks


class Tracker:
    """Follows pointers through a chunk whose input frames at flow resolution are `smalls`."""

    def __init__(self, smalls: list[Image]):
        self.h, self.w = smalls[0].shape[:2]
        self._grays = [_flow.to_gray(small) for small in smalls]
        self._smalls = smalls
        padded = [cv2.copyMakeBorder(s, PAD, PAD, 0, 0, cv2.BORDER_REPLICATE) for s in smalls]
        self._stack, self._rows = np.vstack(padded), self.h + 2 * PAD
        self._motion = Motion(self.h, self.w, THOROUGH)
        self._back = Motion(self.h, self.w, RETURN)

    def own(self, index: int, tag: np.ndarray | float = 0.0) -> Track:
        """Every pixel painted by its own frame."""
        shape = (self.h, self.w)
        return Track(
            np.zeros((*shape, 2), np.float32),
            np.full(shape, index, np.int16),
            np.array(np.broadcast_to(tag, shape), np.float32),
        )

    def follow(self, track: Track, index: int) -> tuple[Track, np.ndarray]:
        """Carry pointers from a neighboring frame to frame `index`.

        Returns:
            The moved pointers and the pixels that lost theirs, (h, w) bool.
        """
        small, gray = self._smalls[index], self._grays[index]
        before = self._draw(track)
        last = _flow.to_gray(before)
        gain = _flow.brightness_gain(last, gray)
        last = cv2.convertScaleAbs(last, alpha=gain)
        flow = self._motion.estimate(gray, last)
        where = flow + self._motion.grid
        back = cv2.remap(self._back.estimate(last, gray), where, None, cv2.INTER_LINEAR)
        bound = FB_SHARE * (np.square(flow) + np.square(back)).sum(axis=2) + FB_CONSTANT
        lost = np.square(flow + back).sum(axis=2) > bound
        moved = Track(
            cv2.remap(track.shift, where, None, cv2.INTER_NEAREST) + flow,
            _remap_keys(track.key, where),
            cv2.remap(track.tag, where, None, cv2.INTER_NEAREST),
        )
        drawn = cv2.convertScaleAbs(self._draw(moved), alpha=gain)
        error = edge_error(_flow.residual(small, drawn), flow)
        lost |= error >= _flow.GATE
        lost |= inside(where, self.w, self.h) == 0
        lost |= inside(self._motion.grid + moved.shift, self.w, self.h) == 0
        lost |= smeared(moved.shift, moved.key) > 0
        lost |= moved.key < 0
        return moved, lost

    def chase(self, ranks: np.ndarray, order: range) -> list[Track]:
        """Best-ranked pointers along `order` (forward or backward), one Track per frame of it."""
        tracks = [self.own(order[0])]
        for index in order[1:]:
            moved, lost = self.follow(tracks[-1], index)
            take = lost | (ranks[np.maximum(moved.key, 0)] > ranks[index])
            moved.shift[take], moved.key[take] = 0, index
            tracks.append(moved)
        return tracks

    def _draw(self, track: Track) -> Image:
        where = self._motion.grid + track.shift
        where[..., 1] += np.maximum(track.key, 0).astype(np.float32) * self._rows + PAD
        return cv2.remap(
            self._stack, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )


def merge(forward: Track, backward: Track, ranks: np.ndarray) -> Track:
    """The better-ranked of two pointers at every pixel."""
    choose = ranks[backward.key] < ranks[forward.key]
    return Track(
        np.where(choose[..., None], backward.shift, forward.shift),
        np.where(choose, backward.key, forward.key),
        forward.tag,
    )


def _remap_keys(keys: np.ndarray, where: np.ndarray) -> np.ndarray:
    return cv2.remap(
        keys, where, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=-1
    )
