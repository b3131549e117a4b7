"""When each decoded frame is shown: exact, strictly increasing, one time per frame."""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

# Containers that store decoding times only: with B-frames, their presentation times come out
# of order (AVI with MPEG-4). The set of times is right, so it is handed out sorted.
UNORDERED = frozenset({"avi"})


class Clock:
    """Gives each frame of one stream its time.

    Frames arrive in presentation order, so times must increase; one that does not (broken files)
    becomes one tick later than the last and is counted in `repaired`.

    Args:
        time_base: seconds per tick.
        rate: nominal frames per second; its `step` in ticks serves frames without any time.
        lookahead: frames to wait for before a time is given out, 0 where times come in order.
    """

    def __init__(self, time_base: Fraction, rate: Fraction | None, lookahead: int = 0) -> None:
        self.time_base = time_base
        self.repaired = 0
        self._lookahead = lookahead
        self.step = max(1, round(1 / (rate or 25) / time_base))
        self._last: int | None = None

    def assign(self, frames: Iterable[Any]) -> Iterator[tuple[Any, int]]:
        """Yield (frame, ticks) for decoded frames; holds back `lookahead` frames."""
        waiting: deque[Any] = deque()
        ticks: list[int] = []
        highest: int | None = None
        for frame in frames:
            own = frame.pts if frame.pts is not None else frame.dts
            if own is None:
                own = 0 if highest is None else highest + self.step
            highest = own if highest is None else max(highest, own)
            waiting.append(frame)
            heapq.heappush(ticks, own)
            if len(waiting) > self._lookahead:
                yield waiting.popleft(), self._increasing(heapq.heappop(ticks))
        while waiting:
            yield waiting.popleft(), self._increasing(heapq.heappop(ticks))

    def _increasing(self, ticks: int) -> int:
        if self._last is not None and ticks <= self._last:
            ticks = self._last + 1
            self.repaired += 1
        self._last = ticks
        return ticks
