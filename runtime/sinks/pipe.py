"""Bare frames on standard output: `-`.

By default packed RGB, one frame after the other; `y4m` is YUV4MPEG2, which carries size and rate
and which every video tool reads from a pipe.
"""

import os
import select
import stat
import sys
import threading
from fractions import Fraction
from typing import BinaryIO

from ..errors import SinkError, UsageError
from ..frame import Frame, check_image
from ..media import streams
from ..media.color import BT601, LIMITED, Colors, Converter
from ..media.container import ClipInfo
from ..sources import SourceInfo
from . import Sink
from .file import pad_even

# YUV4MPEG2 has no field for the matrix; readers take BT.601 limited, so that is what is written.
Y4M = Colors(matrix=BT601, range=LIMITED, primaries=BT601, transfer=BT601)
FORMATS = ("rgb24", "bgr24", "yuv420p", "y4m")
# Bytes that a pipe takes at once if it takes any (POSIX); and how often, while it takes none,
# somebody looks whether the run was ended (s).
PIECE = getattr(select, "PIPE_BUF", 512)
LOOK_S = 0.2


class PipeSink(Sink):
    """Frames on standard output.

    Args:
        spec: "-".
        info: size and rate of the frames to come.
        pipe_format: one of FORMATS.
        file: write to this instead of standard output.
        clip: the input's `ClipInfo`, for the shape of pixels and to say what is left out.

    Attributes:
        notes: what a user should know, one line each.
    """

    def __init__(
        self,
        spec: str,
        info: SourceInfo,
        *,
        pipe_format: str = "rgb24",
        file: BinaryIO | None = None,
        clip: ClipInfo | None = None,
    ) -> None:
        if pipe_format not in FORMATS:
            raise UsageError(
                f'pipe format "{pipe_format}" is unknown; write one of {", ".join(FORMATS)}'
            )
        self.frames = 0
        self.notes: list[str] = streams.left_behind(clip, shape=pipe_format == "y4m")
        self._info, self._format = info, pipe_format
        self._file = file or sys.stdout.buffer
        self._pipe = _pipe_number(self._file)
        self._over = threading.Event()
        self._converter = Converter()
        # Of the first frame, and how far the times of frames are from those of a constant rate.
        self._start: Fraction | None = None
        self._off = Fraction(0)
        if pipe_format == "y4m":
            rate = info.rate or Fraction(25)
            shape = clip.sample_aspect_ratio if clip is not None else Fraction(1)
            self._put(
                f"YUV4MPEG2 W{info.width + info.width % 2} H{info.height + info.height % 2} "
                f"F{rate.numerator}:{rate.denominator} Ip "
                f"A{shape.numerator}:{shape.denominator} C420jpeg\n".encode()
            )

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for "-"."""
        return spec in ("-", "pipe:", "pipe:1")

    def write(self, frame: Frame) -> None:
        """Send one frame."""
        image = check_image(frame.image)
        if image.shape[:2] != (self._info.height, self._info.width):
            raise ValueError(f"frame is {image.shape[1]}x{image.shape[0]}")
        if self._format == "rgb24":
            self._put(image.tobytes())
        elif self._format == "bgr24":
            self._put(image[..., ::-1].tobytes())
        else:
            height, width = image.shape[:2]
            even = pad_even(image, width + width % 2, height + height % 2)
            planes = self._converter.from_rgb(even, Y4M, "yuv420p").to_ndarray()
            self._put((b"FRAME\n" if self._format == "y4m" else b"") + planes.tobytes())
        self._compare(frame.time)
        self.frames += 1

    def _compare(self, time: Fraction) -> None:
        """How far a frame is from its place at the constant rate that a reader will take."""
        self._start = time if self._start is None else self._start
        place = self.frames / (self._info.rate or Fraction(25))
        self._off = max(self._off, abs(time - self._start - place))

    def _tell_rate(self) -> None:
        rate = self._info.rate or Fraction(25)
        if self._off > 1 / rate / 2:  # more than rounding
            self.notes.append(
                f"{self._format} has no times, only a rate: at {float(rate):.5g} frames per second "
                f"pictures are up to {float(self._off):.2f} s from where the clip has them; a file "
                "keeps a variable rate"
            )
            self._off = Fraction(0)

    def _put(self, data: bytes) -> None:
        try:
            if self._pipe is None:
                self._file.write(data)
            else:
                self._put_piecewise(memoryview(data), self._pipe)
        except BrokenPipeError:
            raise SinkError(
                f"the reader of the pipe went away after {self.frames} frames"
            ) from None
        except OSError as error:
            raise SinkError(f"cannot write to the pipe: {error.strerror}") from None

    def _put_piecewise(self, data: memoryview, pipe: int) -> None:
        """As `write`, but a reader that does not read keeps nobody here for ever."""
        poll = select.poll()
        poll.register(pipe, select.POLLOUT)
        while data:
            if self._over.is_set():
                raise SinkError(
                    f"the reader of the pipe took {self.frames} frames and then nothing more"
                )
            if poll.poll(1000 * LOOK_S):
                data = data[os.write(pipe, data[:PIECE]) :]

    def give_up(self) -> None:
        """A write that waits for the reader ends; see `runtime.sinks.Sink`."""
        self._over.set()

    def close(self) -> None:
        """Bring everything to the reader; the pipe itself is left open."""
        self._tell_rate()
        try:
            self._file.flush()
        except BrokenPipeError:
            # Python flushes standard output again at exit; give that one a place to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SinkError(
                f"the reader of the pipe went away after {self.frames} frames"
            ) from None
        except ValueError:  # closed already
            return

    def abort(self) -> None:
        """What was sent cannot be taken back."""


def _pipe_number(file: BinaryIO) -> int | None:
    """The descriptor of a pipe or a socket, where what was written before is brought to it; None
    for what always takes everything, and where pipes cannot be asked (Windows)."""
    if not hasattr(select, "poll"):
        return None
    try:
        file.flush()
        number = file.fileno()
        mode = os.fstat(number).st_mode
    except (OSError, ValueError):
        return None
    return number if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


PLUGIN = PipeSink
