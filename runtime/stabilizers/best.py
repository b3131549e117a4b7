"""Stabilizer for files: two passes over each shot, so that the future decides as well as the past.

Every point of the scene is painted by one frame for as long as it is visible (see `_tracks`):
nothing is averaged, nothing is resampled twice inside a chunk, no stroke is exchanged while it
could stay. Shots longer than a chunk continue: the last picture shown is warped into the next
chunk and gives way to its paint along soft shapes, over the whole chunk (see `_handover`). Slow
changes of light follow the network (see `_anchor`), at every frame from both sides in time.

What it takes of a frame does not depend on how many painters a frame has: one motion is measured
between neighbors, pointers are kept at the flow's resolution, and one lookup draws them all.

The network sees the frames as they are: what one frame paints for seconds need not be freed of
noise first, and a network paints fewer strokes on a smoother picture (its style loss was up to a
third higher, its sharpness a tenth lower, and nothing was calmer).

Frame by frame (`prepare`, `step`, `skip`) this is the live stabilizer; `process` is the real thing.
See `runtime.stabilizers` for the contract of both.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import cv2
import numpy as np

from ..frame import Frame, Image
from ..state import State
from . import PaintedShot, _flow
from ._anchor import coarse_gap
from ._blocks import shrink
from ._book import Book
from ._canvas import Canvas
from ._handover import order
from ._motion import Search
from ._shots import WINDOW, Chunk, mark_cuts, read_chunks
from ._steps import Steps, Way
from ._team import Team
from ._tracks import Merged, Pass, Propagated, Track, Tracker, middle_first
from .live import Live

# Frames of a chunk at most (three seconds at 30 frames/s), and memory taken for one at most; one is
# painted while another one is shown.
MAX_CHUNK, MIN_CHUNK, MEMORY_BYTES = 96, 8, 320 * 2**20
# Bytes per pixel of a frame (its painted picture; the input until then), and per flow pixel: two
# small pictures twice, two flows, two masks, one track.
FRAME_BYTES, FLOW_BYTES = 3, 42
# Frames after which the first pixels of the last chunk's picture give way to the new chunk's.
HANDOVER = 4
# Frames, standard deviation, over which the low-frequency difference to the network is averaged.
ANCHOR_FRAMES = 6.0
# Frames of which nothing reaches further: OpenCV's kernel ends at four deviations.
REACH = 1 + round(4 * ANCHOR_FRAMES)
# 4 ms of one core at 320x180; five rounds of variational refinement are as much better as they are
# dearer (EPE 0.12 in place of 0.16 on Sintel's alley_1, 12 ms), and nothing is calmer with them.
SEARCH = Search(1, "ultrafast", 6, 6, 0)


@dataclass(frozen=True)
class Tail:
    """The last frame of a chunk: its stabilized picture, the input at flow resolution, the picture
    at flow resolution as well."""

    picture: Image
    seen: Image
    painted: Image


class Best(Live):
    """Whole shots of files; `strength` scales how long one frame may paint: 96^s frames."""

    context = WINDOW + 1  # the differences around a cut, one frame more than there are of them

    def shots(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
        """Each frame with whether a shot begins there; see `runtime.stabilizers`."""
        return mark_cuts(frames)

    def part(self, height: int, width: int) -> int:
        """Frames of a chunk of this size; see `runtime.stabilizers`."""
        return min(round(MAX_CHUNK**self.strength), chunk_limit(height, width))

    def paint(
        self,
        frames: Iterable[Frame],
        stylize: Callable[[Image], Image],
        *,
        on_cut: Callable[[], object] | None = None,
        start: int = 0,
        until: int | None = None,
        before: State | None = None,
    ) -> "Iterator[_Plain | _Painted]":
        """Yield the chunks of `frames`, painted; see `runtime.stabilizers`."""
        started = False
        tail = Tail(**before) if before else None
        for chunk in read_chunks(frames, self.part, start, until, first=before is None):
            if chunk.first and started and on_cut is not None:
                on_cut()
            started = True
            if self.strength == 0 or (len(chunk.frames) == 1 and chunk.first):
                styled = [replace(frame, image=stylize(frame.image)) for frame in chunk.frames]
                yield _Plain(styled)
            else:
                yield _Painted(chunk, stylize, tail)
            tail = None


class _Plain:
    """Frames that are shown as they were painted."""

    def __init__(self, frames: list[Frame]):
        self.count, self._frames = len(frames), frames

    def shown(self, before: PaintedShot | None) -> Iterator[Frame]:
        """They."""
        return iter(self._frames)

    def state(self) -> State:
        """Nothing of them goes on."""
        return {}


class _Painted:
    """A chunk of a shot that was painted, and how its frames are shown.

    Attributes:
        count: of frames.
        tail: its last frame, once it was shown.
        seen: the inputs at flow resolution, `small` (h, w).
    """

    def __init__(self, chunk: Chunk, stylize: Callable[[Image], Image], before: Tail | None):
        size = chunk.frames[0].image.shape[:2]
        self.count, self.small = len(chunk.frames), _flow.flow_size(*size)
        self._first, self._ranks = chunk.first, middle_first(self.count)
        self.tail: Tail | None = None
        self._last = chunk.frames[-1].image  # until it is shown
        self._before: Tail | None = None
        self._given = before  # of a run that this one goes on with
        pages = self.count if chunk.first else self.count + 1
        self._canvas = Canvas(pages, size, self.small)
        self._seen, self._painted = Book(pages, self.small), Book(pages, self.small)
        self.seen: list[Image] = []
        self._frames = chunk.frames
        for index, rank in enumerate(self._ranks):
            image = self._frames[index].image
            small, painted = shrink(image, self.small), stylize(image)
            self._keep(int(rank), painted, small, shrink(painted, self.small))
            self.seen.append(small)
            # Its input at flow resolution is all that is needed of it now.
            self._frames[index] = replace(self._frames[index], image=small)

    def shown(self, before: PaintedShot | None) -> Iterator[Frame]:
        """The stabilized frames; may be asked for once."""
        tail = before.tail if isinstance(before, _Painted) else self._given
        if not self._first and tail is not None:
            self._before = tail
            self._keep(self.count, tail.picture, tail.seen, tail.painted)
        with Team() as team:
            for frame, shown in zip(self._frames, self._pictures(team), strict=True):
                yield replace(frame, image=shown)
        self.tail = Tail(self._last, self.seen[-1], shrink(self._last, self.small))
        # The next chunk needs no more than that.
        del self._canvas, self._seen, self._painted, self._frames

    def state(self) -> State:
        """Its tail."""
        return {} if self.tail is None else dict(vars(self.tail))

    def _keep(self, rank: int, painted: Image, seen: Image, small: Image) -> None:
        self._canvas.book.put(painted, rank)
        self._seen.put(seen, rank)
        self._painted.put(small, rank)

    def _pictures(self, team: Team) -> Iterator[Image]:
        """The stabilized picture of every frame."""
        own, tracks = self._tracks(team)
        gaps = self._gaps(tracks, team)
        for drawn in team.each(self._draw, zip(tracks, _smooth(gaps), strict=True)):
            picture, shown = drawn
            yield shown
        # The last picture is this chunk's paint; what the next one gets of it is anchored to this
        # chunk alone as well, so that nothing of the chunks before is needed to go on.
        near = gaps[-REACH:] if self._before is None else self._gaps(own, team)
        self._last = _lifted(picture, _smooth(near)[-1])

    def _draw(self, known: tuple[Track, np.ndarray]) -> tuple[Image, Image]:
        """A frame as its painters paint it, and the same with what its low frequencies lack."""
        track, gap = known
        picture = self._canvas.draw(track)
        return picture, _lifted(picture, gap)

    def _gaps(self, tracks: list[Track], team: Team) -> list[np.ndarray]:
        """What the low frequencies of the last frames lack, one for each of `tracks`."""

        def gap(of: tuple[int, Track]) -> np.ndarray:
            rank, track = of
            then = self._painted.draw(track.shift, track.rank)
            return coarse_gap(self._painted.page(rank), then, self._canvas.size)

        return list(team.each(gap, zip(self._ranks[-len(tracks) :], tracks, strict=True)))

    def _tracks(self, team: Team) -> tuple[list[Track], list[Track]]:
        """Who paints every pixel of every frame; before that, who would paint the last ones if
        nothing was there before the chunk."""
        ways = self._ways(team)
        tracker = Tracker(self.seen, self._ranks, self._seen)
        propagated = self._propagated(tracker)
        frames = range(self.count)
        merged = Merged(self.count, REACH, 2 if propagated is None else 3)
        forward = tracker.chase([way for way, _ in ways[1:]], frames)
        backward = tracker.chase([way for _, way in ways[:0:-1]], frames[::-1])
        works = [
            partial(merged.take, Pass.FORWARD, frames, forward),
            partial(merged.take, Pass.BACKWARD, frames[::-1], backward),
        ]
        if propagated is not None:
            over = propagated.chase([way for way, _ in ways])
            works.append(partial(merged.take, Pass.PROPAGATED, frames, over))
        team.together(*works)
        return merged.own, merged.tracks

    def _ways(self, team: Team) -> list[tuple[Way, Way]]:
        """From every frame to the one before it, and from that one; the first is the tail's."""
        steps = Steps(*self.small, SEARCH)
        before = self.seen[0] if self._before is None else self._before.seen
        grays = [_flow.to_gray(picture) for picture in (before, *self.seen)]
        return list(steps.measure(pairwise(grays), team))

    def _propagated(self, tracker: Tracker) -> Propagated | None:
        if self._before is None:
            return None
        count = self.count
        # Nothing of it is left in the last frame: paint lives for two chunks at most.
        first, last = min(HANDOVER, count // 2), count - 1
        until = first + (last - first) * order(*self.small)
        return Propagated(tracker, count, until)


def chunk_limit(height: int, width: int) -> int:
    """Frames of this size that are read ahead within MEMORY_BYTES."""
    h, w = _flow.flow_size(height, width)
    each = FRAME_BYTES * height * width + FLOW_BYTES * h * w
    return int(np.clip(MEMORY_BYTES // each, MIN_CHUNK, MAX_CHUNK))


def _lifted(picture: Image, gap: np.ndarray) -> Image:
    """The picture with a difference of its low frequencies (h, w, 3) added."""
    # Bytes with their zero at 128: half of the cost of floats.
    small = cv2.add(gap, (128.0, 128.0, 128.0, 0.0), dtype=cv2.CV_8U)
    offset = cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.addWeighted(picture, 1, offset, 1, -128)


def _smooth(gaps: list[np.ndarray]) -> list[np.ndarray]:
    """Gaussian average over time: (h, w, 3) float32 each."""
    stack = np.stack(gaps).astype(np.float32)
    flat = stack.reshape(len(gaps), -1)
    smooth = cv2.GaussianBlur(
        flat, (1, 2 * REACH - 1), sigmaX=1e-6, sigmaY=ANCHOR_FRAMES, borderType=cv2.BORDER_REPLICATE
    )
    return list(smooth.reshape(stack.shape))


PLUGIN = Best
