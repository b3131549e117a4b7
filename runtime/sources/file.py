"""Video files of every kind FFmpeg reads, frame by frame, with exact times.

What is damaged is reported, never hidden: `damage` counts frames the decoder had to conceal,
packets it could not use at all, broken pieces of the file and times that had to be repaired; with
`strict` the first one is an error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from ..engines._cuda_turn import CUDA_TURN
from ..errors import SourceError, UsageError
from ..frame import Frame, Image
from ..media import container as containers
from ..media.alpha import decoder_for, has_alpha, is_transparent, shows_through
from ..media.color import SDR, Colors, Converter, colors_of
from ..media.decoders import SOFTWARE, choose_decoder, fallen_back, planar, prepare
from ..media.timeline import Adjuster, Timeline, fraction, read_timeline
from . import Source, SourceInfo
from ._clusters import Clusters
from ._damage import Inspector
from ._fields import DEINTERLACE, deinterlaced
from ._length import missing_bytes
from ._times import UNORDERED, Clock

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

T = TypeVar("T")

PICTURES = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".exr"}
)
# Packets before a first key frame that are worth waiting for it: ten seconds at 50 per second.
MOST_SKIPPED = 500
# Containers in which a place can be found by its time and decoding begins at a key frame.
SEEKABLE = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
# Seconds before the wanted place that decoding begins at the latest: a key frame further than the
# next one, so that pictures that lean on the group before are right.
SEEK_MARGIN = 2
# A clip whose last frame ends this much before its container says is called cut short; shorter gaps
# are normal, because the container's duration is that of its longest stream.
EARLY = Fraction(1)
# Codecs in whose streams an empty packet shows the last picture again (Theora, section 7.1).
REPEATING = frozenset({"theora"})
# What is said of interlaced clips: as they are, and made whole.
INTERLACED = (
    "interlaced: both fields are painted as one picture",
    "interlaced: whole pictures were made of the fields (--deinterlace off leaves them)",
)
CAPTIONS = "A53_CC"  # FFmpeg's side data of pictures (CEA-608 and CEA-708)
OUTPUT_CORRUPT = 1 << 3  # AV_CODEC_FLAG_OUTPUT_CORRUPT: give damaged frames out, marked


class FileSource(Source):
    """A clip as a source of frames.

    Args:
        spec: path of the file.
        stream: index of the video stream; None lets the rule of ffmpeg choose.
        strict: refuse damage instead of counting it.
        hdr: "tonemap" brings HDR to ordinary range, "refuse" raises.
        deinterlace: "auto" joins the two fields of pictures that say they have them, "off" leaves
            them as they are.
        on_size_change: "scale" brings pictures of another size to that of the first, "split" ends
            before them (`rest`), "fail" refuses them, as `strict` does.
        rate: frames per second of bare streams (`.h264`), in place of what they state.
        after: continue behind this frame (its index and time) instead of at the beginning.
        start: begin at the first frame at or after this time (seconds).
        decoder: "software", "hardware" (a device that really works, else software), or a device's
            name, as "cuda".
        seek: find places by seeking; False decodes everything before it again, which damaged
            clips need to come out the same.

    Attributes:
        info: size after rotation, nominal rate, number of frames.
        clip: what an output must know to look like this clip.
        damage: Counter of "concealed", "skipped", "missing", "broken clusters", "repaired times".
        remarks: what was noticed on the way and is no damage for certain, one line each.
    """

    clip: containers.ClipInfo
    damage: Counter[str]
    remarks: list[str]
    seekable = True

    def __init__(
        self,
        spec: str,
        *,
        stream: int | None = None,
        strict: bool = False,
        hdr: str = "tonemap",
        deinterlace: str = "auto",
        on_size_change: str = "scale",
        rate: Fraction | None = None,
        after: tuple[int, Fraction] | None = None,
        start: Fraction = Fraction(0),
        seek: bool = True,
        decoder: str = SOFTWARE,
    ) -> None:
        if hdr not in ("tonemap", "refuse"):
            raise UsageError(f'hdr is "{hdr}", allowed are tonemap, refuse')
        if deinterlace not in DEINTERLACE:
            raise UsageError(
                f'deinterlace is "{deinterlace}", allowed are {", ".join(DEINTERLACE)}'
            )
        if strict and decoder != SOFTWARE:
            raise UsageError(
                f"--decoder {decoder}: --strict needs software, because hardware conceals damage "
                "and says nothing"
            )
        self._deinterlace = deinterlace == "auto"
        self._on_size = "fail" if strict and on_size_change == "scale" else on_size_change
        self._scaled = False
        self.name = Path(spec).name
        self.damage: Counter[str] = Counter()
        self._device, self.remarks = choose_decoder(decoder)
        self._seen = False  # frames of the device
        self._spec, self._wanted, self._strict, self._hdr = spec, stream, strict, hdr
        self._after, self._start, self._seek = after, start, seek
        self._converter = Converter()
        self._resolved: dict[Colors, Colors] = {}
        self._closed = self._sought = self._interlaced = self._captioned = False
        # Times of packets in which damage was found, until their frames come.
        self._suspects: Counter[int | None] = Counter()
        self._clusters: Clusters | None = None
        self._discarded = 0
        self._bare_rate: Fraction | None = None
        self._container = self._open()
        self._settle_rate(rate)
        self._timeline = self._read_timeline()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for existing files that are not pictures."""
        path = Path(spec)
        return path.is_file() and path.suffix.lower() not in PICTURES

    def _open(self) -> InputContainer:
        own = {} if self._bare_rate is None else {"framerate": str(self._bare_rate)}
        return containers.open_container(
            Path(self._spec), self._spec, options=own, device=self._device
        )

    def _settle_rate(self, wish: Fraction | None) -> None:
        """The rate of a bare stream, which is all that its times come from."""
        if self._container.format.name not in containers.BARE:
            return
        video = containers.choose_stream(self._container, self._wanted, self._spec)
        self._bare_rate = wish or containers.stated_rate(video)
        if self._bare_rate is None:
            self._bare_rate = Fraction(containers.BARE_RATE)
            self.remarks.append(
                f"states no rate: {containers.BARE_RATE} frames per second are assumed (--rate "
                "says another)"
            )
        self._reopen()

    def _reopen(self) -> None:
        self._container.close()
        self._container = self._open()

    def _path(self) -> Path | None:
        return Path(self._spec)

    def _read_timeline(self) -> Timeline:
        return read_timeline(self._container, self._open)

    def _begin(self) -> None:
        """Choose the stream, decode its first frame, describe the clip."""
        video = self._prepare()
        self._promised = containers.count_frames(self._container, video)
        rate = self._bare_rate or containers.guess_rate(video)
        self._rate = rate
        self._begin_clock(fraction(video.time_base))
        if self._start:
            self._promised = 0
            self._seek_start()
        self._first = next(self._frames, None)
        if self._first is None:
            raise SourceError(self._empty())
        frame = self._first[0]
        self.clip = containers.describe(self._container, video, frame, self._path(), self._timeline)
        if self.clip.colors.hdr:
            self._plan_hdr()
        if has_alpha(frame.format) and (is_transparent(frame) or self._shows_through()):
            self.clip = replace(self.clip, alpha=True)
        height, width = frame.height, frame.width
        if self.clip.orientation[0]:
            height, width = width, height
        number = max(0, self._promised - containers.count_hidden(video)) or None
        if number is None and rate and self.clip.end:
            number = round((self.clip.end - self._time(self._first[1])) * rate)
        self.info = SourceInfo(self.name, width, height, rate, number)

    def _shows_through(self) -> bool:
        with self._open() as container:
            stream = containers.choose_stream(container, self._wanted, self._spec)
            return shows_through(container, stream)

    def _begin_clock(self, time_base: Fraction) -> None:
        bare = self._bare_rate is not None
        self._clock = Clock(time_base, self._rate, self._lookahead(), bare)
        frames = self._decode()
        if self._deinterlace:
            frames = deinterlaced(frames)
        self._frames = self._from_start(self._clock.assign(frames))

    def _seek_start(self) -> None:
        if self._seek and self._container.format.name in SEEKABLE:
            self._restart(round(self._start / self._clock.time_base))

    def _from_start(
        self, frames: Iterator[tuple[VideoFrame, int]]
    ) -> Iterator[tuple[VideoFrame, int]]:
        """The frames that are not before `start`."""
        return dropwhile(lambda item: self._time(item[1]) < self._start, frames)

    def _empty(self) -> str:
        if not self._start:
            return f'"{self._spec}" has no frame that can be decoded'
        length = self._container.duration
        ends = f": it ends at {length / 1_000_000:.2f} s" if length else ""
        return f'"{self._spec}" has no frame at or after {float(self._start):g} s{ends}'

    def _prepare(self) -> VideoStream:
        """The stream of the open container, ready to decode and to be inspected."""
        video = containers.choose_stream(self._container, self._wanted, self._spec)
        self._is_cover = bool(int(video.disposition) & containers.ATTACHED_PIC)
        # Frame by frame where an empty packet repeats the picture before it.
        video.thread_type = "SLICE" if video.codec.name in REPEATING else "AUTO"
        video.codec_context.flags |= OUTPUT_CORRUPT
        if self._device:
            prepare(video)
        if self._strict:
            video.codec_context.options = {"err_detect": "explode"}
        self._decoder = decoder_for(video)
        self._stream = video
        self._watch()
        return video

    def _watch(self) -> None:
        """Begin to look for damage, at the packet that comes next."""
        self._suspects.clear()
        self._discarded = 0
        self._inspector = Inspector(self._stream)
        if self._clusters is not None:
            self._clusters.close()
        self._clusters = None

    def _lookahead(self) -> int:
        if self._container.format.name not in UNORDERED:
            return 0
        return int(self._stream.codec_context.reorder_depth) + 2

    def _plan_hdr(self) -> None:
        kind = "PQ (HDR10)" if self.clip.colors.transfer == 16 else "HLG"
        if self._hdr == "refuse":
            raise SourceError(
                f'"{self._spec}" is {kind} high dynamic range; use --hdr tonemap, or convert it'
            )
        note = f"{kind} high dynamic range is tone-mapped to BT.709"
        self.clip = replace(self.clip, tagged=SDR, notes=[*self.clip.notes, note])

    def _decode(self) -> Iterator[VideoFrame]:
        """Decoded frames in presentation order; damage is counted, or raised when strict."""
        import av

        packets = self._from_key_frame(self._packets())
        last: VideoFrame | None = None
        while not self._closed:
            packet = next(packets, None)
            if packet is not None and not packet.size and packet.pts is not None:
                if last is not None and self._stream.codec.name in REPEATING:
                    last.pts = packet.pts
                    yield last
                # For decoders an empty packet is the end.
                continue
            try:
                frames = self._decoded(packet)
            except av.error.EOFError:
                return
            except (av.error.InvalidDataError, av.error.PatchWelcomeError) as error:
                self._hurt("skipped", f"a part cannot be decoded: {error.strerror}")
                continue
            except av.FFmpegError as error:
                raise SourceError(
                    f'the decoder of "{self._spec}" failed: {error.strerror}'
                ) from None
            for frame in frames:
                if self._undecodable is not None and (frame.pts or 0) < self._undecodable:
                    # Shown before the first key frame, and made from pictures before it.
                    self._left_out += 1
                    continue
                if self._suspected(frame) or frame.is_corrupt:
                    self._hurt("concealed", "a damaged frame")
                if frame.interlaced_frame and not self._interlaced:
                    self._interlaced = True
                    self.remarks.append(INTERLACED[self._deinterlace])
                if not self._captioned and any(d.type.name == CAPTIONS for d in frame.side_data):
                    self._captioned = True
                    self.remarks.append(
                        "closed captions lie within the pictures' data and are left out"
                    )
                last = frame
                yield frame
            if packet is None or (packet.size == 0 and packet.dts is None):
                return

    def _decoded(self, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
        if self._decoder is not None:
            return self._decoder.decode(packet)
        if not self._device:
            return self._stream.decode(packet)
        with CUDA_TURN:
            frames = self._stream.decode(packet)
        if frames and not self._seen:
            self._seen = True
            remark = fallen_back(self._stream, frames[0], self._device)
            self.remarks += [remark] if remark else []
        return [planar(frame) for frame in frames]

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        """The packets of the stream, looked at, with times from 0."""
        import av

        packets = self._container.demux(self._stream)
        adjust = Adjuster(self._timeline)
        while not self._closed:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:
                self._hurt("skipped", f"reading failed: {error.strerror}")
                return
            if packet is None:
                return
            self._discarded += packet.is_discard
            adjust(packet)
            if self._is_cover:
                packet.pts = packet.dts = 0
            self._inspect(packet)
            yield packet

    def _from_key_frame(
        self, packets: Iterator[Packet[VideoStream]]
    ) -> Iterator[Packet[VideoStream]]:
        """The packets from the first one on that can be decoded by itself; all of them if there is
        none (some encoders refresh pictures bit by bit)."""
        skipped: list[Packet[VideoStream]] = []
        self._undecodable: int | None = None
        self._left_out = 0
        for packet in packets:
            if packet.is_keyframe or len(skipped) >= MOST_SKIPPED or not packet.size:
                if packet.is_keyframe and skipped:
                    self._undecodable = packet.pts
                    self._left_out = sum(map(_has_size, skipped))
                    skipped.clear()
                yield from skipped
                yield packet
                break
            skipped.append(packet)
        else:
            yield from skipped
        yield from packets

    def _inspect(self, packet: Packet) -> None:
        """Look for damage that the decoder will not mention."""
        reason = self._inspector.finds(packet)
        if reason:
            self._suspects[packet.pts] += 1
            if self._strict:
                self._hurt("concealed", reason)
        if packet.pos is None or "matroska" not in self._container.format.name:
            return
        if self._clusters is None and Path(self._spec).is_file():
            # At the front, or behind a seek, whose way there was checked by an earlier run.
            self._clusters = Clusters(Path(self._spec), packet.pos if self._sought else 0)
        if self._clusters is not None:
            self._count_broken(self._clusters.advance(packet.pos))

    def _count_broken(self, clusters: int) -> None:
        for _ in range(clusters):
            self._hurt("broken clusters", "a piece of the Matroska file is not as it was written")

    def _suspected(self, frame: VideoFrame) -> bool:
        """Whether damage was found in this frame's packet; each packet is asked about once."""
        name = frame.pts if frame.pts in self._suspects else None
        if not self._suspects[name]:
            return False
        self._suspects[name] -= 1
        return True

    def _hurt(self, kind: str, what: str) -> None:
        if self._strict:
            raise SourceError(f'"{self._spec}" is damaged ({what}); without --strict it is counted')
        self.damage[kind] += 1

    def __iter__(self) -> Iterator[Frame]:
        """Frames from the beginning, or from behind `after`."""
        index, frames = self._continue() if self._after else (0, self._all())
        end = None
        for (frame, ticks), following in _with_next(frames):
            shown = self._shown(frame, ticks) if following is None else following[1] - ticks
            duration = self._time(shown) if shown else None
            time = self._time(ticks)
            end = time + (duration or 0)
            if self._ends_with_its_size(frame, time):
                return
            image, alpha = self._picture(frame) if self.pictures else (self._no_picture(), None)
            yield Frame(image, time, index, duration, alpha)
            index += 1
        if not self._closed:
            self._check_complete(index, end)

    def _ends_with_its_size(self, frame: VideoFrame, time: Fraction) -> bool:
        """Whether the source ends before this frame because it has another size than the first."""
        size = frame.width, frame.height
        if self.clip.orientation[0]:
            size = size[::-1]
        if size == (self.info.width, self.info.height):
            return False
        if self._on_size == "split":
            self.rest = time
            return True
        what = (
            f"the size changes from {self.info.width}x{self.info.height} to {size[0]}x{size[1]} at "
            f"{float(time):.2f} s"
        )
        if self._on_size == "fail":
            raise SourceError(
                f'"{self._spec}": {what}; --on-size-change scale (or split) paints it'
            )
        if not self._scaled:
            self._scaled = True
            self.remarks.append(
                f"{what}: scaled to the first (--on-size-change split makes one file for each size)"
            )
        return False

    def _shown(self, frame: VideoFrame, ticks: int) -> int:
        """How long the last frame is shown, in ticks; 0 if nothing says so.

        The decoder's word is wrong in mp4 files with B-frames and a variable rate (it is the step
        of decoding times), so the end of the stream counts as long as it is near.
        """
        own = int(frame.duration or 0)
        stream = self._stream
        if self._is_cover and self.clip.end:
            return round(self.clip.end / self._clock.time_base)  # as long as the music plays
        if stream.duration and stream.start_time is not None:
            shift = round(self._timeline.seconds(stream.index) / fraction(stream.time_base))
            left = stream.start_time + shift + stream.duration - ticks
            if 0 < left <= 2 * max(own, self._clock.step):
                return left
        return own

    def _all(self) -> Iterator[tuple[VideoFrame, int]]:
        if self._first is not None:
            first, self._first = self._first, None
            yield first
            del first
        yield from self._frames

    def _continue(self) -> tuple[int, Iterator[tuple[VideoFrame, int]]]:
        """Frames behind `after`: by seeking, and if that does not find the place, by counting."""
        assert self._after is not None
        index, time = self._after
        if self._seek and self._container.format.name in SEEKABLE:
            ticks = round(time / self._clock.time_base)
            self._restart(ticks)
            for _, found in self._frames:
                if found >= ticks:
                    if found == ticks:
                        return index + 1, self._frames
                    break
        self.damage.clear()
        self._restart(None)
        for number, _ in enumerate(self._frames):
            if number == index:
                return index + 1, self._frames
        raise SourceError(
            f'"{self._spec}" has fewer than {index + 1} frames now; it changed since the run began'
        )

    def _restart(self, ticks: int | None) -> None:
        self._first = None
        if ticks is None:
            self._container.close()
            self._container = self._open()
            self._sought = False
            self._prepare()
        else:
            base = self._clock.time_base
            raw = ticks - round((self._timeline.seconds(self._stream.index) + SEEK_MARGIN) / base)
            self._container.seek(raw, stream=self._stream)
            if self._decoder is not None:
                self._decoder.flush_buffers()
            self._sought = True
            self._watch()
        self._begin_clock(self._clock.time_base)

    def _time(self, ticks: int) -> Fraction:
        return ticks * self._clock.time_base

    def _picture(self, frame: VideoFrame) -> tuple[Image, np.ndarray | None]:
        """Color, and alpha if the clip has any."""
        tags = colors_of(frame)
        if tags not in self._resolved:
            self._resolved[tags] = tags.resolved(frame.width, frame.height)
        colors = self._resolved[tags]
        if colors.hdr:
            from ..media.hdr import tone_map

            image: np.ndarray = tone_map(self._converter.to_rgb(frame, colors, "rgb48le"), colors)
        else:
            see_through = self.clip.alpha and has_alpha(frame.format)
            image = self._converter.to_rgb(frame, colors, "rgba" if see_through else "rgb24")
        image = containers.turn(image, self.clip.orientation)
        if image.shape[:2] != (self.info.height, self.info.width):
            size = (self.info.width, self.info.height)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        if image.shape[2] == 3:
            return image, None
        return np.ascontiguousarray(image[..., :3]), np.ascontiguousarray(image[..., 3])

    def _no_picture(self) -> Image:
        return np.empty((0, self.info.width, 3), np.uint8)

    def _check_complete(self, count: int, end: Fraction | None) -> None:
        """Compare with what the container promised."""
        if self._clusters is not None:
            self._count_broken(self._clusters.advance())
        # Damaged packets whose frames never came.
        if self._suspects.total() > self.damage["skipped"]:
            self.damage["skipped"] = self._suspects.total()
        self.remarks += self._clock.gaps()
        if self._left_out:
            self.remarks.append(
                f"the clip begins between key frames: {self._left_out} pictures before the first "
                "one cannot be decoded and are left out"
            )
        if self._timeline.jumps:
            self.remarks.append(
                f"its clock jumps {self._timeline.jumps} times: the pieces follow each other"
            )
        if self._clock.repaired:
            self.damage["repaired times"] = self._clock.repaired
        missing = self._missing_bytes()
        if missing:
            self.damage["bytes missing at the end"] = missing
            if self._strict:
                raise SourceError(
                    f'"{self._spec}" was cut: at least {missing} bytes are missing at its end'
                )
        # Pictures that the file hides (edit lists) and those before the first key frame.
        promised = max(0, self._promised - self._discarded - self._left_out)
        if promised and count < promised - self.damage["skipped"]:
            self.damage["missing"] = promised - self.damage["skipped"] - count
        if self.damage["missing"] and self._strict:
            raise SourceError(f'"{self._spec}" ends early: {count} of {promised} frames')
        if not promised and end is not None and self.clip.end and self.clip.end - end > EARLY:
            self.damage["seconds missing"] = round(self.clip.end - end)
            if self._strict:
                raise SourceError(
                    f'"{self._spec}" ends early: at {float(end):.2f} s of '
                    f"{float(self.clip.end):.2f} s"
                )

    def _missing_bytes(self) -> int:
        path = self._path()
        return 0 if path is None else missing_bytes(path, self._container.format.name)

    def close(self) -> None:
        """Close the file; the iteration ends."""
        self._closed = True
        self._first = None
        if self._clusters is not None:
            self._clusters.close()
        self._container.close()


def _with_next(items: Iterator[T]) -> Iterator[tuple[T, T | None]]:
    """Each item with the one behind it; None behind the last."""
    before = next(items, None)
    while before is not None:
        after = next(items, None)
        yield before, after
        before = after


def _has_size(packet: Packet) -> bool:
    return bool(packet.size)


PLUGIN = FileSource
