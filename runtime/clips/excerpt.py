"""A part of a source: from a time on, up to a time, or so many frames.

    time = time in the clip - time of the first frame of the excerpt

Sound and everything else of the clip is counted from that first frame as well, and ends with the
pictures.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from typing import Unpack

from ..errors import SourceError, UsageError
from ..frame import Frame
from ..sources import Source, SourceOptions, open_source

_TIME = re.compile(r"((\d+):)?((\d+):)?(\d+(\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Span:
    """What is wanted of a clip.

    Attributes:
        start: seconds; the first frame at or after this time comes first.
        end: seconds; frames at or after this time are left out. None for no limit.
        frames: at most so many. None for no limit.

    Raises:
        UsageError: nothing can be between the two times, or less than one frame is wanted.
    """

    start: Fraction = Fraction(0)
    end: Fraction | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise UsageError(
                f"--end {float(self.end):g} is not behind --start {float(self.start):g}"
            )
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"--frames is {self.frames}, allowed is 1 and more")

    @property
    def whole(self) -> bool:
        """Whether all of the clip is wanted."""
        return not self.start and self.end is None and self.frames is None


# A time that a clip may have, in seconds: thirty years.
LONGEST_S = 10**9


def parse_time(text: str) -> Fraction:
    """Seconds of "12.5", "1:30" or "1:02:03.5".

    Raises:
        ValueError: of another form.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    first, second, seconds = match[2], match[4], match[5]
    hours, minutes = (first, second) if second else ("0", first or "0")
    found = 3600 * Fraction(hours) + 60 * Fraction(minutes) + Fraction(seconds)
    if found > LONGEST_S:
        raise ValueError(text)
    return found


def open_excerpt(spec: str, span: Span, **reading: Unpack[SourceOptions]) -> Source:
    """`open_source`, for a part of it."""
    if span.whole:
        return open_source(spec, **reading)
    return Excerpt(spec, span, reading)


class Excerpt(Source):
    """A part of another source, with times from 0 and numbers from 0.

    Args:
        spec: of the other source.
        span: what is wanted of it.
        reading: options for it; `after` counts as this source counts.
        begins: seconds at which the excerpt begins, if that is known already.
    """

    def __init__(
        self, spec: str, span: Span, reading: SourceOptions, begins: Fraction | None = None
    ) -> None:
        self._span, self._number = span, 0
        options: SourceOptions = {**reading, "start": span.start}
        after = reading.get("after")
        if after is not None and begins is not None:
            options["after"] = (after[0], after[1] + begins)
            self._number = after[0] + 1
        self._source = open_source(spec, **options)
        self.seekable, self.returns = self._source.seekable, self._source.returns
        self._frames = iter(self._source)
        try:
            first = next((f for f in self._frames if f.time >= span.start), None)
        except BaseException:
            self.close()
            raise
        if first is None and after is None:
            self.close()
            raise SourceError(f'"{spec}" has no frame at or after {float(span.start):g} s')
        self._first = first
        if begins is None:
            begins = first.time if first is not None and span.start else Fraction(0)
        self.begins = begins
        self._describe()

    def _describe(self) -> None:
        span, info = self._span, self._source.info
        number = info.num_frames
        if span.end is not None and info.rate is not None:
            wanted = max(1, round((span.end - self.begins) * info.rate))
            number = wanted if number is None else min(number, wanted)
        if span.frames is not None:
            number = span.frames if number is None else min(number, span.frames)
        self.info = replace(info, num_frames=number)
        clip = self._source.clip
        if clip is not None:
            limited = span.end is not None or span.frames is not None
            timeline = clip.timeline.later(self.begins)
            clip = replace(clip, timeline=timeline, excerpt=limited)
        self.clip = clip
        self.damage, self.remarks = self._source.damage, self._source.remarks

    def __iter__(self) -> Iterator[Frame]:
        """Frames from the first one that is wanted, or from behind `after`."""
        first, self._first = self._first, None
        span = self._span
        for frame in chain(() if first is None else (first,), self._frames):
            if span.frames is not None and self._number >= span.frames:
                return
            duration = frame.duration
            if span.end is not None:
                if frame.time >= span.end:
                    return
                if duration is not None:
                    duration = min(duration, span.end - frame.time)
            yield replace(
                frame, time=frame.time - self.begins, index=self._number, duration=duration
            )
            self._number += 1

    @property
    def rest(self) -> Fraction | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As of the other source, in its time."""
        return self._source.rest

    def close(self) -> None:
        """Close the other source."""
        self._source.close()
