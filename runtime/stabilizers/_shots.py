"""Reading a stream of frames as shots, in chunks that fit into memory."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ..frame import Frame, Image
from . import _flow
from ._blocks import shrink

# A cut stands out: its HSV difference is at least CUT_LEAST and CUT_RATIO times the mean of its
# neighbors within WINDOW frames (PySceneDetect's AdaptiveDetector: 15, 3, 2).
CUT_LEAST, CUT_RATIO, WINDOW = 15.0, 3.0, 2
# Height and width of the pictures that are compared.
TINY = (48, 80)


@dataclass
class Chunk:
    """Consecutive frames of one shot.

    Attributes:
        frames: what was read.
        first: the chunk opens a shot.
    """

    frames: list[Frame] = field(default_factory=list)
    first: bool = True


def read_chunks(
    frames: Iterable[Frame],
    limit: Callable[[int, int], int],
    start: int = 0,
    until: int | None = None,
    *,
    first: bool = True,
) -> Iterator[Chunk]:
    """Group frames into chunks of at most `limit(height, width)`, never across a cut or a change of
    size. The first chunk begins with the frame of index `start` and opens a shot if it is `first`,
    the last one ends before that of index `until`: the frames before and behind only tell where
    cuts are."""
    chunk = Chunk(first=first)
    for frame, cut in mark_cuts(frames):
        if frame.index < start:
            continue
        if frame.index == until:
            break
        if chunk.frames and (cut or len(chunk.frames) >= limit(*frame.image.shape[:2])):
            yield chunk
            chunk = Chunk(first=cut)
        chunk.frames.append(frame)
    if chunk.frames:
        yield chunk


def mark_cuts(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Each frame with whether a new shot starts there; reads WINDOW frames ahead."""
    waiting: list[Frame] = []
    differences: list[float] = []  # of waiting[i] to the frame before it; kept a little longer
    last: Image | None = None
    for frame in frames:
        tiny = shrink(frame.image, TINY)
        same_size = not waiting or waiting[-1].image.shape == frame.image.shape
        differences.append(
            _flow.hsv_difference(last, tiny) if last is not None and same_size else np.inf
        )
        waiting.append(frame)
        last = tiny
        if len(waiting) > WINDOW:
            yield waiting.pop(0), _stands_out(differences, len(differences) - 1 - WINDOW)
            differences = differences[-(2 * WINDOW + 1) :]
    for position in range(len(waiting), 0, -1):
        yield waiting.pop(0), _stands_out(differences, len(differences) - position)


def _stands_out(differences: list[float], index: int) -> bool:
    value = differences[index]
    if not np.isfinite(value):
        return True
    around = differences[max(0, index - WINDOW) : index] + differences[index + 1 :][:WINDOW]
    calm = [d for d in around if np.isfinite(d)]
    return bool(value >= max(CUT_LEAST, CUT_RATIO * float(np.mean(calm)) if calm else 0.0))
