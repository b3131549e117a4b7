"""Which frame of a chunk paints each pixel of each frame.

Frames are ranked (the middle one first, then the middles of the halves, and so on). Every pixel is
painted by the best-ranked frame in which its point of the scene can be seen: found by one pass
forward and one backward, in which a pixel hands on its pointer along the motion and drops it for
its own frame when that ranks better or the point was not visible before. All pixels on one
trajectory see the same frames, so they choose the same one: nothing pops while a point is visible.

Both passes go along the same flows, one each way between neighbors. What a chain of flows leaves
out is seen in the picture that the pointers draw, and taken back a little in every frame.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._book import Book
from ._refine import closer
from ._steps import Way
from ._visibility import edge_error, inside, smeared

# Neighboring pointers whose displacements differ by less, in flow pixels, move together.
SAME_PX = 0.5
# Residual (0..255) from which on what may have been hidden is taken to be something else; noise of
# 3 leaves 2.
DIFFERS = 6
NEIGHBORS = np.ones((3, 3), np.uint8)


@dataclass
class Track:
    """Pointers of one frame at flow resolution.

    Attributes:
        shift: (h, w, 2) float32, displacement into the painting frame.
        rank: (h, w) uint8, of the frame that paints: 0 is the best.
        where: (h, w) uint8, 255 where they count; None: everywhere.
    """

    shift: np.ndarray
    rank: np.ndarray
    where: np.ndarray | None = None


class Pass(IntEnum):
    """Who finds pointers: one pass from each end of the chunk, and what was painted before it."""

    FORWARD = 0
    BACKWARD = 1
    PROPAGATED = 2


def middle_first(count: int) -> np.ndarray:
    """Rank of each of `count` frames, uint8: the middle 0, the middles of the halves 1, 2..."""
    ranks, queue, place = np.zeros(count, np.uint8), [(0, count)], 0
    while queue:
        start, stop = queue.pop(0)
        if start < stop:
            middle = (start + stop) // 2
            ranks[middle] = place
            place += 1
            queue += [(start, middle), (middle + 1, stop)]
    return ranks


class Tracker:
    """Follows pointers through a chunk.

    Args:
        seen: the input frames at flow resolution, (h, w, 3) uint8 each.
        ranks: of each of them, and its page in `book`.
        book: of these frames.
    """

    def __init__(self, seen: list[Image], ranks: np.ndarray, book: Book):
        self._h, self._w = seen[0].shape[:2]
        self._seen, self._ranks, self._book = seen, ranks, book
        self._grid = _flow.grid(self._h, self._w)

    def own(self, rank: int) -> Track:
        """Every pixel painted by the frame of this rank, which it is."""
        shape = (self._h, self._w)
        return Track(np.zeros((*shape, 2), np.float32), np.full(shape, rank, np.uint8))

    def follow(self, track: Track, way: Way, index: int) -> tuple[Track, np.ndarray]:
        """Carry pointers from a neighboring frame to frame `index`, whose way there is `way`.

        Returns:
            The moved pointers and the pixels that lost theirs, (h, w) uint8, 255.
        """
        seen = self._seen[index]
        moved = track if way.flow is None else self._move(track, way.flow)
        drawn = self._book.draw(moved.shift, moved.rank)
        before, now = _flow.to_gray(drawn), _flow.to_gray(seen)
        gain = _flow.brightness_gain(before, now)
        if gain != 1.0:
            drawn, before = (cv2.convertScaleAbs(p, alpha=gain) for p in (drawn, before))
        error = _flow.residual(seen, drawn)
        if way.flow is None:
            return moved, cv2.compare(error, _flow.GATE, cv2.CMP_GE)
        still = cv2.inRange(way.flow, (0, 0), (0, 0))
        moving = cv2.add(moved.shift, closer(now, before))
        moved.shift = cv2.copyTo(moved.shift, still, moving)
        lost = cv2.compare(edge_error(error, way.flow), _flow.GATE, cv2.CMP_GE)
        if way.hidden is not None:
            lost |= way.hidden & cv2.compare(error, DIFFERS, cv2.CMP_GE)
        for shift in (way.flow, moved.shift):
            lost |= ~inside(cv2.add(self._grid, shift), self._w, self._h)
        return moved, lost | smeared(moved.shift, moved.rank)

    def chase(self, ways: list[Way], order: range) -> Iterator[Track]:
        """Best-ranked pointers along `order` (forward or backward), one Track per frame of it.

        Args:
            ways: of every frame of `order` but the first, to the one before it in that order.
        """
        track = self.own(int(self._ranks[order[0]]))
        yield track
        for way, index in zip(ways, order[1:], strict=True):
            track, lost = self.follow(track, way, index)
            rank = int(self._ranks[index])
            track = _replaced(track, lost | cv2.compare(track.rank, rank, cv2.CMP_GT), rank)
            yield track

    def _move(self, track: Track, flow: np.ndarray) -> Track:
        """Take every pixel's pointer from where it was in the neighboring frame."""
        how = {"borderMode": cv2.BORDER_REPLICATE}
        where = cv2.add(flow, self._grid)
        nearest, _ = cv2.convertMaps(where, None, cv2.CV_16SC2, nninterpolation=True)
        shift = cv2.remap(track.shift, nearest, None, cv2.INTER_NEAREST, **how)
        rank = cv2.remap(track.rank, nearest, None, cv2.INTER_NEAREST, **how)
        # Within one painter's area displacements are interpolated: rounding would add up.
        between = cv2.remap(track.shift, where, None, cv2.INTER_LINEAR, **how)
        together = cv2.inRange(cv2.absdiff(between, shift), (0, 0), (SAME_PX, SAME_PX))
        seam = cv2.remap(seams(track.rank), nearest, None, cv2.INTER_NEAREST, **how)
        return Track(cv2.add(cv2.copyTo(between, together & ~seam, shift), flow), rank)


def _replaced(track: Track, where: np.ndarray, rank: int) -> Track:
    """`track` with the frame's own pointers where (h, w) uint8 is 255."""
    if not cv2.countNonZero(where):
        return track
    shift = cv2.copyTo(np.zeros_like(track.shift), where, track.shift.copy())
    return Track(shift, cv2.copyTo(np.full_like(track.rank, rank), where, track.rank.copy()))


def seams(rank: np.ndarray) -> np.ndarray:
    """Where areas of two painters meet, one pixel on each side: (h, w) uint8, 255."""
    return cv2.compare(cv2.morphologyEx(rank, cv2.MORPH_GRADIENT, NEIGHBORS), 0, cv2.CMP_GT)


def merge(one: Track, other: Track) -> Track:
    """The better-ranked of two pointers at every pixel."""
    better = cv2.compare(other.rank, one.rank, cv2.CMP_LT)
    shift = cv2.copyTo(other.shift, better, one.shift.copy())
    return Track(shift, cv2.min(other.rank, one.rank))


def over(below: Track, above: Track) -> Track:
    """`above` where it counts, `below` elsewhere."""
    if above.where is None:
        return above
    return Track(
        cv2.copyTo(above.shift, above.where, below.shift.copy()),
        cv2.copyTo(above.rank, above.where, below.rank.copy()),
    )


class Merged:
    """The pointers of a chunk, put together as soon as every pass has found a frame's.

    Passes may run in several threads; each frame is theirs in another order, so that no more than
    half of the pointers of each are kept at a time.

    Args:
        count: of frames.
        reach: frames at the end of which `own` is kept.
        passes: how many there are.
    """

    def __init__(self, count: int, reach: int, passes: int):
        self._parts: list[dict[Pass, Track]] = [{} for _ in range(count)]
        self._own: dict[int, Track] = {}
        self._begin, self._passes = count - reach, passes
        self._lock = threading.Lock()
        self._done: dict[int, Track] = {}

    @property
    def tracks(self) -> list[Track]:
        """Of every frame."""
        return [track for _, track in sorted(self._done.items())]

    @property
    def own(self) -> list[Track]:
        """Of the last frames, without what was painted before the chunk."""
        return [track for _, track in sorted(self._own.items())]

    def take(self, whose: Pass, order: Iterable[int], tracks: Iterable[Track]) -> None:
        """All that a pass finds.

        Args:
            whose: the pass.
            order: numbers of frames.
            tracks: their pointers.
        """
        for index, track in zip(order, tracks, strict=True):
            parts = self._parts[index]
            with self._lock:
                parts[whose] = track
                complete = len(parts) == self._passes
            if complete:
                self._put_together(index, parts)

    def _put_together(self, index: int, parts: dict[Pass, Track]) -> None:
        track = merge(parts[Pass.FORWARD], parts[Pass.BACKWARD])
        if index >= self._begin:
            self._own[index] = track
        if Pass.PROPAGATED in parts:
            track = over(track, parts[Pass.PROPAGATED])
        self._done[index] = track
        parts.clear()


class Propagated:
    """The last picture of the chunk before, while it lasts: when a pixel gives it up is known when
    the chunk begins, and goes with the pixel.

    Args:
        tracker: of the chunk; rank: of that picture.
        until: (h, w) float32, the frame of the chunk with which every pixel gives it up.
    """

    def __init__(self, tracker: Tracker, rank: int, until: np.ndarray):
        self._tracker, self._track, self._until = tracker, tracker.own(rank), until
        self._grid = _flow.grid(*until.shape)

    def chase(self, ways: list[Way]) -> Iterator[Track]:
        """What is left in every frame, of which its way leads to where it was."""
        track, until = self._track, self._until
        for index, way in enumerate(ways):
            track, lost = self._tracker.follow(track, way, index)
            if way.flow is not None:
                where = cv2.add(self._grid, way.flow)
                until = cv2.remap(
                    until, where, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE
                )
            until = cv2.copyTo(np.full_like(until, -1), lost, until.copy())
            yield replace(track, where=cv2.compare(until, float(index), cv2.CMP_GT))
