"""The process that talks to a streaming server, for `stream`.

Connecting holds Python's lock in PyAV 18 for as long as the server likes (`start_encoding`), which
in the program itself would stop the show. Standard input brings one line of JSON (`Job`), then for
each frame its time and its pixels; standard output says "ok" when the server has answered, or an
error.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np

from ..media.color import BT709, LIMITED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av import VideoFrame, VideoStream
    from av.container import OutputContainer

# Time of a frame in ticks, before its pixels.
HEAD = struct.Struct("<q")
# FLV counts in milliseconds; nothing finer arrives.
TICK = Fraction(1, 1000)
# Bits for each pixel: 2.8 Mb/s at 1280x720 and 30 frames/s, where services ask for 2.5 to 4.
BITS_PER_PIXEL = 0.1
# Seconds in which an `ffmpeg` that carries the stream on must have sent the rest.
RELAY_S = 5.0
# Services ask for a key frame every two seconds: a viewer who joins waits for one.
KEY_S = 2


@dataclass(frozen=True, slots=True)
class Job:
    """What is sent where.

    Attributes:
        address: of the server.
        format: container, as FFmpeg names it.
        width, height: even.
        rate: nominal frames per second, as "30000/1001".
    """

    address: str
    format: str
    width: int
    height: int
    rate: str

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> None:
    """Send until standard input ends."""
    from av.error import FFmpegError

    job = Job(**json.loads(sys.stdin.buffer.readline()))
    relay: Relay | None = None
    try:
        try:
            container, stream = _open(job.address, job)
        except FFmpegError:
            if (relay := open_relay(job)) is None:
                raise
            container, stream = _open(relay.pipe, job)
        _say("ok")
        for ticks, pixels in _frames(sys.stdin.buffer, job):
            container.mux(stream.encode(_picture(pixels, ticks)))
        container.mux(stream.encode(None))
        container.close()
        if relay is not None:
            relay.close()
    except (FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _say(f"error {(relay.trouble() if relay is not None else '') or reason}")


def _open(target: str | IO[bytes], job: Job) -> tuple[OutputContainer, VideoStream]:
    import av

    container = av.open(target, "w", format=job.format)
    stream = _stream(container, job)
    container.start_encoding()
    return container, stream


class Relay:
    """An `ffmpeg` program that carries the finished stream on; nothing is compressed again.

    Attributes:
        pipe: where the stream goes in.
    """

    def __init__(self, program: str, job: Job) -> None:
        what = ("-f", job.format, "-i", "pipe:0", "-c", "copy", "-f", job.format, job.address)
        # The little that is looked at before the first packet goes on: 2 kB, no time.
        quick = ("-fflags", "nobuffer", "-probesize", "2048", "-analyzeduration", "0")
        self._process = subprocess.Popen(
            [program, "-hide_banner", "-nostats", "-loglevel", "error", *quick, *what],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        self.pipe: IO[bytes] = self._process.stdin

    def close(self) -> None:
        """Send what is left.

        Raises:
            OSError: the program could not.
        """
        self.pipe.close()
        if self._process.wait(RELAY_S) != 0:
            raise OSError("the stream was cut off")

    def trouble(self) -> str:
        """The last line it said, "" for none; ends it."""
        self._process.kill()
        said = self._process.stderr.read() if self._process.stderr is not None else b""
        lines = said.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""


def open_relay(job: Job) -> Relay | None:
    """A program on the PATH that knows SRT, for a PyAV that does not; None where there is none."""
    program = shutil.which("ffmpeg")
    if program is None or not job.address.lower().startswith("srt://"):
        return None
    known = subprocess.run(
        [program, "-hide_banner", "-protocols"], capture_output=True, text=True, check=False
    )
    _, _, outputs = known.stdout.partition("Output:")
    return Relay(program, job) if "srt" in outputs.split() else None


def _frames(source: BinaryIO, job: Job) -> Iterator[tuple[int, np.ndarray]]:
    size = job.width * job.height * 3
    while len(head := source.read(HEAD.size)) == HEAD.size:
        data = source.read(size)
        if len(data) < size:
            return
        yield HEAD.unpack(head)[0], np.frombuffer(data, np.uint8).reshape(job.height, job.width, 3)


def _picture(pixels: np.ndarray, ticks: int) -> VideoFrame:
    from av import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace

    picture = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
    )
    picture.colorspace = picture.color_primaries = picture.color_trc = BT709
    picture.color_range = LIMITED
    picture.pts, picture.time_base = ticks, TICK
    return picture


def _stream(container: OutputContainer, job: Job) -> VideoStream:
    rate = Fraction(job.rate)
    stream = container.add_stream("libx264", rate=rate)
    stream.width, stream.height, stream.pix_fmt = job.width, job.height, "yuv420p"
    stream.codec_context.time_base = TICK
    stream.bit_rate = round(BITS_PER_PIXEL * job.width * job.height * rate)
    stream.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "g": str(round(KEY_S * rate)),
    }
    context = stream.codec_context  # what services expect
    context.colorspace = context.color_primaries = context.color_trc = BT709
    context.color_range = LIMITED
    return stream


def _say(text: str) -> None:
    sys.stdout.buffer.write(text.encode("utf-8", "replace").replace(b"\n", b" ") + b"\n")
    sys.stdout.buffer.flush()
