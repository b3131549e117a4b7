"""Opening containers: which video stream is meant, how it is turned, shaped and colored."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import SourceError
from ..inputs import check_file, file_address
from .color import Colors, chroma_of, colors_of
from .decoders import acceleration
from .timeline import Timeline

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

# One part of 16.16 fixed point: display matrices hold multiples of it.
UNIT = 65536
# ffmpeg's own choice (fftools, map_auto_video): size, plus this for the default track; cover art
# last.
DEFAULT_BONUS = 5_000_000
ATTACHED_PIC, DEFAULT = 1 << 10, 1 << 0  # AV_DISPOSITION_*


@dataclass(frozen=True)
class ClipInfo:
    """What an encoder and a muxer must know to give a clip back as it came.

    Attributes:
        path: file from which the other streams can be copied; None if there is none.
        stream_index: of the chosen video stream in the container.
        codec: name of its codec.
        time_base: its tick in seconds.
        tagged: color tags as found.
        colors: the same, decided where the clip does not say.
        sample_aspect_ratio: width of a pixel divided by its height, as shown (after turning).
        orientation: quarter turns and flips applied to the pictures, as `read_orientation` gives.
        bits: of one component (8, 10, 12).
        chroma: width and height of what color is stored for, in pixels: (1, 1) for 4:4:4 and RGB,
            (2, 2) for 4:2:0; (0, 0) for gray.
        alpha: some picture is transparent somewhere.
        end: when the clip ends by its container, in seconds from its start; None if unknown.
        timeline: what brings the timestamps of all its streams to times from 0.
        excerpt: other streams end with the pictures, as the clip goes on without them.
        notes: what a user should know, one line each.
    """

    path: Path | None
    stream_index: int
    codec: str
    time_base: Fraction
    tagged: Colors
    colors: Colors
    sample_aspect_ratio: Fraction = Fraction(1)
    orientation: tuple[bool, bool, bool] = (False, False, False)
    bits: int = 8
    chroma: tuple[int, int] = (1, 1)
    alpha: bool = False
    end: Fraction | None = None
    timeline: Timeline = field(default_factory=Timeline)
    excerpt: bool = False
    notes: list[str] = field(default_factory=list)


# Readers of FFmpeg that open what a file names, or devices: playlists (hls, concat, sdp, ...),
# numbered pictures by pattern, filters, screens and cameras.
NO_FILES = frozenset(
    {
        *("alsa", "applehttp", "concat", "dash", "fbdev", "hls", "image2", "imf", "jack"),
        *("kmsgrab", "lavfi", "oss", "pulse", "rtp", "rtsp", "sap", "sdp", "v4l2"),
        *("video4linux2", "vobsub", "webm_dash_manifest", "x11grab", "xcbgrab"),
    }
)


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes; empty at the end."""
        ...


# Bare streams of pictures: nothing around them says when each is shown. FFmpeg's readers take 25
# frames per second, whatever the stream itself says.
BARE = frozenset(
    {"av1", "cavsvideo", "dirac", "evc", "h264", "hevc", "jpeg_pipe", "m4v", "mjpeg", "mpegvideo"}
    | {"obu", "vc1", "vvc"}
)
BARE_RATE = 25


@cache
def file_formats() -> str:
    """FFmpeg's readers that read one file and nothing else, for its `format_whitelist`."""
    import av

    return ",".join(sorted(av.formats_available - NO_FILES))


def open_container(
    file: Path | Readable,
    name: str,
    format: str | None = None,
    options: dict[str, str] | None = None,
    device: str = "",
) -> InputContainer:
    """`av.open` for reading one file, with errors made for people.

    Whatever the file holds, nothing else is opened: no other file, no address, no device.

    Args:
        file: a path, or something with `read`.
        name: for messages.
        format: FFmpeg's name of the reader, None to find out.
        options: FFmpeg's own, for the reader.
        device: that decodes (`runtime.media.decoders`), "" for the CPU.

    Raises:
        SourceError: missing, unreadable, no video container, or a playlist.
    """
    import av

    if isinstance(file, Path):
        check_file(file)
    own = {"protocol_whitelist": "file", "format_whitelist": file_formats()}
    opened = file_address(file) if isinstance(file, Path) else file
    own |= options or {}
    accelerated = acceleration(device) if device else None
    try:
        return av.open(
            opened,
            "r",
            format=format,
            options=own,
            metadata_errors="replace",
            hwaccel=accelerated,
        )
    except av.FFmpegError as error:
        reason = error.strerror or "unknown format"
        if isinstance(error, av.error.ArgumentError):
            raise SourceError(
                f'"{name}" is a playlist, or of a kind that opens other files or addresses; give '
                "the clips themselves"
            ) from None
        raise SourceError(
            f'"{name}" cannot be read as a video ({reason}); it may be truncated or no video'
        ) from None


def choose_stream(container: InputContainer, wanted: int | None, name: str) -> VideoStream:
    """The video stream to work on.

    Args:
        container: open for reading.
        wanted: its index in the container (as ffprobe lists it), or None for ffmpeg's choice: the
            largest picture, the default track before others, cover art last.
        name: of the file, for messages.

    Raises:
        SourceError: no video stream, or `wanted` is none.
    """
    videos = [s for s in container.streams.video if s.codec_context is not None]
    if not videos:
        kinds = ", ".join(s.type for s in container.streams) or "no streams"
        raise SourceError(f'"{name}" has no video stream (it has: {kinds})')
    if wanted is not None:
        for stream in videos:
            if stream.index == wanted:
                return stream
        listed = ", ".join(f"{s.index} ({s.width}x{s.height} {s.codec.name})" for s in videos)
        raise SourceError(f'"{name}" has no video stream {wanted}; its video streams are: {listed}')

    def score(stream: VideoStream) -> int:
        disposition = int(stream.disposition)
        if disposition & ATTACHED_PIC:
            return 1
        return stream.width * stream.height + DEFAULT_BONUS * bool(disposition & DEFAULT)

    return max(videos, key=score)


def read_orientation(frame: VideoFrame) -> tuple[tuple[bool, bool, bool], str | None]:
    """How a decoded frame must be turned to be upright.

    Returns:
        (transpose, flip horizontally, flip vertically), to be done in this order, and a remark if
        the clip asks for an angle that is no quarter turn (then nothing is turned).
    """
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack("<9i", bytes(data)[:36])[:5]
            break
    else:
        return (False, False, False), None
    if max(abs(a), abs(d)) > UNIT // 100 and max(abs(b), abs(c)) > UNIT // 100:
        angle = np.degrees(np.arctan2(b, a))
        return (False, False, False), f"rotation by {angle:.0f} degrees is not a quarter turn"
    if abs(b) > abs(a):
        return (True, c < 0, b < 0), None
    return (False, a < 0, d < 0), None


def turn(image: np.ndarray, orientation: tuple[bool, bool, bool]) -> np.ndarray:
    """Apply `read_orientation`'s answer to (H, W, 3); C-contiguous result."""
    transpose, horizontal, vertical = orientation
    if transpose:
        image = image.transpose(1, 0, 2)
    if horizontal:
        image = image[:, ::-1]
    if vertical:
        image = image[::-1]
    return np.ascontiguousarray(image)


def describe(
    container: InputContainer,
    stream: VideoStream,
    frame: VideoFrame,
    path: Path | None,
    timeline: Timeline,
) -> ClipInfo:
    """Everything `ClipInfo` holds, from an open container and its first decoded frame."""
    notes = []
    orientation, remark = read_orientation(frame)
    if remark:
        notes.append(f"{remark}: the pictures are left as they are")
    tagged = colors_of(frame)
    ratio = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio or Fraction(1)
    ratio = Fraction(ratio.numerator, ratio.denominator) or Fraction(1)
    bits = max((component.bits for component in frame.format.components), default=8)
    if bits > 8 and not tagged.hdr:
        notes.append(f"{bits}-bit video is painted with 8 bits")
    end = None
    if container.duration:
        end = Fraction(container.duration, 1_000_000)
    base = stream.time_base
    return ClipInfo(
        path=path,
        stream_index=stream.index,
        codec=stream.codec.name,
        time_base=Fraction(base.numerator, base.denominator),
        tagged=tagged,
        colors=tagged.resolved(frame.width, frame.height),
        sample_aspect_ratio=1 / ratio if orientation[0] else ratio,
        orientation=orientation,
        bits=bits,
        chroma=chroma_of(frame.format),
        end=end,
        timeline=timeline,
        notes=notes,
    )


def stated_rate(stream: VideoStream) -> Fraction | None:
    """Frames per second that a bare stream states in itself; None if it states none."""
    rate = stream.codec_context.framerate
    return Fraction(rate.numerator, rate.denominator) if rate else None


def count_frames(container: InputContainer, stream: VideoStream) -> int:
    """How many frames the container says there are, 0 if it does not.

    The header of an AVI file counts frames that were dropped while recording; its index does not.
    """
    if container.format.name == "avi":
        return len(getattr(stream, "index_entries", ())) or stream.frames
    return stream.frames


def count_hidden(stream: VideoStream) -> int:
    """How many of them an edit list hides, as far as the index of the file says so."""
    return sum(entry.is_discard for entry in getattr(stream, "index_entries", ()))


def guess_rate(stream: VideoStream) -> Fraction | None:
    """Nominal frames per second: the measured average, else what the container promises."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= 1000:
            return Fraction(rate.numerator, rate.denominator)
    return None
