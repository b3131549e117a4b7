"""Video files: mp4, mov, mkv, webm and gif, written so that no work is ever lost.

Frames are encoded in segments that are closed every few seconds (`runtime.media.journal`); the file
itself is put together when the last frame has come, or, for an interrupted run, from the frames
there are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import OutputExists, SinkError, UsageError
from ..frame import Frame, Image, check_image
from ..media import alpha, encoders, gif, muxing, streams
from ..media.color import RGB, SDR, Converter
from ..media.container import ClipInfo
from ..media.journal import Journal, Packet, Segment, identity_of
from ..media.recovery import ENCODING, PROVENANCE, encoding_facts
from ..media.timeline import Timeline
from ..outputs import check_output
from ..provenance import Provenance
from ..provenance.signing import Signer
from ..sources import SourceInfo
from . import FrameFacts, Restart, Sink

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.codeccontext import VideoCodecContext

# A segment is closed after this many frames: what a crash may cost. Longer segments compress a
# little better (each begins with a whole picture); 120 frames cost 1-3 % of size.
SEGMENT_FRAMES = 120
# ... or where a shot begins, if that leaves this part of them: one second and five, as players like
# to find whole pictures.
SHORTEST = 5
# Seconds after which one of live frames is closed: nobody can paint them again.
LIVE_SECONDS = 1
# Frame rates that encoders take; a clip that says more has no constant rate and states its clock.
LARGEST_RATE = 240
# Clock for frames that come when they come (cameras): that of MPEG systems.
LIVE_TICK = Fraction(1, 90_000)


class FileSink(Sink):
    """A video file.

    Args:
        spec: its path.
        info: size and rate of the frames to come.
        clip: the input's `ClipInfo`, whose colors, shape of pixels, times and other streams the
            output takes over; None for frames that come from no clip.
        codec, quality, preset, encoder, pixel_format: see `runtime.media.encoders`; None takes the
            default, which keeps transparency where the codec can.
        overwrite: replace an existing output and an unfinished one.
        resume: continue the unfinished output if there is one; see `resumed`.
        settings: what else decides the result (model, strength, ...): JSON values, compared when
            a run is resumed.
        segment: frames per segment.
        strict: refuse to leave a stream out that does not fit.
        verify: decode the finished file and compare its pictures before it gets its name.
        threads: of the encoder; 0 takes as many as this process has cores.
        provenance: what makes the frames, said in the file; None for nothing.
        signer: signs what is said there; None for nobody.

    Attributes:
        frames: written so far, those of an earlier run included.
        notes: what a user should know, one line each.
        result: what `runtime.media.muxing.join` says, once closed.
    """

    encoding: encoders.Encoding
    notes: list[str]

    def __init__(
        self,
        spec: str | Path,
        info: SourceInfo,
        *,
        clip: ClipInfo | None = None,
        codec: str | None = None,
        quality: int | None = None,
        preset: str | None = None,
        encoder: str = "software",
        pixel_format: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        settings: Mapping[str, object] | None = None,
        segment: int = SEGMENT_FRAMES,
        strict: bool = False,
        verify: bool = False,
        threads: int = 0,
        provenance: Provenance | None = None,
        signer: Signer | None = None,
    ) -> None:
        self.path = Path(spec)
        self._provenance, self._signer = provenance, signer
        self.info, self.clip = info, clip
        self.notes: list[str] = []
        self.result: muxing.Joined | None = None
        self._segment, self._overwrite, self._strict = segment, overwrite, strict
        self._verify = verify
        chosen = encoders.check_codec(codec, self.path.suffix.lower())
        encoders.check_size(chosen, info.width, info.height)
        quality = encoders.check_quality(chosen, quality)
        name, remarks = encoders.choose_encoder(chosen, encoder)
        self.notes += remarks
        shape = clip.sample_aspect_ratio if clip is not None else 1
        suffix = self.path.suffix.lower()
        if shape != 1 and suffix in encoders.ANIMATIONS:
            self.notes.append(
                f"pixels of shape {shape.numerator}:{shape.denominator} become square: players of "
                f"{suffix} files know no others"
            )
        pixels = self._choose_pixels(chosen, name, pixel_format)
        self.encoding = plan_encoding(info, clip, self.path, chosen, name, pixels, quality, preset)
        if (self.encoding.width, self.encoding.height) != (info.width, info.height):
            self.notes.append(
                f"{chosen} needs even sizes: the last column or row is repeated "
                f"({self.encoding.width}x{self.encoding.height})"
            )
        self._threads = threads or encoder_threads()
        self.mappings = self._plan_streams()
        self._journal = self._open_journal(overwrite, resume, settings or {})
        self.encoding = replace(self.encoding, threads=self.journal.header.get("threads", 0))
        self.frames = self.journal.frames
        self._converter = Converter()
        self._context: VideoCodecContext | None = None
        self._packets: list[Packet] = []
        self._durations: dict[int, int] = {}
        self._in_segment, self._segment_start = 0, Fraction(0)
        self._pending: Frame | None = None
        self._last_tick: int | None = None
        # Of the last frame that came, and of the one that comes.
        self._known = self._coming = FrameFacts()
        self._done = self._broken = False

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for names with the ending of a video file."""
        return Path(spec).suffix.lower() in muxing.MUXERS

    @property
    def journal(self) -> Journal:
        """The unfinished state on disk."""
        return self._journal

    @property
    def resumed(self) -> tuple[int, Fraction] | None:
        """Index and time of the last frame that is already there."""
        if not self.journal.segments:
            return None
        last = self.journal.segments[-1]
        return last.first + last.frames - 1, Fraction(last.last_time)

    @property
    def damage(self) -> dict[str, int]:
        """What the source had counted when the last closed segment was stored."""
        return dict(self.journal.segments[-1].damage) if self.journal.segments else {}

    @property
    def repaint_behind(self) -> Restart | None:
        """The frame behind which a resumed run must paint again to continue as if it had never been
        interrupted (index -1: from the beginning); None if the next frame is soon enough."""
        if not self.journal.segments or self.journal.segments[-1].restart is None:
            return None
        index, time = self.journal.segments[-1].restart
        return index, Fraction(time)

    @property
    def saved(self) -> int:
        """Frames in closed segments."""
        return self.journal.frames

    @property
    def unfinished(self) -> Path | None:
        """The journal's folder."""
        return self.journal.folder

    @property
    def plays(self) -> bool:
        """Whether the file was put together from them."""
        return self.journal.wrote(self.path)

    def remember(self, facts: FrameFacts) -> None:
        """Facts about the next frame."""
        self._coming = facts

    def write(self, frame: Frame) -> None:
        """Encode the next frame; see `runtime.sinks.Sink`."""
        check_image(frame.image)
        if frame.image.shape[:2] != (self.info.height, self.info.width):
            raise ValueError(
                f"frame is {frame.image.shape[1]}x{frame.image.shape[0]}, the sink was opened for "
                f"{self.info.width}x{self.info.height}"
            )
        pending, self._pending = self._pending, frame
        try:
            if pending is not None:
                self._encode(pending, frame.time)
                shot = self._coming.begins_shot
                late = self.info.live and frame.time - self._segment_start >= LIVE_SECONDS
                if late or segment_ends(self._in_segment, self._segment, shot):
                    self._close_segment()
        except BaseException:
            # What follows would lack these frames; the segments before them are whole.
            self._broken = True
            raise
        self._known = self._coming

    def adopt(self, segments: Iterable[tuple[Segment, Path]]) -> None:
        """Take closed segments that other processes made, behind those that are there.

        Args:
            segments: what a journal said of each, and its file, which is moved.
        """
        for segment, file in segments:
            name = f"{len(self.journal.segments):05}.seg"
            shutil.move(file, self.journal.folder / name)
            self.journal.add(replace(segment, file=name, first=self.journal.frames))
        self.frames = self.journal.frames

    def close(self) -> None:
        """Encode what is left, put the file together, remove the unfinished state."""
        if self._done:
            return
        self._finish_segment(short=False)
        if not self.journal.segments:
            self.abort()
            raise SinkError(f'no frame came, "{self.path}" is not written')
        self._done = True
        try:
            self.result = self._join(whole=True)
        except BaseException:
            self.journal.close()
            raise
        self.journal.remove()

    def abort(self) -> None:
        """Close the segment, put together what there is; the journal stays for `--resume`."""
        if self._done:
            return
        self._done = True
        try:
            self._finish_segment(short=True)
            if self.journal.segments:
                self.result = self._join(whole=False)
        finally:
            empty = not self.journal.segments and not self.journal.painted()
            self.journal.close()
            if empty:
                self.journal.remove()

    def _choose_pixels(self, codec: str, encoder: str, wish: str | None) -> str:
        """The pixel format to write; what is lost in it is said."""
        import av

        entry, clip, suffix = encoders.CODECS[codec], self.clip, self.path.suffix.lower()
        chosen = encoders.choose_pixel_format(codec, encoder, wish)
        see_through = clip is not None and clip.alpha
        if chosen is None:
            chosen = entry.pixel_format
            if see_through and encoder == entry.software:
                chosen = entry.alpha.get(suffix, chosen)
        self._alpha = alpha.has_alpha(av.VideoFormat(chosen))
        if see_through and not self._alpha:
            self.notes.append(encoders.alpha_words(suffix))
        if self._alpha and suffix == ".gif":
            self.notes.append(gif.ALPHA_WORDS)
        if clip is not None and suffix not in encoders.ANIMATIONS:
            self.notes += encoders.chroma_words(codec, chosen, clip.chroma)
        return chosen

    def _plan_streams(self) -> list[streams.StreamMapping]:
        from ..media.container import open_container

        source = self._source_path()
        if source is None or self.clip is None:
            return []
        muxer = muxing.MUXERS[self.path.suffix.lower()]
        with open_container(source, str(source)) as container:
            mappings = streams.plan(container, self.clip.stream_index, muxer)
        mappings = streams.try_out(source, mappings, muxer)
        lost = [mapping.note for mapping in mappings if mapping.lost]
        if lost and self._strict:
            raise UsageError(f"{'; '.join(lost)}; --strict leaves nothing out")
        self.notes += [mapping.note for mapping in mappings if mapping.note]
        return mappings

    def _source_path(self) -> Path | None:
        return self.clip.path if self.clip is not None else None

    def _open_journal(
        self, overwrite: bool, resume: bool, settings: Mapping[str, object]
    ) -> Journal:
        encoding = self.encoding
        own = {
            "codec": encoding.codec,
            "encoder": encoding.encoder,
            "quality": encoding.quality,
            "preset": encoding.preset,
            "pixel_format": encoding.pixel_format,
            "size": [self.info.width, self.info.height],
            "segment": self._segment,
        }
        settings = {**own, **identity_of(self._source_path()), **settings}
        if resume:
            journal = Journal.reopen(self.path)
            if journal is not None:
                try:
                    journal.require(**settings)
                    ours = overwrite or journal.wrote(self.path)
                    check_output(self.path, overwrite=ours)
                except BaseException:
                    journal.close()
                    raise
                return journal
        elif Journal.is_unfinished(self.path) and not overwrite:
            raise OutputExists(
                f'an unfinished "{self.path.name}" is there; continue it with --resume or begin '
                "anew with --overwrite"
            )
        check_output(self.path, overwrite=overwrite)
        facts = encoding_facts(replace(encoding, threads=self._threads))
        header = {"threads": self._threads, "settings": settings, ENCODING: facts}
        if self._provenance is not None:
            header[PROVENANCE] = asdict(self._provenance)
        return Journal.create(self.path, header)

    def _ticks(self, time: Fraction) -> int:
        return round(time / self.encoding.time_base)

    def _encode(self, frame: Frame, until: Fraction | None) -> None:
        """Encode one frame, shown until `until` (seconds; None: for its own duration)."""
        if not self._in_segment:
            self._segment_start = frame.time
        tick = self._ticks(frame.time)
        if self._last_tick is None and self.journal.segments:
            self._last_tick = self._ticks(Fraction(self.journal.segments[-1].last_time))
        if self._last_tick is not None and tick <= self._last_tick:
            # Two frames closer than the container's clock can tell: keep both, one tick apart.
            tick = self._last_tick + 1
        self._last_tick = tick
        end = until if until is not None else frame.time + self._last_duration(frame)
        self._durations[tick] = max(1, self._ticks(end) - tick)
        self._encoder()
        picture = self._converter.from_rgb(
            pad_even(self._image(frame), self.encoding.width, self.encoding.height),
            self.encoding.colors,
            self.encoding.pixel_format,
        )
        picture.pts, picture.time_base = tick, self.encoding.time_base
        picture.duration = self._durations[tick]
        self._keep(picture)
        self.frames += 1
        self._in_segment += 1
        self._last_frame = frame

    def _image(self, frame: Frame) -> Image:
        """(H, W, 3), or (H, W, 4) where the file keeps transparency."""
        if not self._alpha:
            return frame.image
        opaque = np.full(frame.image.shape[:2], alpha.OPAQUE, np.uint8)
        return np.dstack([frame.image, opaque if frame.alpha is None else frame.alpha])

    def _last_duration(self, frame: Frame) -> Fraction:
        if frame.duration:
            return frame.duration
        return 1 / (self.info.rate or Fraction(25))

    def _encoder(self) -> VideoCodecContext:
        if self._context is None:
            self._context = encoders.open_encoder(self.encoding)
        return self._context

    def _keep(self, picture: VideoFrame | None) -> None:
        import av

        try:
            made = self._encoder().encode(picture)
        except av.FFmpegError as error:
            raise SinkError(f"{self.encoding.encoder} failed: {error.strerror}") from None
        for packet in made:
            time, key = packet.pts, bool(packet.is_keyframe)
            beside = alpha.is_beside(self.encoding)
            data = alpha.pack(packet, self.encoding) if beside else bytes(packet)
            self._packets.append(Packet(time, self._durations.pop(time, 1), key, data))

    def _finish_segment(self, short: bool) -> None:
        if self._broken:
            return
        try:
            if self._pending is not None:
                pending, self._pending = self._pending, None
                self._encode(pending, None)
            if self._in_segment:
                self._close_segment(short and self._in_segment < self._segment)
        except BaseException:
            self._broken = True
            raise

    def _close_segment(self, short: bool = False) -> None:
        """Flush the encoder and store the segment."""
        self._keep(None)
        packets, self._packets = self._packets, []
        frames, self._in_segment = self._in_segment, 0
        self._context = None
        self._durations.clear()
        if len(packets) != frames:
            raise SinkError(
                f"{frames} frames went into {self.encoding.encoder}, {len(packets)} came out"
            )
        last = self._last_frame.time
        restart = None
        # Where a shot begins behind the segment, nothing in it matters to what follows.
        known = self._coming if self._coming.begins_shot else self._known
        if known.restart is not None:
            index, time = known.restart
            restart = (index, f"{time.numerator}/{time.denominator}")
        self.journal.write_segment(
            packets,
            last_time=f"{last.numerator}/{last.denominator}",
            restart=restart,
            short=short,
            damage=dict(self._coming.damage),
        )

    def _join(self, whole: bool) -> muxing.Joined:
        clip = self.clip
        parts = muxing.Parts(
            self.journal,
            self.encoding,
            self.path,
            self._source_path(),
            self.mappings,
            Timeline() if clip is None else clip.timeline,
            whole=whole and not (clip is not None and clip.excerpt),
            overwrite=self._overwrite,
            verify=self._verify and whole,
            provenance=self._provenance,
            signer=self._signer,
        )
        return muxing.assemble(parts)


def plan_encoding(
    info: SourceInfo,
    clip: ClipInfo | None,
    path: Path,
    codec: str,
    encoder: str,
    pixel_format: str,
    quality: int | None,
    preset: str | None,
) -> encoders.Encoding:
    """Everything about the output's video that follows from the input and the user's wishes."""
    entry = encoders.CODECS[codec]
    preset = preset or entry.preset
    if preset not in encoders.SPEEDS:
        raise UsageError(f'preset "{preset}" is unknown; write one of {", ".join(encoders.SPEEDS)}')
    rate = info.rate or Fraction(25)
    base = clip.time_base if clip is not None else 1 / rate
    if clip is None and (info.live or info.rate is None):
        base = LIVE_TICK
    muxer = muxing.MUXERS[path.suffix.lower()]
    colors, tags = SDR, SDR
    if clip is not None and clip.colors.matrix != RGB and not clip.colors.hdr:
        colors, tags = clip.colors, clip.tagged
    width, height = info.width, info.height
    if entry.even:
        width, height = width + width % 2, height + height % 2
    return encoders.Encoding(
        codec=codec,
        encoder=encoder,
        width=width,
        height=height,
        pixel_format=pixel_format,
        rate=min(rate, Fraction(LARGEST_RATE)),
        time_base=muxing.tick_for(muxer, base),
        colors=colors,
        tags=tags,
        sample_aspect_ratio=clip.sample_aspect_ratio if clip is not None else Fraction(1),
        quality=quality,
        preset=preset,
    )


def encoder_threads() -> int:
    """Cores that this process may use."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    return own or os.cpu_count() or 1


def segment_ends(frames: int, longest: int, shot: bool) -> bool:
    """Whether a segment is closed behind this many frames.

    Where a shot begins, the whole picture with which a segment begins costs nothing, and painting
    can begin there as well: such segments are painted by different machines.

    Args:
        frames: in the segment.
        longest: frames of a segment.
        shot: whether the next frame begins a shot.
    """
    return frames >= longest or (shot and frames * SHORTEST >= longest)


def pad_even(image: Image, width: int, height: int) -> Image:
    """Repeat the last column and row up to this size; the picture itself is not scaled."""
    bottom, right = height - image.shape[0], width - image.shape[1]
    if not bottom and not right:
        return np.ascontiguousarray(image)
    return np.pad(image, ((0, bottom), (0, right), (0, 0)), mode="edge")


PLUGIN = FileSink
