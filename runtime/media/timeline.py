"""One timeline for all streams of a file: from 0, without jumps.

    time = timestamp - start of the file + offset of the piece the packet lies in

The start is the earliest of sound and pictures (recordings of broadcasts begin at 95 000 seconds as
well as at 0). MPEG streams may jump: two recordings one after the other, a clock that was set. Each
jump begins a new piece, and all streams of a piece get one offset, so that sound and pictures keep
their distance; it is the smallest that lets no stream run backwards.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer

# Formats whose timestamps may jump (FFmpeg's AVFMT_TS_DISCONT, for files).
JUMPING = frozenset({"mpeg", "mpegts"})
# A step forward by more than this many seconds is a jump, as for ffmpeg (dts_delta_threshold), and
# so is a step back by more than the other: B-frames and rounding account for less.
FORWARD, BACKWARD = Fraction(10), Fraction(1, 10)
ATTACHED_PIC = 1 << 10  # AV_DISPOSITION_ATTACHED_PIC


@dataclass(frozen=True)
class Timeline:
    """What to subtract from the timestamps of a file.

    Attributes:
        start: seconds.
        pieces: for each stream the places in the file (bytes) where its pieces begin, ascending,
            and the offset of each, in seconds; empty where nothing jumps.
        skipped: seconds of the clip that lie before its time 0, because an excerpt begins there.
    """

    start: Fraction = Fraction(0)
    pieces: dict[int, list[tuple[int, Fraction]]] = field(default_factory=dict)
    skipped: Fraction = Fraction(0)

    def later(self, seconds: Fraction) -> Timeline:
        """The timeline of an excerpt that begins so many seconds into the clip."""
        return replace(self, start=self.start + seconds, skipped=self.skipped + seconds)

    @property
    def jumps(self) -> int:
        """How often the timestamps jump."""
        return max((len(pieces) for pieces in self.pieces.values()), default=1) - 1

    def seconds(self, index: int, position: int | None = None) -> Fraction:
        """What is added to a timestamp.

        Args:
            index: of the stream.
            position: of the packet in the file; None for its beginning.
        """
        pieces = self.pieces.get(index)
        if not pieces:
            return -self.start
        at = bisect.bisect_right([place for place, _ in pieces], position or 0)
        return pieces[max(0, at - 1)][1] - self.start


class Adjuster:
    """Brings packets of one reading of a file, in the order of the file, onto its timeline."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._positions: dict[int, int] = {}

    def __call__(self, packet: Packet) -> None:
        """Change the timestamps of a packet."""
        index, base = packet.stream.index, packet.time_base
        if packet.pos is not None and packet.pos >= 0:
            # Packets that FFmpeg cuts from a larger one do not say where they were.
            self._positions[index] = packet.pos
        shift = self._timeline.seconds(index, self._positions.get(index))
        ticks = round(shift * Fraction(base.denominator, base.numerator))
        if ticks:
            pts, dts = packet.pts, packet.dts
            packet.pts = None if pts is None else pts + ticks
            packet.dts = None if dts is None else dts + ticks


def read_timeline(
    container: InputContainer, again: Callable[[], InputContainer] | None = None
) -> Timeline:
    """The timeline of an open file.

    Args:
        container: open for reading; nothing is read from it.
        again: opens the same file once more, to look for jumps; None if it can be read only once.
    """
    start = _start(container)
    if again is None or container.format.name not in JUMPING:
        return Timeline(start)
    with again() as other:
        return Timeline(start, _pieces(other))


def _start(container: InputContainer) -> Fraction:
    starts = [
        stream.start_time * fraction(stream.time_base)
        for stream in container.streams
        if stream.type in ("audio", "video")
        and stream.start_time is not None
        and not int(stream.disposition) & ATTACHED_PIC
    ]
    return min(starts, default=Fraction(0))


@dataclass
class _Piece:
    """One stream within one piece: where it begins in the file, and its times."""

    number: int
    position: int
    first: Fraction
    end: Fraction


def _pieces(container: InputContainer) -> dict[int, list[tuple[int, Fraction]]]:
    """The pieces of each stream of a file that may jump, by reading all its packets."""
    import av

    found: dict[int, list[_Piece]] = {}
    latest = 0
    packets = container.demux()
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            break
        if packet is None:
            break
        if packet.dts is None or not packet.size:
            continue
        base = fraction(packet.time_base)
        time, length = packet.dts * base, (packet.duration or 0) * base
        mine = found.setdefault(packet.stream.index, [])
        if mine:
            step = time - mine[-1].end
            if -BACKWARD <= step <= FORWARD:
                mine[-1].end = max(mine[-1].end, time + length)
                continue
            # The first stream to jump opens the next piece, the others follow.
            latest += mine[-1].number == latest
        mine.append(_Piece(latest if mine else 0, packet.pos or 0, time, time + length))
    return _offsets(found, latest) if latest else {}


def _offsets(found: dict[int, list[_Piece]], latest: int) -> dict[int, list[tuple[int, Fraction]]]:
    offsets = [Fraction(0)]
    for number in range(1, latest + 1):
        needed = [
            before.end + offsets[before.number] - piece.first
            for pieces in found.values()
            for before, piece in pairwise(pieces)
            if piece.number == number
        ]
        offsets.append(max(needed, default=offsets[-1]))
    return {
        index: [(piece.position, offsets[piece.number]) for piece in pieces]
        for index, pieces in found.items()
    }


def fraction(value: Fraction) -> Fraction:
    """PyAV's rationals as `Fraction` (newer versions have a type of their own)."""
    return Fraction(value.numerator, value.denominator)
