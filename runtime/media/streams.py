"""Sound, subtitles, data, cover pictures: everything in a clip that is not the painted video.

`plan` decides before the work starts what becomes of each stream and says so: copied bit for bit
where the output container can hold it and common players play it, else sound and text are
rewritten, else the stream is left out. `try_out` then writes the first packets of each to a file in
memory, and what fails there gets the next of these. `Carrier` brings the packets over at the end.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .container import ClipInfo, open_container
from .timeline import Adjuster, Timeline, fraction

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

# Sound that common players (browsers, QuickTime, VLC, televisions) play from each container; the
# rest is transcoded although the container could hold it.
MP4_SOUND = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"})
PLAYED = {
    "mp4": MP4_SOUND,
    "ipod": MP4_SOUND,
    "mov": frozenset({"aac", "ac3", "alac", "eac3", "mp3"})
    | {f"pcm_{kind}" for kind in ("s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le")},
    "webm": frozenset({"opus", "vorbis"}),
    "matroska": MP4_SOUND
    | {"dts", "mlp", "mp1", "mp2", "truehd", "vorbis", "wavpack"}
    | {f"pcm_{kind}" for kind in ("u8", "s16le", "s16be", "s24le", "s24be", "s32le", "f32le")},
}
# Channel layouts that Opus and AAC encode, by the number of channels, for sound that does not say
# or says something else (5.1 with side loudspeakers).
LAYOUTS = {
    1: "mono",
    2: "stereo",
    3: "3.0",
    4: "quad",
    5: "5.0",
    6: "5.1",
    7: "6.1",
    8: "7.1",
}
MATROSKA = ("matroska", "webm")
# Muxers with edit lists.
MP4 = ("mp4", "mov", "ipod")
# Packets of each stream that are tried before the work.
TRIED_PACKETS = 8
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
        "alpha_mode",
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
# Ending and type of cover pictures in Matroska, by codec.
COVER_KINDS = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png")}
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
        lost: the stream was meant to be carried and cannot be.
    """

    index: int
    kind: str
    action: str
    codec: str
    note: str = ""
    lost: bool = False


def plan(container: InputContainer, video_index: int, muxer: str) -> list[StreamMapping]:
    """Decide how each stream but the painted one is mapped.

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
        if kind == "data" and "timecode" in stream.metadata:
            # The muxers of mp4 and mov make a new track of it from the tag "timecode", which comes
            # with the video's metadata; Matroska keeps the tag.
            mappings.append(StreamMapping(stream.index, "timecode", "drop", "tmcd"))
            continue
        if kind == "data" and stream.name == "bin_data" and container.chapters():
            # The track in which mp4 files keep the names of chapters; FFmpeg has read it, and the
            # muxer makes a new one.
            mappings.append(StreamMapping(stream.index, "chapters", "drop", "bin_data"))
            continue
        mappings.append(_mapping(stream, kind, muxer))
    return mappings


def left_behind(clip: ClipInfo | None, *, shape: bool = False, alpha: bool = False) -> list[str]:
    """What an output that holds pictures only loses of a clip, one line each.

    Args:
        clip: the input's `ClipInfo`, or None.
        shape: the output keeps the shape of pixels.
        alpha: the output keeps transparency.
    """
    if clip is None:
        return []
    notes = []
    if clip.alpha and not alpha:
        notes.append("transparency is dropped: bare frames have no place for it")
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


def _mapping(stream: Stream, kind: str, muxer: str) -> StreamMapping:
    codec = _codec_name(stream)
    if kind == "attachment" or (kind == "picture" and muxer == "matroska"):
        if muxer == "matroska":
            return StreamMapping(stream.index, "attachment", "copy", codec)
        return _left_out(stream, kind, f"a {muxer} file holds no attachments")
    if kind == "picture" and muxer == "mov":
        return _left_out(stream, kind, "a mov file has no place for covers")
    held = can_carry(stream, muxer)
    if held and (kind != "audio" or codec in PLAYED.get(muxer, {codec})):
        return StreamMapping(stream.index, kind, "copy", codec)
    where = f"common players play no {codec} from" if held else f"{codec} does not fit into"
    return instead(stream, kind, muxer, f"{where} a {muxer} file")


def instead(stream: Stream, kind: str, muxer: str, reason: str) -> StreamMapping:
    """What becomes of a stream that cannot be copied: written in another codec, or left out."""
    codec = _codec_name(stream)
    if kind == "audio" and stream.codec_context is not None and muxer in AUDIO:
        new = AUDIO[muxer]
        note = f"sound stream {stream.index} is transcoded to {new} ({reason})"
        return StreamMapping(stream.index, kind, "transcode", new, note)
    if kind == "subtitle" and codec in TEXT_SOURCES and muxer in TEXT:
        note = f"subtitle stream {stream.index} is rewritten as {TEXT[muxer]} ({reason})"
        return StreamMapping(stream.index, kind, "transcode", TEXT[muxer], note)
    return _left_out(stream, kind, reason)


def _left_out(stream: Stream, kind: str, reason: str) -> StreamMapping:
    word = {"audio": "sound", "picture": "cover picture"}.get(kind, kind)
    note = f"{word} stream {stream.index} is left out ({reason})"
    return StreamMapping(stream.index, kind, "drop", "", note, lost=True)


def _codec_name(stream: Stream) -> str:
    context = stream.codec_context
    codec = context.name if context is not None else (stream.name or "unknown")
    # Names of decoders -> names of codecs.
    return {"mp3float": "mp3", "libopus": "opus", "libvorbis": "vorbis"}.get(codec, codec)


def fall_back(
    container: InputContainer, mapping: StreamMapping, muxer: str, reason: str
) -> StreamMapping:
    """The next best for a stream that could not be carried as planned."""
    stream = container.streams[mapping.index]
    if mapping.action == "copy":
        return instead(stream, mapping.kind, muxer, reason)
    return _left_out(stream, mapping.kind, reason)


def try_out(source: Path, mappings: list[StreamMapping], muxer: str) -> list[StreamMapping]:
    """Write the first packets of each stream to a file in memory; what fails falls back.

    Args:
        source: the input.
        mappings: from `plan`.
        muxer: FFmpeg's name of the output format.
    """
    return [_tried(source, mapping, muxer) for mapping in mappings]


def _tried(source: Path, mapping: StreamMapping, muxer: str) -> StreamMapping:
    while mapping.action != "drop":
        with open_container(source, str(source)) as container:
            reason = _failure(container, mapping, muxer)
            if reason is None:
                return mapping
            mapping = fall_back(container, mapping, muxer, reason)
    return mapping


def _failure(container: InputContainer, mapping: StreamMapping, muxer: str) -> str | None:
    """Why a stream cannot be carried so; None if its first packets could be written."""
    import av

    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            _add_picture_track(trial, muxer)
            carrier = Carrier(container, trial, [mapping])
            trial.start_encoding()
            for number, (_, packet, _) in enumerate(carrier.packets()):
                trial.mux_one(packet)
                if number >= TRIED_PACKETS:
                    break
    except CarryError as error:
        return str(error)
    # The last is what PyAV raises for kinds of streams that it cannot write.
    except (av.FFmpegError, ValueError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return f"{mapping.codec} cannot be written into a {muxer} file: {reason}"
    return None


def _add_picture_track(trial: OutputContainer, muxer: str) -> None:
    """Some muxers refuse files without a picture, or with a cover picture only."""
    video = trial.add_stream("libvpx-vp9" if muxer == "webm" else "libx264", rate=25)
    video.width = video.height = 64


def can_carry(stream: Stream, muxer: str) -> bool:
    """Whether a container of this format takes the stream's header as it is: tried, not looked
    up."""
    import av

    try:
        with av.open(io.BytesIO(), "w", format=muxer) as trial:
            _add_picture_track(trial, muxer)
            add_copy(trial, stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def add_copy(output: OutputContainer, stream: Stream) -> Stream:
    """A stream of `output` that takes the packets of `stream` unchanged."""
    if stream.type == "attachment":
        name = stream.metadata.get("filename", stream.name or f"attachment_{stream.index}")
        mime = stream.mimetype or "application/octet-stream"
        return output.add_attachment(name, mime, bytes(stream.data))
    if stream.type == "video" and output.format.name == "matroska":
        # A cover picture is an attachment there (RFC 9559, section 21.1 names them so).
        codec = _codec_name(stream)
        ending, mime = COVER_KINDS.get(codec, (codec, f"image/{codec}"))
        name = stream.metadata.get("filename", f"cover.{ending}")
        return output.add_attachment(name, mime, cover_of(stream))
    copy = output.add_stream_from_template(stream, opaque=True)
    copy.time_base = stream.time_base
    copy.disposition = stream.disposition
    copy.metadata.update(tags_of(stream, output))
    return copy


def cover_of(stream: Stream) -> bytes:
    """The file of an attached picture."""
    container = stream.container
    for packet in container.demux(stream):
        if packet.size:
            return bytes(packet)
    return b""


def clean(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata without what only the old file's writer meant (Matroska's statistics tags too)."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower().split("-")[0] not in STALE and not key.upper().startswith("_STATISTICS")
    }


def tags_of(stream: Stream, output: OutputContainer) -> dict[str, str]:
    """The tags of a stream, for what becomes of it in another file.

    What a track is called ("Commentary") is its title in Matroska; in mp4 it is the name of its
    handler, which else is FFmpeg's or Apple's "SoundHandler" and no name.
    """
    tags = clean(stream.metadata)
    handler = tags.get("handler_name", "")
    if output.format.name in MP4:
        handler = tags.get("title", handler)
        return {**tags, "handler_name": handler} if handler else tags
    tags.pop("handler_name", None)
    if handler and not handler.endswith("Handler") and "title" not in tags:
        tags["title"] = handler
    return tags


class Carrier:
    """Brings the planned streams of an input into an output.

    Args:
        source: the input container, freshly opened: its packets are read from here.
        output: the output container; streams are added to it, nothing is written yet.
        mappings: from `plan`.
        timeline: of the input.
        until: leave out what begins at or after this time (seconds), for unfinished clips.

    Attributes:
        copied: packets per input stream index; `lost`, packets that could not be carried.
    """

    def __init__(
        self,
        source: InputContainer,
        output: OutputContainer,
        mappings: list[StreamMapping],
        timeline: Timeline | None = None,
        until: Fraction | None = None,
    ) -> None:
        self.copied: Counter[int] = Counter()
        self.lost: Counter[int] = Counter()
        self._source, self._output, self._until = source, output, until
        timeline = timeline or Timeline()
        self._adjust, self._excerpt = Adjuster(timeline), bool(timeline.skipped)
        # FFmpeg's muxer of Matroska has no times before 0, but for Opus: it would move all streams
        # for the sake of the samples with which the decoder of one warms up.
        self._begins_at_zero = output.format.name in MATROSKA
        self._outputs: dict[int, Stream | _Transcoder | _Rewriter] = {}
        for mapping in mappings:
            if mapping.action == "drop":
                continue
            self._add(source.streams[mapping.index], output, mapping)

    def _add(self, stream: Stream, output: OutputContainer, mapping: StreamMapping) -> None:
        import av

        try:
            if mapping.action == "transcode":
                kind = _Rewriter if mapping.kind == "subtitle" else _Transcoder
                self._outputs[mapping.index] = kind(stream, output, mapping.codec)
            elif mapping.kind == "attachment":
                add_copy(output, stream)
                self.copied[mapping.index] += 1
            else:
                self._outputs[mapping.index] = add_copy(output, stream)
        except (av.FFmpegError, ValueError) as error:
            raise CarryError(mapping.index, f"it is refused: {error}") from None

    def packets(self) -> Iterator[tuple[Fraction, Packet, int]]:
        """(time in seconds, packet ready for muxing, input stream), about in order of time."""
        import av

        wanted = [self._source.streams[index] for index in self._outputs]
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
            output_stream = self._outputs[index]
            self._adjust(packet)
            if self._is_cut_away(packet, output_stream):
                continue
            if isinstance(output_stream, (_Transcoder, _Rewriter)):
                for time, made in self._transcode(output_stream, index, packet):
                    yield time, made, index
                continue
            time = self._adopt(packet, output_stream, last)
            if time is not None:
                yield time, packet, index
        for index, output_stream in self._outputs.items():
            if isinstance(output_stream, (_Transcoder, _Rewriter)):
                for time, made in self._transcode(output_stream, index, None):
                    yield time, made, index

    def _is_cut_away(self, packet: Packet, output_stream: Stream) -> bool:
        """Whether a packet lies before the beginning: an edit list hides it, or an excerpt begins
        behind it. What is transcoded is cut later, to the sample; and mp4 files say that the packet
        right before the start only fills the decoder."""
        if isinstance(output_stream, _Transcoder) or packet.dts is None:
            return False
        end = packet.dts + (packet.duration or 0)
        if not packet.is_discard:
            if packet.dts >= 0:
                return False
            if not self._excerpt:
                if self._begins_at_zero and _codec_name(packet.stream) != "opus":
                    packet.duration, packet.pts, packet.dts = max(1, end), 0, 0
                return False
            if packet.stream.type == "subtitle" and end > 0:
                packet.duration = end  # read already when the excerpt begins
                packet.pts = packet.dts = 0
                return False
        return not (end >= 0 and self._output.format.name in MP4)

    def _transcode(
        self, output_stream: _Transcoder | _Rewriter, index: int, packet: Packet | None
    ) -> Iterator[tuple[Fraction, Packet]]:
        import av

        try:
            yield from output_stream.feed(packet, self._until)
        except av.FFmpegError as error:
            raise CarryError(index, f"its encoder failed: {error.strerror}") from None
        self.lost[index] = output_stream.lost

    def _adopt(
        self, packet: Packet, output_stream: Stream, last: dict[int, int]
    ) -> Fraction | None:
        """Hand the packet to its output stream; its time, or None if it is to be left out."""
        index = packet.stream.index
        moment = packet.dts if packet.dts is not None else packet.pts
        if moment is None and int(packet.stream.disposition) & ATTACHED_PIC:
            packet.pts = packet.dts = moment = 0
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
        packet.stream = output_stream
        self.copied[index] += 1
        return time


class _Transcoder:
    """One sound stream, decoded and encoded anew; packets that cannot be decoded are counted."""

    def __init__(self, stream: Stream, output: OutputContainer, codec: str) -> None:
        context = stream.codec_context
        self._decoder = context
        self._base = fraction(stream.time_base)
        self._next = Fraction(0)  # seconds at which the next frame begins if it does not say so
        # Opus knows 48 kHz and its fractions only.
        rate = 48_000 if codec == "libopus" else context.sample_rate
        channels = max(1, context.layout.nb_channels)
        self._layout = LAYOUTS.get(channels, "stereo")
        self._out = output.add_stream(codec, rate=rate)
        self._out.codec_context.layout = self._layout
        if codec != "flac":
            self._out.codec_context.bit_rate = AUDIO_RATE * max(1, channels) // 2
        self._out.metadata.update(tags_of(stream, output))
        self._out.disposition = stream.disposition
        self.lost = 0

    def feed(
        self, packet: Packet | None, until: Fraction | None
    ) -> Iterator[tuple[Fraction, Packet]]:
        """Packets made of one packet; None ends the stream."""
        import av

        try:
            # The end of the stream, too: some decoders hold the last of it back.
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            self.lost += packet is not None
            frames = []
        for frame in frames:
            if frame.time_base is None or frame.pts is None:  # the last ones of some decoders
                frame.time_base = self._base
                frame.pts = round(self._next / self._base)
            base = self._base = fraction(frame.time_base)
            self._next = frame.pts * base + Fraction(frame.samples, frame.sample_rate)
            if self._next <= 0:
                continue
            if until is None or frame.pts * base < until:
                yield from self._timed(self._out.encode(self._from_zero(self._laid_out(frame))))
        if packet is None:
            yield from self._timed(self._out.encode(None))

    def _from_zero(self, frame: AudioFrame) -> AudioFrame:
        """The frame without the samples that lie before time 0, where an excerpt begins."""
        import av

        base = fraction(frame.time_base)
        early = round(-frame.pts * base * frame.sample_rate)
        if early <= 0:
            return frame
        samples = frame.to_ndarray()
        if not frame.format.is_planar:
            early *= frame.layout.nb_channels
        rest = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples[:, early:]), frame.format.name, frame.layout.name
        )
        rest.sample_rate, rest.time_base, rest.pts = frame.sample_rate, base, 0
        return rest

    def _laid_out(self, frame: AudioFrame) -> AudioFrame:
        """The frame, with names for its loudspeakers if it has none: FFmpeg's resampler mixes one
        named layout into another, but does not guess where those of an unnamed one stand."""
        import av

        if "channel" not in frame.layout.name:  # PyAV writes unnamed ones as "6 channels"
            return frame
        made = av.AudioFrame.from_ndarray(frame.to_ndarray(), frame.format.name, self._layout)
        made.pts, made.time_base = frame.pts, frame.time_base
        made.sample_rate = frame.sample_rate
        return made

    def _timed(self, packets: list[Packet]) -> Iterator[tuple[Fraction, Packet]]:
        for packet in packets:
            base = packet.time_base
            yield (packet.dts or 0) * Fraction(base.numerator, base.denominator), packet


class _Rewriter:
    """One stream of text subtitles in another packaging; times are kept, fonts and places are not
    where the new kind has none."""

    def __init__(self, stream: Stream, output: OutputContainer, codec: str) -> None:
        self._decoder = stream.codec_context
        self._decoder.open(strict=False)
        self._out = output.add_stream(codec)
        self._out.codec_context.subtitle_header = self._decoder.subtitle_header
        self._out.codec_context.time_base = self._out.time_base = Fraction(1, 1000)
        self._out.metadata.update(tags_of(stream, output))
        self._out.disposition = stream.disposition
        self.lost = 0

    def feed(
        self, packet: Packet | None, until: Fraction | None
    ) -> Iterator[tuple[Fraction, Packet]]:
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
