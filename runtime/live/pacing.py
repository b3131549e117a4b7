"""Files and folders as if they were cameras: played by the clock at their own rate, round and
round, so that the live pipeline can be used and measured without one.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from ..errors import SourceError
from ..frame import Frame
from ..sources import Source, SourceInfo

# For pictures and streams that do not say how fast they are.
RATE = Fraction(30)
# Seconds behind the clock after which the clock is set back instead of rushing to catch up
# (the machine slept, or decoding is slower than the clip).
TOO_LATE_S = 0.5


class Paced(Source):
    """A source that delivers each frame of another one when its time has come.

    Attributes:
        info: of the inner source, with `live` set.
        decode_ms: how long the last frame took to decode (the waiting left out).
        returns: False: a clip that fails is damaged, opening it again does not help.
    """

    returns = False

    def __init__(
        self,
        open_inner: Callable[[], Source],
        *,
        loop: bool = True,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Open the inner source for the first time.

        Args:
            open_inner: opens it at its beginning; called again for every further round.
            loop: go on from the start at the end.
            clock, sleep: replaced in tests.
        """
        self._open = open_inner
        self._inner: Source | None = open_inner()
        self._loop, self._clock, self._sleep = loop, clock, sleep
        self._closed = False
        self.decode_ms = 0.0
        self.info: SourceInfo = replace(
            self._inner.info, live=True, num_frames=None if loop else self._inner.info.num_frames
        )

    def __iter__(self) -> Iterator[Frame]:
        """Frames with times that go on growing from round to round."""
        step = 1 / (self.info.rate or RATE)
        offset, index = Fraction(0), 0
        start = self._clock()
        while not self._closed:
            first, last, only = None, Fraction(0), None
            for frame in self._timed():
                first = frame.time if first is None else first
                only = frame if last == 0 and frame.time == first else None
                last = frame.time - first
                moment = offset + last
                late = self._clock() - start - float(moment)
                if late < 0:
                    self._sleep(-late)
                elif late > TOO_LATE_S:
                    start += late
                if self._closed:
                    return
                yield replace(frame, time=moment, index=index)
                index += 1
            if first is None:
                raise SourceError(f'"{self.info.name}" has no frames')
            if not self._loop:
                return
            if only is not None:  # a single picture: no need to read it again for every frame
                yield from self._still(only, start, offset, step, index)
                return
            offset += last + step

    def _timed(self) -> Iterator[Frame]:
        """One round of the inner source, measuring how long each frame takes."""
        with self._inner or self._open() as inner:
            self._inner = None
            frames = iter(inner)
            while True:
                before = time.perf_counter()
                frame = next(frames, None)
                self.decode_ms = (time.perf_counter() - before) * 1000.0
                if frame is None:
                    return
                yield frame

    def _still(
        self, frame: Frame, start: float, offset: Fraction, step: Fraction, index: int
    ) -> Iterator[Frame]:
        self.decode_ms = 0.0
        while not self._closed:
            offset += step
            wait = float(offset) - (self._clock() - start)
            if wait > 0:
                self._sleep(wait)
            elif wait < -TOO_LATE_S:
                start -= wait
            yield replace(frame, time=offset, index=index)
            index += 1

    def close(self) -> None:
        """Stop; the file of the current round is closed by the thread that reads it."""
        self._closed = True
        if self._inner is not None:
            self._inner.close()
            self._inner = None
