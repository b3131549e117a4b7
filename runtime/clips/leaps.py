"""Where pieces of a clip may end, without a look at most of its frames.

Pieces are some hundred frames long. Between the places where one may end, frames are decoded (which
tells damage, times and their number) and no pictures are made of them.

Where a segment ends depends on all shots before it: on those that nobody looked at, too. So all
lengths that the open segment may have are followed, from the first frame that is looked at. A shot
ends a segment for certain where it ends one of any of these lengths: two shots that follow each
other within a fifth to four fifths of a segment are enough.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from ..frame import Frame, Image
from ..sinks.file import segment_ends
from ..sources import Source

Shots = Callable[[Iterable[Frame]], Iterator[tuple[Frame, bool]]]
# Frames that are remembered: those a stabilizer reads ahead and behind a cut (three, each).
RECENT = 32


class Leaps:
    """One pass over a clip.

    Args:
        source: nothing of it was read.
        shots: finds shots in any frames that follow each other.
        context: frames before one without which it cannot tell.
        longest: frames of a segment.
        target: frames of a piece, at least.
        scale: brings pictures to the size that is painted.

    Attributes:
        count: frames read so far.
    """

    def __init__(
        self,
        source: Source,
        shots: Shots,
        *,
        context: int,
        longest: int,
        target: int,
        scale: Callable[[Image], Image] | None = None,
    ) -> None:
        self.count = 0
        self._source, self._shots, self._scale = source, shots, scale
        self._context, self._longest, self._target = context, longest, target
        self._frames = self._counted()
        # What was read last, without pictures.
        self._recent: deque[Frame] = deque(maxlen=RECENT)

    def ends(self) -> list[tuple[int, Frame | None]] | None:
        """Index of the first frame of each piece but the first, with the frame behind which its
        source begins (None: the beginning); None if shots are too long to be found so."""
        found: list[tuple[int, Frame | None]] = []
        first, known = 0, self._leap(0)
        lengths = None if known else {0}
        marked = self._shots(self._frames)
        while (mark := next(marked, None)) is not None:
            frame, shot = mark
            if lengths is None:
                if frame.index < known:
                    continue  # what was before it decides as well, and nobody looked at it
                lengths = set(range(1, self._longest + 1))
            far = frame.index - first
            ending = {n for n in lengths if n and segment_ends(n, self._longest, shot)}
            if shot and ending == lengths and far >= self._target:
                first = frame.index
                found.append((first, self._before(first)))
                known = self._leap(first)
                if known:
                    marked, lengths = self._shots(self._frames), None
                    continue
            elif far >= 2 * max(self._target, self._longest):
                return None
            lengths = {1 if n in ending else n + 1 for n in lengths}
        return found

    def _leap(self, first: int) -> int:
        """Read on to where the piece that begins with this frame may end soon: to a segment before,
        in which the lengths that are possible become few. The frame from which on shots are
        known; 0 if that is where the reading stands."""
        index = first + self._target - self._longest - self._context
        if self.count >= index:
            return 0
        self._source.pictures = False
        while self.count < index and next(self._frames, None) is not None:
            pass
        self._source.pictures = True
        return self.count + self._context

    def _before(self, end: int) -> Frame | None:
        wanted = end - 1 - self._context
        return next((f for f in self._recent if f.index == wanted), None)

    def _counted(self) -> Iterator[Frame]:
        for frame in self._source:
            self.count = frame.index + 1
            self._recent.append(replace(frame, image=frame.image[:0]))
            if self._scale is not None and len(frame.image):
                frame = replace(frame, image=self._scale(frame.image))
            yield frame
