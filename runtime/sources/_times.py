"""When each decoded frame is shown: exact, strictly increasing, one time per frame."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import VideoFrame

# Containers that store decoding times only: with B-frames, their presentation times come out
# of order (AVI with MPEG-4, MXF with H.264). The set of times is right, so it is handed out sorted.
UNORDERED = frozenset({"asf", "avi", "mxf"})
# A clip is called one of constant rate if this share of its steps is the same to a tick; below,
# longer steps are how it was recorded.
CONSTANT = 0.95
# Fewer steps tell nothing.
ENOUGH_STEPS = 24
# Different steps that are remembered; more of them are no constant rate.
MOST_STEPS = 256


class Clock:
    """Gives each frame of one stream its time.

    Frames arrive in presentation order, so times must increase; one that does not (broken files)
    becomes one tick later than the last and is counted in `repaired`.

    Args:
        time_base: seconds per tick.
        rate: nominal frames per second; its `step` in ticks serves frames without any time.
        counted: times come from the rate alone, as in bare streams.
        lookahead: frames to wait for before a time is given out, 0 where times come in order.
    """

    def __init__(
        self,
        time_base: Fraction,
        rate: Fraction | None,
        lookahead: int = 0,
        counted: bool = False,
    ) -> None:
        self.time_base = time_base
        self.repaired = 0
        self._lookahead, self._counted = lookahead, counted
        self.step = max(1, round(1 / (rate or 25) / time_base))
        self._last: int | None = None
        self._steps: Counter[int] = Counter()

    def assign(self, frames: Iterable[VideoFrame]) -> Iterator[tuple[VideoFrame, int]]:
        """Yield (frame, ticks) for decoded frames; holds back `lookahead` frames."""
        waiting: deque[VideoFrame] = deque()
        ticks: list[int] = []
        highest: int | None = None
        for frame in frames:
            own = frame.pts if frame.pts is not None else frame.dts
            if own is None or self._counted:
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
        if self._last is not None and len(self._steps) < MOST_STEPS:
            self._steps[ticks - self._last] += 1
        self._last = ticks
        return ticks

    def gaps(self) -> list[str]:
        """A sentence about places where a clip of constant rate lacks frames, if there are any."""
        total = self._steps.total()
        if total < ENOUGH_STEPS:
            return []
        usual = self._steps.most_common(1)[0][0]
        regular = sum(n for step, n in self._steps.items() if abs(step - usual) <= 1)
        wide = {step: n for step, n in self._steps.items() if 2 * step > 3 * usual + 1}
        if regular < CONSTANT * total or not wide:
            return []
        frames = sum(round(step / usual - 1) * n for step, n in wide.items())
        return [
            f"{sum(wide.values())} gaps: about {frames} frames are not in the clip, never recorded "
            "or lost; the others keep their times"
        ]
