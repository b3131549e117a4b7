"""Sound, subtitles, data, cover pictures: everything in a clip that is not the painted video.

`plan` decides before the work starts what becomes of each stream (copied bit for bit where the
output container can hold it, sound transcoded where it cannot, else left out) and says so.
`Carrier` then brings the packets over.
"""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

# Sound for containers that cannot hold the original: what plays everywhere in each.
AUDIO = {"mp4": "aac", "mov": "aac", "ipod": "aac", "webm": "libopus", "matroska": "flac"}
AUDIO_RATE = 192_000  # bits per second for two channels: transparent for AAC and Opus
# Text subtitles for containers that cannot hold the original kind, and the kinds that are text.
TEXT = {
    "mp4": "mov_text",
    "mov": "mov_text",
    "ipod": "mov_text",
    "webm": "webvtt",
    "matroska": "srt",
}
TEXT_SOURCES = ("subrip", "srt", "text", "webvtt", "mov_text", "ass", "ssa")
# Facts that are true of the old file only.
STALE = frozenset(
    {
        "encoder",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "duration",
        "rotate",
        "bps",
        "number_of_frames",
        "number_of_bytes",
        "vendor_id",
    }
)
ATTACHED_PIC = 1 << 10  # AV_DISPOSITION_ATTACHED_PIC


class CarryError(Exception):
    """A stream turned out to be one that the output does not take; `index` is the input's."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


@dataclass(frozen=True)
class StreamMapping:
    """What becomes of one stream.

    Attributes:
        index: in the input container.
        kind: "audio", "subtitle", "data", "chapters", "attachment", "picture".
        action: "copy", "transcode", "drop".
        codec: what it is in the output.
        note: one line for the user; "" when the stream is simply copied.
    """

    index: int
    kind: str
    action: str
    codec: str
    note: str = ""


def plan(container: Any, video_index: int, muxer: str) -> list[StreamMapping]:
    """Decide the fate of every stream but the painted one.

    Args:
        container: the input, open for reading.
        video_index: of the painted stream.
        muxer: FFmpeg's name of the output format ("mp4", "matroska", ...).
    """
    mappings = []
    for stream in container.streams:
        if stream.index == video_index:
            continue
        kind = stream.type
        if kind == "video":
            if not int(stream.disposition) & ATTACHED_PIC:
                note = f"video stream {stream.index} is left out (choose it with --stream)"
                mappings.append(StreamMapping(stream.index, "video", "drop", "", note))
                continue
            kind = "picture"
        if kind == "data" and stream.name == "bin_data" and container.chapters():
            # The track in which mp4 files keep the names of chapters; FFmpeg has read it, and the
            # muxer makes a new one.
            mappings.append(StreamMapping(stream.index, "chapters", "drop", "bin_data"))
            continue
        mappings.append(_mapping(stream, kind, muxer))
    return mappings


def left_behind(clip: Any, *, shape: bool = False) -> list[str]:
    """What an output that holds pictures only loses of a clip, one line each.

    Args:
        clip: the input's `ClipInfo`, or None.
        shape: the output keeps the shape of pixels.
    """
    from .container import open_container

    if clip is None:
        return []
    notes = []
    ratio = clip.sample_aspect_ratio
    if ratio != 1 and not shape:
        notes.append(
            f"pixels of shape {ratio.numerator}:{ratio.denominator} become square: bare pictures "
            "have no place for it"
        )
    if clip.path is None:
        return notes
    with open_container(clip.path, str(clip.path)) as container:
        kinds = Counter(
            {"audio": "sound"}.get(stream.type, stream.type)
            for stream in container.streams
            if stream.type in ("audio", "subtitle")
        )
    return notes + [
        f"{number} {kind} stream{'s' * (number > 1)} left out: this output holds pictures only"
        for kind, number in sorted(kinds.items())
    ]


def _mapping(stream: Any, kind: str, muxer: str) -> StreamMapping:
    context = stream.codec_context
    codec = context.name if context is not None else (stream.name or "unknown")
    codec = {"mp3float": "mp3"}.get(codec, codec)
    if kind == "attachment":
        if muxer == "matroska":
            return StreamMapping(stream.index, kind, "copy", codec)
        return StreamMapping(
            stream.index, kind, "drop", "", f"attachment {stream.index} is left out"
        )
    if can_carry(stream, muxer):
        return StreamMapping(stream.index, kind, "copy", codec)
    where = f"a {muxer} file cannot hold"
    if kind == "audio" and context is not None and muxer in AUDIO:
        new = AUDIO[muxer]
        note = f"sound stream {stream.index} is transcoded to {new} ({where} {codec})"
        return StreamMapping(stream.index, kind, "transcode", new, note)
    if kind == "subtitle" and codec in TEXT_SOURCES and muxer in TEXT:
        note = f"subtitle stream {stream.index} is rewritten as {TEXT[muxer]} ({where} {codec})"
        return StreamMapping(stream.index, kind, "transcode", TEXT[muxer], note)
    note = f"{kind} stream {stream.index} is left out ({where} {codec})"
    return StreamMapping(stream.index, kind, "drop", "", note)


def can_carry(stream: Any, muxer: str) -> bool:
    """Whether a container of this format takes the stream as it is: tried, not looked up."""
    import av

    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            # Some muxers refuse files without a picture, or with a cover picture only.
            video: Any = trial.add_stream("libvpx-vp9" if muxer == "webm" else "libx264", rate=25)
            video.width = video.height = 64
            add_copy(trial, stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def add_copy(output: Any, stream: Any) -> Any:
    """A stream of `output` that takes the packets of `stream` unchanged."""
    if stream.type == "attachment":
        name = stream.metadata.get("filename", stream.name or f"attachment_{stream.index}")
        mime = stream.mimetype or "application/octet-stream"
        return output.add_attachment(name, mime, bytes(stream.data))
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.time_base = stream.time_base
    copy.disposition = stream.disposition
    copy.metadata.update(clean(stream.metadata))
    return copy


def clean(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata without what only the old file's writer meant (Matroska's statistics tags too)."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower().split("-")[0] not in STALE and not key.upper().startswith("_STATISTICS")
    }


class Carrier:
    """Brings the planned streams of an input into an output.

    Args:
        source: the input container, freshly opened: its packets are read from here.
        output: the output container; streams are added to it, nothing is written yet.
        fates: from `plan`.
        until: leave out what begins at or after this time (seconds), for unfinished clips.

    Attributes:
        copied: packets per input stream index; `lost`, packets that could not be carried.
    """

    def __init__(
        self, source: Any, output: Any, mappings: list[StreamMapping], until: Fraction | None = None
    ) -> None:
        self.copied: Counter[int] = Counter()
        self.lost: Counter[int] = Counter()
        self._source, self._output, self._until = source, output, until
        self._output_threads: dict[int, Any] = {}
        for mapping in mappings:
            if mapping.action == "drop":
                continue
            stream = source.streams[mapping.index]
            if mapping.action == "transcode":
                kind = _Rewriter if mapping.kind == "subtitle" else _Transcoder
                self._output_threads[mapping.index] = kind(stream, output, mapping.codec)
            elif mapping.kind == "attachment":
                add_copy(output, stream)
                self.copied[mapping.index] += 1
            else:
                self._output_threads[mapping.index] = add_copy(output, stream)

    def packets(self) -> Iterator[tuple[Fraction, Any, int]]:
        """(time in seconds, packet ready for muxing, input stream), about in order of time."""
        import av

        wanted = [self._source.streams[index] for index in self._output_threads]
        if not wanted:
            return
        demuxed = self._source.demux(*wanted)
        last: dict[int, int] = {}
        while True:
            try:
                packet = next(demuxed, None)
            except av.FFmpegError:
                # The end of a damaged file; what was read before it is kept.
                packet = None
            if packet is None:
                break
            if packet.dts is None and packet.size == 0:
                continue
            index = packet.stream.index
            output_thread = self._output_threads[index]
            if isinstance(output_thread, (_Transcoder, _Rewriter)):
                for time, made in self._transcode(output_thread, index, packet):
                    yield time, made, index
                continue
            time = self._adopt(packet, output_thread, last)
            if time is not None:
                yield time, packet, index
        for index, output_thread in self._output_threads.items():
            if isinstance(output_thread, (_Transcoder, _Rewriter)):
                for time, made in self._transcode(output_thread, index, None):
                    yield time, made, index

    def _transcode(
        self, output_thread: "_Transcoder | _Rewriter", index: int, packet: Any
    ) -> Iterator[tuple[Fraction, Any]]:
        import av

        try:
            yield from output_thread.feed(packet, self._until)
        except av.FFmpegError as error:
            raise CarryError(index, f"its encoder failed: {error.strerror}") from None
        self.lost[index] = output_thread.lost

    def _adopt(self, packet: Any, output_thread: Any, last: dict[int, int]) -> Fraction | None:
        """Hand the packet to its output stream; its time, or None if it is to be left out."""
        index = packet.stream.index
        moment = packet.dts if packet.dts is not None else packet.pts
        if moment is None:
            self.lost[index] += 1
            return None
        time = moment * Fraction(packet.time_base.numerator, packet.time_base.denominator)
        if self._until is not None and time >= self._until:
            return None
        if index in last and moment < last[index]:
            self.lost[index] += 1  # muxers refuse decoding times that run backwards
            return None
        last[index] = moment
        packet.stream = output_thread
        self.copied[index] += 1
        return time


class _Transcoder:
    """One sound stream, decoded and encoded anew; packets that cannot be decoded are counted."""

    def __init__(self, stream: Any, output: Any, codec: str) -> None:
        context = stream.codec_context
        # Opus knows 48 kHz and its fractions only.
        rate = 48_000 if codec == "libopus" else context.sample_rate
        self._out = output.add_stream(codec, rate=rate)
        self._out.codec_context.layout = context.layout
        if codec != "flac":
            channels = max(1, len(context.layout.channels))
            self._out.codec_context.bit_rate = AUDIO_RATE * channels // 2
        self._out.metadata.update(clean(stream.metadata))
        self._out.disposition = stream.disposition
        self.lost = 0

    def feed(self, packet: Any, until: Fraction | None) -> Iterator[tuple[Fraction, Any]]:
        """Packets made of one packet; None ends the stream."""
        import av

        if packet is None:
            yield from self._timed(self._out.encode(None))
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self.lost += 1
            return
        for frame in frames:
            start = frame.pts * Fraction(frame.time_base.numerator, frame.time_base.denominator)
            if until is None or start < until:
                yield from self._timed(self._out.encode(frame))

    def _timed(self, packets: list[Any]) -> Iterator[tuple[Fraction, Any]]:
        for packet in packets:
            base = packet.time_base
            yield (packet.dts or 0) * Fraction(base.numerator, base.denominator), packet


class _Rewriter:
    """One stream of text subtitles in another packaging; times are kept, fonts and places are not
    where the new kind has none."""

    def __init__(self, stream: Any, output: Any, codec: str) -> None:
        self._decoder = stream.codec_context
        self._decoder.open(strict=False)
        self._out = output.add_stream(codec)
        self._out.codec_context.subtitle_header = self._decoder.subtitle_header
        self._out.codec_context.time_base = self._out.time_base = Fraction(1, 1000)
        self._out.metadata.update(clean(stream.metadata))
        self._out.disposition = stream.disposition
        self.lost = 0

    def feed(self, packet: Any, until: Fraction | None) -> Iterator[tuple[Fraction, Any]]:
        """The packet of the same text; None, the end, gives nothing."""
        import av

        if packet is None or packet.pts is None:
            return
        time = packet.pts * Fraction(packet.time_base.numerator, packet.time_base.denominator)
        if until is not None and time >= until:
            return
        try:
            text = self._decoder.decode2(packet)
            made = None if text is None else self._out.codec_context.encode_subtitle(text)
        except av.FFmpegError:
            self.lost += 1
            return
        if made is None or not made.size:
            return
        made.stream, made.time_base = self._out, packet.time_base
        made.pts = made.dts = packet.pts
        made.duration = packet.duration
        yield time, made
