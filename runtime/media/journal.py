"""The unfinished state of a clip, on disk: closed segments of encoded video and a list of them.

Beside `out.mp4` lies the folder `out.mp4.parts` while it is being made:

    journal.jsonl     one header line (what is being made, from what, with which settings), then one
                      line per closed segment; a torn last line is ignored
    00000.seg ...     encoded packets of one segment (a closed group of pictures)

A segment is flushed to disk before its line is written, so what the journal lists survives a crash
or a power cut. The folder goes when the clip is finished.
"""

import json
import os
import shutil
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import OutputExists, SinkError, SourceError, UsageError

FORMAT = 1
SUFFIX = ".parts"
LISTING = "journal.jsonl"
# One packet: presentation time, duration, decoding order is file order; size of the data; key flag.
_RECORD = struct.Struct("<qqI?")


@dataclass(frozen=True)
class Packet:
    """One encoded picture: `time` and `duration` in ticks of the encoding, `data` its bytes."""

    time: int
    duration: int
    key: bool
    data: bytes


@dataclass(frozen=True)
class Segment:
    """A closed piece of the encoded video.

    Attributes:
        file: its name in the folder.
        frames: pictures in it; `first` is the index of the first one in the clip.
        start, end: ticks of its first picture and of the end of its last.
        delay: how many pictures decoding order runs ahead of showing order at most.
        last_time: time of its last frame in the source, as "numerator/denominator".
        restart: index and time of the frame behind which a run must paint again to continue behind
            this segment with the same result (index -1: from the beginning; None: nothing needs
            repainting).
        short: closed early by an interruption; painted again when the run is resumed, so that
            the result does not depend on where it was interrupted.
        damage: what the source counted so far.
    """

    file: str
    frames: int
    first: int
    start: int
    end: int
    delay: int
    last_time: str
    restart: tuple[int, str] | None = None
    short: bool = False
    damage: dict[str, int] = field(default_factory=dict)


class Journal:
    """The folder of one output. Made by `create` or `reopen`."""

    def __init__(self, folder: Path, header: dict[str, Any], segments: list[Segment]) -> None:
        self.folder = folder
        self.header = header
        self.segments = segments
        self._lock = _lock(folder)

    @staticmethod
    def folder_for(output: Path) -> Path:
        """Where the unfinished state of `output` lives."""
        return output.with_name(output.name + SUFFIX)

    @staticmethod
    def create(output: Path, header: dict[str, Any]) -> "Journal":
        """Start anew; an older unfinished state is removed."""
        folder = Journal.folder_for(output)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            journal = Journal(folder, {"format": FORMAT, **header}, [])
            journal._rewrite()
            journal._remove_strays()
        except OSError as error:
            raise SinkError(f'cannot write beside "{output}": {error.strerror}') from None
        return journal

    @staticmethod
    def reopen(output: Path) -> "Journal | None":
        """The unfinished state of `output`, or None if there is none.

        Short segments, and segments whose file is missing or cut, end the list.
        """
        folder = Journal.folder_for(output)
        try:
            lines = (folder / LISTING).read_text(encoding="utf-8").splitlines()
            header = json.loads(lines[0])
        except (OSError, IndexError, json.JSONDecodeError):
            return None
        if header.get("format") != FORMAT:
            raise UsageError(
                f'"{folder}" was made by another version; remove it or use --overwrite'
            )
        segments: list[Segment] = []
        for line in lines[1:]:
            segment = _read_segment(line)
            if segment is None or segment.short or not _is_whole(folder / segment.file, segment):
                break
            segments.append(segment)
        journal = Journal(folder, header, segments)
        journal._rewrite()
        journal._remove_strays()
        return journal

    @property
    def frames(self) -> int:
        """Pictures in closed segments."""
        return sum(segment.frames for segment in self.segments)

    @property
    def delay(self) -> int:
        """Largest reordering of any segment."""
        return max((segment.delay for segment in self.segments), default=0)

    def require(self, **settings: Any) -> None:
        """Check that a run to be resumed was started with the same settings.

        Raises:
            UsageError: naming each difference.
        """
        # Through JSON, so that tuples and lists, the only difference it makes, compare equal.
        wanted = json.loads(json.dumps(settings))
        known = self.header.get("settings", {})
        names = sorted({*wanted, *known})
        changed = [
            f"{name} was {known.get(name)}, is {wanted.get(name)}"
            for name in names
            if known.get(name) != wanted.get(name)
        ]
        if changed:
            raise UsageError(
                f"cannot resume with other settings ({'; '.join(changed)}); "
                "use the same, or --overwrite to begin anew"
            )

    def write_segment(self, packets: list[Packet], **facts: Any) -> Segment:
        """Store one closed segment; when this returns it survives a power cut.

        Args:
            packets: in decoding order.
            facts: fields of `Segment` other than file, frames, first, start, end and delay.

        Raises:
            SinkError: the disk is full or fails; what was stored before is untouched.
        """
        name = f"{len(self.segments):05}.seg"
        segment = Segment(
            file=name,
            frames=len(packets),
            first=self.frames,
            start=min(packet.time for packet in packets),
            end=max(packet.time + packet.duration for packet in packets),
            delay=reordering([packet.time for packet in packets]),
            **facts,
        )
        try:
            with open_for_writing(self.folder / name) as file:
                for packet in packets:
                    size = len(packet.data)
                    file.write(_RECORD.pack(packet.time, packet.duration, size, packet.key))
                    file.write(packet.data)
                _sync(file)
            with (self.folder / LISTING).open("ab") as listing:
                listing.write(json.dumps(asdict(segment)).encode() + b"\n")
                _sync(listing)
        except OSError as error:
            raise SinkError(
                f'cannot write to "{self.folder}" ({error.strerror}); the {self.frames} frames '
                "before are safe: free some space and run again with --resume"
            ) from None
        self.segments.append(segment)
        return segment

    def read_segment(self, segment: Segment) -> list[Packet]:
        """The packets of a segment, in decoding order."""
        packets = []
        with (self.folder / segment.file).open("rb") as file:
            while head := file.read(_RECORD.size):
                time, duration, size, key = _RECORD.unpack(head)
                packets.append(Packet(time, duration, key, file.read(size)))
        return packets

    def packets(self) -> Iterator[tuple[Packet, int]]:
        """All packets with a decoding time each, both in ticks, in decoding order.

        The decoding time of packet i is the i-th smallest presentation time, `delay` pictures
        earlier: increasing, never later than the picture is shown, and the same whether a clip was
        made in one run or in several.
        """
        delay = self.delay
        earlier: list[int] = []
        for segment in self.segments:
            packets = self.read_segment(segment)
            times = sorted(packet.time for packet in packets)
            if segment is self.segments[0] and delay:
                earlier = self._first_decoding_times(times, packets)
            queue = earlier + times
            yield from zip(packets, queue, strict=False)
            earlier = queue[len(packets) :]

    def _first_decoding_times(self, times: list[int], packets: list[Packet]) -> list[int]:
        """Decoding times of the first `delay` packets: one nominal frame apart before `times[0]`.

        The very first is moved (by rounding errors of the clock, if at all) so that the span of
        decoding times plus the last packet's duration is the clip's duration: mp4 files state that
        sum as the length of the track.
        """
        delay, step = self.delay, max(1, packets[0].duration)
        if len(times) > 1:
            step = max(1, times[1] - times[0])
        earlier = [times[0] - step * (delay - k) for k in range(delay)]
        tail: list[int] = []
        for segment in reversed(self.segments):
            tail += [packet.time for packet in self.read_segment(segment)]
            if len(tail) > delay:
                break
        if len(tail) > delay:
            final = self.read_segment(self.segments[-1])[-1]
            length = self.segments[-1].end - self.segments[0].start
            exact = sorted(tail)[-1 - delay] + final.duration - length
            if exact < (earlier[1] if delay > 1 else times[0]):
                earlier[0] = exact
        return earlier

    def close(self) -> None:
        """Let another process take over; may be called twice."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def remove(self) -> None:
        """The output is finished: the folder goes."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _rewrite(self) -> None:
        """Write the listing anew, atomically (drops torn and untrusted lines)."""
        lines = [self.header, *(asdict(segment) for segment in self.segments)]
        temporary = self.folder / (LISTING + ".new")
        with temporary.open("wb") as file:
            for line in lines:
                file.write(json.dumps(line).encode() + b"\n")
            _sync(file)
        temporary.replace(self.folder / LISTING)

    def _remove_strays(self) -> None:
        known = {segment.file for segment in self.segments}
        for path in self.folder.glob("*.seg"):
            if path.name not in known:
                path.unlink()


def reordering(times: list[int]) -> int:
    """How many pictures decoding order runs ahead of showing order at most, for one segment.

    With d = this number, the (i - d)-th smallest time is never later than times[i].
    """
    rank = {time: index for index, time in enumerate(sorted(times))}
    return max((index - rank[time] for index, time in enumerate(times)), default=0)


def open_for_writing(path: Path) -> BinaryIO:
    """`path.open("wb")`; a function of its own so that tests can fill the disk."""
    return path.open("wb")


def identity_of(path: Path | None) -> dict[str, Any]:
    """What tells whether a source file is still the one a run began with."""
    if path is None:
        return {}
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f'cannot read "{path}": {error.strerror}') from None
    return {"input": str(path.resolve()), "bytes": status.st_size, "modified": status.st_mtime_ns}


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _read_segment(line: str) -> Segment | None:
    try:
        values = json.loads(line)
        if values.get("restart") is not None:
            values["restart"] = (int(values["restart"][0]), str(values["restart"][1]))
        return Segment(**values)
    except (json.JSONDecodeError, TypeError, AttributeError, ValueError):
        return None


def _is_whole(path: Path, segment: Segment) -> bool:
    """Whether a segment's file holds as many whole packets as the journal says."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            count = position = 0
            while head := file.read(_RECORD.size):
                if len(head) < _RECORD.size:
                    return False
                position += _RECORD.size + _RECORD.unpack(head)[2]
                file.seek(position)
                count += 1
    except OSError:
        return False
    return count == segment.frames and position == size


def _lock(folder: Path) -> Any:
    """Keep a second process away from the folder; the system lifts the lock when we die.

    Raises:
        OutputExists: another process is working on this output.
    """
    try:
        import fcntl
    except ImportError:  # Windows: no advisory locks, two runs on one output are the user's care
        return None
    file = (folder / "lock").open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OutputExists(
            f'another run is writing "{folder.name.removesuffix(SUFFIX)}"; wait for it to end'
        ) from None
    return file


def seconds(text: str) -> Fraction:
    """Read a time stored as "numerator/denominator"."""
    return Fraction(text)
