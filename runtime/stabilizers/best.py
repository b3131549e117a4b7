"""Stabilizer for files: two passes over each shot, so that the future decides as well as the past.

Every point of the scene is painted by one frame for as long as it is visible (see `_tracks`):
nothing is averaged, nothing is resampled twice inside a chunk, no stroke is exchanged while it
could stay. Shots longer than a chunk continue: the last picture shown is carried into the next
chunk and is handed over to its paint tile by tile. Slow changes of light follow the network (see
`_anchor`), at every frame from both sides in time.

The network sees the frames as they are: what one frame paints for seconds need not be freed of
noise first, and a network paints fewer strokes on a smoother picture (its style loss was up to a
third higher, its sharpness a tenth lower, and nothing was calmer).

Frame by frame (`prepare`, `step`, `skip`) this is the live stabilizer; `process` is the real thing.
See `runtime.stabilizers` for the contract of both.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from ..frame import Frame, Image
from . import _flow
from ._anchor import coarse_gap
from ._blocks import shrink
from ._canvas import Canvas
from ._shots import Chunk, read_chunks
from ._tracks import Track, Tracker, merge, middle_first
from .live import Live, random_tiles

# Frames read ahead at most (three seconds at 30 frames/s), and pictures held at most.
MAX_CHUNK, MIN_CHUNK, MEMORY_BYTES = 96, 8, 384 * 2**20
# Frames over which a tile of the last chunk's picture gives way to the new chunk's.
HANDOVER = 8
# Frames, standard deviation, over which the low-frequency difference to the network is averaged.
ANCHOR_FRAMES = 6.0


class Best(Live):
    """Whole shots of files; `strength` scales how long one frame may paint: 96^s frames."""

    def process(
        self,
        frames: Iterable[Frame],
        stylize: Callable[[Image], Image],
        *,
        on_cut: Callable[[], object] | None = None,
    ) -> Iterator[Frame]:
        """Yield every frame of `frames` with its stabilized picture; see `runtime.stabilizers`."""
        limit = round(MAX_CHUNK**self.strength)
        tail: tuple[Image, Image] | None = None
        started = False
        for chunk in read_chunks(frames, lambda h, w: min(limit, chunk_limit(h, w))):
            if chunk.first:
                tail = None
                if started and on_cut is not None:
                    on_cut()
            started = True
            for frame, picture, small in self._chunk(chunk, stylize, tail):
                tail = (picture, small)
                yield replace(frame, image=picture)

    def _chunk(
        self,
        chunk: Chunk,
        stylize: Callable[[Image], Image],
        tail: tuple[Image, Image] | None,
    ) -> Iterator[tuple[Frame, Image, Image]]:
        """Each frame of a chunk, its stabilized picture, and its input at flow resolution."""
        images = [frame.image for frame in chunk.frames]
        size = _flow.flow_size(*images[0].shape[:2])
        smalls = [shrink(image, size) for image in images]
        styled = [stylize(image) for image in images]
        if self.strength == 0 or (len(images) == 1 and tail is None):
            yield chunk.frames[0], styled[0], smalls[0]
            return
        tracks = self._track(smalls)
        propagated = self._carry(smalls, tail) if tail is not None else None
        canvas = Canvas(styled, tail[0] if tail is not None else None, size)
        painted = [canvas.draw(track) for track in tracks]
        if propagated is not None:
            for t, (track, weight) in enumerate(propagated):
                painted[t] = canvas.draw_over(painted[t], track, weight)
        gaps = _smooth([coarse_gap(now, then) for now, then in zip(styled, painted, strict=True)])
        for frame, picture, gap, small in zip(chunk.frames, painted, gaps, smalls, strict=True):
            offset = cv2.resize(gap, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            yield frame, cv2.add(picture, offset, dtype=cv2.CV_8U), small

    def _track(self, smalls: list[Image]) -> list[Track]:
        ranks, tracker = middle_first(len(smalls)), Tracker(smalls)
        forward = tracker.chase(ranks, range(len(smalls)))
        backward = tracker.chase(ranks, range(len(smalls) - 1, -1, -1))[::-1]
        return [merge(f, b, ranks) for f, b in zip(forward, backward, strict=True)]

    def _carry(
        self, smalls: list[Image], tail: tuple[Image, Image]
    ) -> list[tuple[Track, np.ndarray]]:
        """Pointers into the last picture of the previous chunk, and its weight, while it lasts."""
        tracker = Tracker([*smalls, tail[1]])
        last = len(smalls)
        until = random_tiles(smalls[0].shape[:2], min(HANDOVER, last), last)
        track, result = tracker.own(last, until), []
        for t in range(last):
            track, lost = tracker.follow(track, t)
            track.key[lost] = -1
            weight = np.clip((track.tag - t) / HANDOVER, 0, 1)
            weight[track.key < 0] = 0
            if not weight.any():
                break
            result.append((track, weight))
        return result


def chunk_limit(height: int, width: int) -> int:
    """Frames of this size that are read ahead: inputs and painted pictures within MEMORY_BYTES."""
    return int(np.clip(MEMORY_BYTES // (9 * height * width), MIN_CHUNK, MAX_CHUNK))


def _smooth(gaps: list[np.ndarray]) -> list[np.ndarray]:
    """Gaussian average over time: (h, w, 3) float32 each."""
    stack = np.stack(gaps).astype(np.float32)
    flat = stack.reshape(len(gaps), -1)
    smooth = cv2.GaussianBlur(
        flat, (1, 0), sigmaX=1e-6, sigmaY=ANCHOR_FRAMES, borderType=cv2.BORDER_REPLICATE
    )
    return list(smooth.reshape(stack.shape))


PLUGIN = Best
