"""The unfinished state of a clip, on disk: closed segments of encoded video and a list of them.

Beside `out.mp4` lies the folder `out.mp4.parts` while it is being made:

    journal.jsonl     one header line (what is being made, from what, with which settings), then one
                      line per closed segment; a torn last line is ignored
    00000.seg ...     encoded packets of one segment (a closed group of pictures)
    ....painted, ....state   what is painted and in no segment yet (`runtime.clips.checkpoints`)
    placed.json       which file this run has put in place of the output: that one may be replaced

A segment is flushed to disk before its line is written, so what the journal lists survives a crash
or a power cut. The folder goes when the clip is finished; it counts as unfinished as long as it has
a listing. A picture sequence (`frames/%06d.png`) has such a folder, too; its "segments" are the
pictures themselves.
"""

import hashlib
import json
import os
import shutil
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from typing import IO, Annotated, Any, BinaryIO

from ..card import JsonObject
from ..errors import SinkError, SourceError, StyleError, UsageError
from ..fields import Between, fill
from ..inputs import inside
from ..outputs import LONGEST_NAME, check_folder, replacing, take_lock

FORMAT = 3  # 1 had no checksums, 2 a file for each painted frame
SUFFIX = ".parts"
# Of an encoder, which takes no more (FFmpeg's libavcodec).
MOST_THREADS = 1024
LISTING = "journal.jsonl"
PAINTED, STATE = ".painted", ".state"
PLACED = "placed.json"
# Bytes of an output's name that are kept where the folder's name would become too long.
KEPT_NAME = 160
# One packet: presentation time, duration, decoding order is file order; size of the data; key flag.
_RECORD = struct.Struct("<qqI?")


@dataclass(frozen=True)
class Packet:
    """One encoded picture: `time` and `duration` in ticks of the encoding, `data` its bytes."""

    time: int
    duration: int
    key: bool
    data: bytes


# What containers count in has 64 bits; half of it leaves room for sums.
Tick = Annotated[int, Between(-(2**62), 2**62)]
# Seconds: a thousand years.
LONGEST = 2**35


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
        checksum: CRC-32 of the file.
    """

    file: str
    frames: Annotated[int, Between(1, 10**9)]
    first: Annotated[int, Between(0, 10**12)]
    start: Tick
    end: Tick
    # Encoders reorder some twenty pictures at most.
    delay: Annotated[int, Between(0, 4096)]
    last_time: str
    restart: tuple[Annotated[int, Between(-1, 10**12)], str] | None = None
    short: bool = False
    damage: dict[str, int] = field(default_factory=dict)
    checksum: int = 0


class Journal:
    """The folder of one output. Made by `create` or `reopen`.

    Attributes:
        folder: where it lies.
        header: what is being made, and how.
        segments: what is whole.
        announced: names of files that an earlier run listed, whole or not.
    """

    def __init__(self, folder: Path, header: JsonObject, segments: list[Segment]) -> None:
        self.folder = folder
        self.header = header
        self.segments = segments
        self.announced: frozenset[str] = frozenset()
        self._lock = _lock(folder)

    @staticmethod
    def folder_for(output: Path) -> Path:
        """Where the unfinished state of `output` lives: beside it, whatever its name's length."""
        name = output.name + SUFFIX
        if len(os.fsencode(name)) > LONGEST_NAME:
            whole = os.fsencode(output.name)
            kept = whole[:KEPT_NAME].decode("utf-8", "ignore")
            name = f"{kept}-{hashlib.sha256(whole).hexdigest()[:16]}{SUFFIX}"
        return output.with_name(name)

    @staticmethod
    def is_unfinished(output: Path) -> bool:
        """Whether an unfinished state of `output` is there."""
        return (Journal.folder_for(output) / LISTING).is_file()

    @staticmethod
    def create(output: Path, header: JsonObject) -> "Journal":
        """Start anew; an older unfinished state is removed."""
        folder = Journal.folder_for(output)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_own(folder)
            check_folder(folder)
            journal = Journal(folder, {"format": FORMAT, **header}, [])
            journal.save()
            journal._remove_strays()
            for path in journal.painted():
                path.unlink()
        except OSError as error:
            raise SinkError(f'cannot write beside "{output}": {error.strerror}') from None
        return journal

    @staticmethod
    def reopen(output: Path, files: Path | None = None, *, short: bool = False) -> "Journal | None":
        """The unfinished state of `output`, or None if there is none.

        Short segments, and segments whose file is missing, cut or changed, end the list.

        Args:
            output: the file that is being made.
            files: folder in which the segments' files lie; None for the journal's own.
            short: keep short segments: nobody will paint them again.
        """
        folder = Journal.folder_for(output)
        try:
            lines = (folder / LISTING).read_text(encoding="utf-8").splitlines()
            header = json.loads(lines[0])
        except PermissionError as error:
            raise UsageError(f'"{folder}" cannot be read: {error.strerror}') from None
        except (OSError, ValueError, IndexError, RecursionError):
            return None
        _check_header(header, folder)
        _check_own(folder)
        listed = list(takewhile(lambda s: s is not None, map(_read_segment, lines[1:])))
        segments: list[Segment] = []
        for segment in listed:
            if segment is None or (segment.short and not short):
                break
            if not is_whole(files or folder, segment):
                break
            segments.append(segment)
        try:
            check_folder(folder)
            journal = Journal(folder, header, segments)
            journal.announced = frozenset(segment.file for segment in listed if segment)
            journal.save()
            journal._remove_strays()
        except OSError as error:
            raise SinkError(f'cannot write to "{folder}": {error.strerror}') from None
        return journal

    @property
    def frames(self) -> int:
        """Pictures in closed segments."""
        return sum(segment.frames for segment in self.segments)

    @property
    def delay(self) -> int:
        """Largest reordering of any segment."""
        return max((segment.delay for segment in self.segments), default=0)

    def require(self, **settings: object) -> None:
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
        data = b"".join(
            _RECORD.pack(packet.time, packet.duration, len(packet.data), packet.key) + packet.data
            for packet in packets
        )
        segment = Segment(
            file=name,
            frames=len(packets),
            first=self.frames,
            start=min(packet.time for packet in packets),
            end=max(packet.time + packet.duration for packet in packets),
            delay=reordering([packet.time for packet in packets]),
            checksum=zlib.crc32(data),
            **facts,
        )
        try:
            with open_for_writing(self.folder / name) as file:
                file.write(data)
                _sync(file)
            self.add(segment)
        except OSError as error:
            raise SinkError(
                f'cannot write to "{self.folder}" ({error.strerror}); the {self.frames} frames '
                "before are safe: free some space and run again with --resume"
            ) from None
        return segment

    def add(self, segment: Segment, *, sync: bool = True) -> None:
        """Add the line of a segment whose file is there, or comes next.

        Args:
            segment: the next one.
            sync: bring the line to disk before this returns; without, a power cut may lose it.
        """
        with (self.folder / LISTING).open("ab") as listing:
            listing.write(json.dumps(asdict(segment)).encode() + b"\n")
            if sync:
                _sync(listing)
        self.segments.append(segment)

    def will_place(self, path: Path) -> None:
        """Remember a finished file that is about to get the output's name."""
        with replacing(self.folder / PLACED) as temporary:
            temporary.write_text(json.dumps(_identity(path)), encoding="utf-8")

    def wrote(self, output: Path) -> bool:
        """Whether the file that is there was put there by this run, or the run it continues."""
        try:
            known = json.loads((self.folder / PLACED).read_text(encoding="utf-8"))
            return bool(known == _identity(output))
        except (OSError, ValueError, RecursionError):
            return False

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
        # The listing first: from here on there is nothing to resume, whenever this is killed.
        (self.folder / LISTING).unlink(missing_ok=True)
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def save(self) -> None:
        """Write the listing anew, atomically (drops torn and untrusted lines)."""
        lines = [self.header, *(asdict(segment) for segment in self.segments)]
        with replacing(self.folder / LISTING) as temporary, temporary.open("wb") as file:
            for line in lines:
                file.write(json.dumps(line).encode() + b"\n")
            _sync(file)

    def painted(self) -> list[Path]:
        """Files of what is painted and in no segment yet, and of what was remembered then."""
        return [path for kind in (PAINTED, STATE) for path in self.folder.glob(f"*{kind}")]

    def _remove_strays(self) -> None:
        """What a killed run left in the folder and no line names."""
        known = {segment.file for segment in self.segments}
        for path in [*self.folder.glob("*.seg"), *self.folder.glob(".impasto-*.part*")]:
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


def identity_of(path: Path | None) -> dict[str, str | int]:
    """What tells whether a source file is still the one a run began with."""
    if path is None:
        return {}
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f'cannot read "{path}": {error.strerror}') from None
    return {"input": str(path.resolve()), "bytes": status.st_size, "modified": status.st_mtime_ns}


def _identity(path: Path) -> dict[str, int]:
    """What tells whether a file is still the one that was written."""
    status = path.stat()
    return {"inode": status.st_ino, "bytes": status.st_size, "modified": status.st_mtime_ns}


def _check_own(folder: Path) -> None:
    """Raises UsageError unless the folder is one, no link, and of this user."""
    status = folder.lstat()
    foreign = hasattr(os, "geteuid") and status.st_uid != os.geteuid()
    if not stat.S_ISDIR(status.st_mode) or foreign:
        raise UsageError(
            f'"{folder}" is needed for unfinished work and belongs to someone else or is no '
            "folder; remove it, or write the output elsewhere"
        )


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _read_segment(line: str) -> Segment | None:
    """The segment of a line; None for a torn or a damaged one."""
    try:
        segment = fill(Segment, json.loads(line), "a segment", "fact")
    except (StyleError, TypeError, AttributeError, ValueError, RecursionError):
        return None
    return segment if plausible(segment) else None


def plausible(segment: Segment) -> bool:
    """Whether what is said of a segment can be true."""
    times = [segment.last_time, *([segment.restart[1]] if segment.restart else [])]
    try:
        return segment.delay < segment.frames and all(abs(Fraction(t)) < LONGEST for t in times)
    except (ValueError, ArithmeticError):
        return False


def is_whole(folder: Path, segment: Segment) -> bool:
    """Whether a segment's file is there and still what was written."""
    try:
        data = inside(folder, segment.file, f'the journal of "{folder}"').read_bytes()
    except (OSError, StyleError):
        return False
    return zlib.crc32(data) == segment.checksum


def _check_header(header: object, folder: Path) -> None:
    """Raises UsageError unless the first line of a journal is one of ours."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UsageError(f'"{folder}" was made by another version; remove it or use --overwrite')
    threads = header.get("threads", 0)
    good = isinstance(threads, int) and 0 <= threads <= MOST_THREADS
    if not good or not isinstance(header.get("settings", {}), dict):
        raise UsageError(f'the journal in "{folder}" is damaged; remove it or use --overwrite')


def _lock(folder: Path) -> IO[bytes] | None:
    """Keep a second process away from the folder; the system lifts the lock when we die.

    Raises:
        OutputExists: another process is working on this output.
        UsageError: the folder cannot be written to.
    """
    output = folder.name.removesuffix(SUFFIX)
    return take_lock(folder / "lock", f'another run is writing "{output}"; wait for it to end')


def seconds(text: str) -> Fraction:
    """Read a time stored as "numerator/denominator"."""
    return Fraction(text)
