"""From closed segments and the original clip to the finished file: one pass, nothing re-encoded.

The file is written under a temporary name beside the output, counted again packet by packet, and
only then renamed. The same function makes the playable file of an interrupted run.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputExists, SinkError
from ..inputs import file_address
from ..outputs import replacing
from ..provenance import Provenance, carriers, xmp
from ..provenance.signing import Signer
from . import alpha, encoders, matroska, streams, timecode
from .container import open_container
from .encoders import Encoding
from .journal import Journal
from .timeline import Timeline
from .verify import verify

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer, OutputContainer
    from av.container.core import Chapter
    from av.video.stream import VideoStream

MUXERS = {
    ".mp4": "mp4",
    ".m4v": "ipod",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".gif": "gif",
    ".webp": "webp",
    ".apng": "apng",
}
# Matroska counts milliseconds.
MATROSKA_TICK = Fraction(1, 1000)
LARGEST_TIMESCALE = 2**31 - 1
# Tags that mp4 has a place for (FFmpeg's movenc); others need its free-form table.
MP4_TAGS = frozenset(
    {
        "title",
        "artist",
        "album",
        "album_artist",
        "comment",
        "composer",
        "copyright",
        "creation_time",
        "date",
        "description",
        "encoding_tool",
        "genre",
        "grouping",
        "keywords",
        "location",
        "lyrics",
        "show",
        "synopsis",
        "timecode",
        "track",
    }
)


@dataclass
class Joined:
    """What was written.

    Attributes:
        frames: pictures in the file, counted by reading it again.
        audio: what happened to the sound streams, one word each ("copied", "transcoded", ...).
        notes: what a user should know.
        failed: True if something asked for could not be carried over.
    """

    frames: int = 0
    audio: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    failed: bool = False


def tick_for(muxer: str, time_base: Fraction) -> Fraction:
    """Seconds per tick of the video in such an output; exact for `time_base` where possible."""
    if muxer in streams.MATROSKA:
        return MATROSKA_TICK
    if time_base.denominator > LARGEST_TIMESCALE:
        return Fraction(1, 90_000)  # the clock of MPEG systems
    return Fraction(1, time_base.denominator)


@dataclass(frozen=True)
class Parts:
    """What a finished file is put together from.

    Attributes:
        journal: its segments.
        encoding: how they were encoded.
        output: where the finished file goes.
        source: file that holds the other streams, None if there are none.
        mappings: what becomes of them.
        timeline: of the source.
        whole: False if other streams end with the pictures: an interrupted clip, or an excerpt.
        overwrite: replace what is there even if it is not of this run.
        verify: decode the file and compare its pictures with the journal before it gets its name.
        provenance: what made the pictures, said in the file; None for nothing.
        signer: signs what is said there; None for nobody.
    """

    journal: Journal
    encoding: Encoding
    output: Path
    source: Path | None = None
    mappings: list[streams.StreamMapping] = field(default_factory=list[streams.StreamMapping])
    timeline: Timeline = field(default_factory=Timeline)
    whole: bool = True
    overwrite: bool = False
    verify: bool = False
    provenance: Provenance | None = None
    signer: Signer | None = None

    @property
    def muxer(self) -> str:
        """FFmpeg's name of the output's format."""
        return MUXERS[self.output.suffix.lower()]

    @property
    def until(self) -> Fraction | None:
        """Seconds behind which nothing of other streams is written; None for no limit."""
        return None if self.whole else self.journal.segments[-1].end * self.encoding.time_base


def assemble(parts: Parts) -> Joined:
    """Write the file, of whatever kind its name says; as `join`."""
    suffix = parts.output.suffix.lower()
    if suffix == ".gif":
        from .gif import join_gif

        return join_gif(parts)
    if suffix in encoders.ANIMATIONS:
        from .animation import join_animation

        return join_animation(parts)
    return join(parts)


def join(parts: Parts) -> Joined:
    """Write the file.

    Raises:
        SinkError: disk full, or the file does not hold what it must.
        OutputExists: a file of this name appeared meanwhile.
    """
    with writing(parts.journal, parts.output, parts.overwrite) as temporary:
        result = _write_what_goes(parts, temporary)
        sign(parts, temporary)
        check(parts, result, temporary)
    return result


def sign(parts: Parts, path: Path) -> None:
    """Say in a written file what made it (Matroska's tags do already), and sign that if somebody
    does; the source's XMP stays."""
    suffix = parts.output.suffix.lower()
    owners = b""
    if parts.source is not None and suffix in carriers.MP4:
        owners = carriers.read_mp4(parts.source)
    packet = owners if parts.provenance is None else xmp.state(parts.provenance, owners)
    if packet:
        carriers.append(path, suffix, packet)
    if parts.signer is not None and parts.provenance is not None:
        parts.signer.sign(path, parts.output, parts.provenance)


def check(parts: Parts, result: Joined, path: Path) -> None:
    """Count the pictures of a file that was written, and decode them if that is asked for.

    Raises:
        SinkError: it does not hold what it must.
    """
    result.frames = count_pictures(path)
    if result.frames != parts.journal.frames:
        raise SinkError(
            f"{parts.journal.frames} frames went in, {result.frames} are in {path.name}: "
            "is the disk full?"
        )
    if parts.verify:
        result.notes.append(verify(path, parts.output.name, parts.journal, parts.encoding))


def _write_what_goes(parts: Parts, path: Path) -> Joined:
    """As `_write`; a stream that cannot be carried after all never costs the pictures."""
    fallen: list[streams.StreamMapping] = []
    while True:
        try:
            result = _write(parts, path)
        except streams.CarryError as error:
            at = [mapping.index for mapping in parts.mappings].index(error.index)
            assert parts.source is not None  # its stream failed
            with open_container(parts.source, str(parts.source)) as container:
                changed = streams.fall_back(container, parts.mappings[at], parts.muxer, str(error))
            mappings = [*parts.mappings[:at], changed, *parts.mappings[at + 1 :]]
            parts = replace(parts, mappings=mappings)
            fallen = [*(entry for entry in fallen if entry.index != error.index), changed]
            continue
        result.notes += [mapping.note for mapping in fallen]
        result.failed = any(mapping.lost for mapping in fallen)
        return result


@contextmanager
def writing(journal: Journal, output: Path, overwrite: bool) -> Iterator[Path]:
    """A file in the journal's folder that becomes the output, once it is whole.

    Args:
        journal: told which file is ours before it gets its name, so that a later run may replace
            it.
        output: its name; what is there and not of this run stays unless `overwrite`.

    Raises:
        SinkError: it cannot be written; the segments are still there.
        OutputExists: the name was taken meanwhile; likewise.
    """
    import av

    ours = overwrite or journal.wrote(output)
    try:
        with replacing(output, overwrite=ours, folder=journal.folder) as temporary:
            yield temporary
            journal.will_place(temporary)
    except OutputExists as error:
        raise OutputExists(
            f"{error}; the {journal.frames} painted frames are safe: move it away and run again "
            "with --resume"
        ) from None
    except (av.FFmpegError, OSError) as error:
        raise SinkError(_disk_words(error, output)) from None


def _disk_words(error: BaseException, output: Path) -> str:
    if getattr(error, "errno", None) == errno.ENOSPC:
        return (
            f'the disk is full, "{output}" could not be finished; the painted frames are safe: '
            "free some space and run again with --resume"
        )
    return f'"{output}" could not be written: {getattr(error, "strerror", None) or error}'


def _write(parts: Parts, path: Path) -> Joined:
    import av

    encoding, muxer = parts.encoding, parts.muxer
    result = Joined()
    original = None
    if parts.source is not None:
        original = open_container(parts.source, str(parts.source))
    options = _muxer_options(muxer, encoding, original)
    output = av.open(file_address(path), "w", format=muxer, options=options)
    carrier = None
    try:
        video = output.add_stream(encoding.encoder, rate=encoding.rate)
        encoders.configure(video.codec_context, encoding, muxer)
        video.time_base = encoding.time_base
        if original is not None:
            carrier = streams.Carrier(original, output, parts.mappings, parts.timeline, parts.until)
            _carry_metadata(original, output, video, parts)
        if parts.provenance is not None and muxer in streams.MATROSKA:
            output.metadata.update(carriers.tags(parts.provenance))
        if alpha.is_beside(encoding):
            video.metadata["alpha_mode"] = "1"
        shaped = muxer in streams.MATROSKA and encoding.sample_aspect_ratio != 1
        if shaped:
            video.metadata["title"] = matroska.reserve(video.metadata.get("title", ""))
        _start(output, carrier, parts.mappings)
        _mux(output, video, parts.journal, encoding, carrier)
        output.close()
        if shaped:
            matroska.set_pixel_shape(
                path, encoding.width, encoding.height, encoding.sample_aspect_ratio
            )
    finally:
        output.close()
        if original is not None:
            original.close()
    if carrier is not None:
        _report(result, carrier, parts.mappings)
    return result


# What is given up first if a header is refused and nothing says why.
LEAST_FIRST = ("data", "attachment", "picture", "subtitle", "audio")


def _start(
    output: OutputContainer, carrier: streams.Carrier | None, mappings: list[streams.StreamMapping]
) -> None:
    import av

    try:
        output.start_encoding()
    except (av.FFmpegError, ValueError) as error:
        carried = [mapping for mapping in mappings if mapping.action != "drop"]
        if carrier is None or not carried or getattr(error, "errno", None) == errno.ENOSPC:
            raise
        first = min(carried, key=lambda mapping: LEAST_FIRST.index(mapping.kind))
        reason = getattr(error, "strerror", None) or error
        raise streams.CarryError(first.index, f"the header is refused: {reason}") from None


def _muxer_options(
    muxer: str, encoding: Encoding, original: InputContainer | None
) -> dict[str, str]:
    if muxer not in streams.MP4:
        return {}
    scale = str(encoding.time_base.denominator)
    flags = "+faststart"  # the index before the pictures, so that browsers can start at once
    if original is not None:
        rest = {key.lower().split("-")[0] for key in streams.clean(original.metadata)} - MP4_TAGS
        flags += "+use_metadata_tags" if rest else ""
    # Both clocks count in the video's ticks, so that starts and durations are exact.
    return {"movflags": flags, "video_track_timescale": scale, "movie_timescale": scale}


def _carry_metadata(
    original: InputContainer, output: OutputContainer, video: VideoStream, parts: Parts
) -> None:
    output.metadata.update(streams.clean(original.metadata))
    painted = {stream.index for stream in original.streams} - {
        mapping.index for mapping in parts.mappings
    }
    for stream in original.streams.video:
        if stream.index in painted:
            video.metadata.update(streams.clean(stream.metadata))
            # A cover that is painted itself is the video now.
            video.disposition = int(stream.disposition) & ~streams.ATTACHED_PIC
    if parts.timeline.skipped:
        for tags in (output.metadata, video.metadata):
            _advance_timecode(tags, parts)
    chapters = [_earlier(chapter, parts.timeline.start) for chapter in original.chapters()]
    if parts.until is not None:
        chapters = [_ended(chapter, parts.until) for chapter in chapters]
    chapters = [chapter for chapter in chapters if chapter["end"] > chapter["start"]]
    if chapters:
        output.set_chapters(chapters)


def _advance_timecode(tags: dict[str, str], parts: Parts) -> None:
    """Let it name the first frame that is in the file."""
    for name in [name for name in tags if name.lower() == "timecode"]:
        code = timecode.advance(tags.pop(name), parts.timeline.skipped, parts.encoding.rate)
        if code is not None:
            tags[name] = code


def _ended(chapter: Chapter, until: Fraction) -> Chapter:
    """A chapter that ends with the pictures."""
    return {**chapter, "end": min(chapter["end"], round(until / chapter["time_base"]))}


def _earlier(chapter: Chapter, start: Fraction) -> Chapter:
    """A chapter of a file that begins at `start`, counted from 0."""
    base = chapter["time_base"]
    ticks = round(start * Fraction(base.denominator, base.numerator))
    return {
        **chapter,
        "start": max(0, chapter["start"] - ticks),
        "end": max(0, chapter["end"] - ticks),
    }


def _mux(
    output: OutputContainer,
    video: VideoStream,
    journal: Journal,
    encoding: Encoding,
    carrier: streams.Carrier | None,
) -> None:
    """Write pictures and everything else in the order of their times."""
    others = carrier.packets() if carrier is not None else iter(())
    waiting = next(others, None)
    for packet, decoding in _pictures(journal, video, encoding):
        moment = decoding * encoding.time_base
        while waiting is not None and waiting[0] <= moment:
            _mux_other(output, waiting[1], waiting[2])
            waiting = next(others, None)
        output.mux_one(packet)
    while waiting is not None:
        _mux_other(output, waiting[1], waiting[2])
        waiting = next(others, None)


def _mux_other(output: OutputContainer, packet: Packet, index: int) -> None:
    import av

    try:
        output.mux_one(packet)
    except av.FFmpegError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise streams.CarryError(index, str(error.strerror)) from None


def _pictures(
    journal: Journal, video: VideoStream, encoding: Encoding
) -> Iterator[tuple[Packet, int]]:
    import av

    beside = alpha.is_beside(encoding)
    for stored, decoding in journal.packets():
        packet = alpha.unpack(stored.data) if beside else av.Packet(stored.data)
        packet.stream = video
        packet.time_base = encoding.time_base
        packet.pts, packet.dts, packet.duration = stored.time, decoding, stored.duration
        packet.is_keyframe = stored.key
        yield packet, decoding


def _report(
    result: Joined, carrier: streams.Carrier, mappings: list[streams.StreamMapping]
) -> None:
    words = {"copy": "copied", "transcode": "transcoded", "drop": "left out"}
    for mapping in mappings:
        if mapping.kind == "audio":
            result.audio.append(f"{words[mapping.action]}")
        lost = carrier.lost[mapping.index]
        if lost:
            result.notes.append(
                f"{mapping.kind} stream {mapping.index}: {lost} damaged packets left out"
            )


def count_pictures(path: Path) -> int:
    """How many pictures a finished file holds, by reading all its packets."""
    with open_container(path, path.name) as container:
        stream = next(s for s in container.streams.video if not int(s.disposition) & 1 << 10)
        return sum(packet.size > 0 for packet in container.demux(stream))
