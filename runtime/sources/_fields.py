"""Interlaced pictures: two fields, a fiftieth of a second apart, in one. Where things move, their
edges look like combs, and a network paints the combs.

FFmpeg's bwdif makes one whole picture of each: it keeps the first field and estimates the lines of
the second from the neighbors in space and time (Martin Weston's filter, BBC R&D, with yadif's
motion test).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from av import VideoFrame

DEINTERLACE = ("auto", "off")


def deinterlaced(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """The decoded frames, those that say they are interlaced made whole; as many as come in, each
    with its time.

    The filter is set up at the first interlaced frame, with the frame before it, so that the result
    does not depend on where decoding began.
    """
    bobbing: _Filter | None = None
    before: VideoFrame | None = None
    for frame in frames:
        shape = (frame.width, frame.height, frame.format.name)
        if bobbing is not None and bobbing.shape != shape:
            yield from bobbing.finish()
            bobbing = before = None
        if bobbing is None and frame.interlaced_frame:
            bobbing = _Filter(frame, shape)
            if before is not None and (before.width, before.height, before.format.name) == shape:
                bobbing.push(before)
                bobbing.skip = 1  # it was given out as it is
        if bobbing is None:
            yield frame
            before = frame
            continue
        bobbing.push(frame)
        yield from bobbing.pull()
    if bobbing is not None:
        yield from bobbing.finish()


class _Filter:
    """FFmpeg's filter for frames of one shape.

    Attributes:
        skip: pictures that are not given out.
    """

    def __init__(self, frame: VideoFrame, shape: tuple[int, int, str]) -> None:
        import av
        import av.filter

        self.shape, self.skip = shape, 0
        self._base = Fraction(1, 1)
        self._times: list[tuple[int | None, Fraction | None, int | None]] = []
        graph = self._graph = av.filter.Graph()
        self._source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=self._base
        )
        bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
        self._sink = graph.add("buffersink")
        self._source.link_to(bwdif)
        bwdif.link_to(self._sink)
        graph.configure(auto_buffer=False)
        self._number = 0

    def push(self, frame: VideoFrame) -> None:
        """One frame in. Its times are kept here: decoders leave some out, filters scale them."""
        self._times.append((frame.pts, frame.dts, frame.duration))
        self._bases = frame.time_base
        frame.pts, frame.time_base = self._number, self._base
        self._number += 1
        self._source.push(frame)

    def pull(self) -> Iterator[VideoFrame]:
        """What has come out, with the times of what went in."""
        import av

        while True:
            try:
                frame = self._sink.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            pts, dts, duration = self._times.pop(0)
            frame.pts, frame.time_base, frame.duration = pts, self._bases, duration
            if pts is None and dts is not None:
                frame.pts = dts
            if self.skip:
                self.skip -= 1
                continue
            yield frame

    def finish(self) -> Iterator[VideoFrame]:
        """The rest."""
        self._source.push(None)
        yield from self.pull()
