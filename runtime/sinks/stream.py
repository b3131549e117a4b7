"""A stream to a server: `rtmp://`, `rtmps://` (what streaming services take) or `srt://`.

H.264 at a constant rate with a key frame every two seconds, in FLV or MPEG-TS, without sound. It is
opened only if `allow_network` says so, so that no name of a file ever makes a connection. PyAV's
own wheels know no SRT: there an `ffmpeg` program that does carries the stream on, and a server that
is not there is noticed with the first pictures.
"""

import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import IO

import numpy as np

from ..errors import SinkError, UsageError
from ..frame import Frame
from ..sources import SourceInfo
from ..sources.stream import shown
from . import Sink
from ._sender import HEAD, TICK, Job

FORMATS = {"rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
# Seconds to wait for the server: opening, and for each frame.
TIMEOUT_S = 10.0
DEFAULT_RATE = Fraction(30)
# The module's own names in a process that knows nothing of how this one was started.
START = "import sys; sys.path[:] = {path!r}; from {package}._sender import main; main()"


class StreamSink(Sink):
    """Sends each frame; see `runtime.sinks` for the contract.

    Args:
        spec: the address.
        info: of the frames to come; an odd row or column is lost.
        allow_network: the user asked for the network (`--allow-network`).

    Attributes:
        frames: how many were sent.

    Raises:
        UsageError: the network was not asked for.
        SinkError: the server does not answer.
    """

    def __init__(self, spec: str, info: SourceInfo, *, allow_network: bool = False) -> None:
        self._name = shown(spec)
        if not allow_network:
            raise UsageError(
                f'"{self._name}" is on the network; say --allow-network if that is what you want'
            )
        self.frames, self._last, self._open = 0, -1, True
        rate = Fraction(info.rate or DEFAULT_RATE).limit_denominator(1001)
        self._size = (info.width - info.width % 2, info.height - info.height % 2)
        kind = FORMATS[spec.partition(":")[0].lower()]
        code = START.format(path=sys.path, package=__package__)
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C ends the show, which then ends the stream in good order.
            start_new_session=True,
        )
        try:
            self._send(Job(spec, kind, *self._size, str(rate)).to_line())
            self._wait_for("ok", "cannot be opened")
        except SinkError:
            self.abort()
            raise

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for the addresses above."""
        scheme, slashes, _ = spec.partition("://")
        return bool(slashes) and scheme.lower() in FORMATS

    def write(self, frame: Frame) -> None:
        """Hand over one picture.

        Raises:
            SinkError: the server is gone.
        """
        if not self._open:
            return
        width, height = self._size
        pixels = np.ascontiguousarray(frame.image[:height, :width])
        # Two frames within a millisecond would have the same time; players want it to grow.
        self._last = max(self._last + 1, round(frame.time / TICK))
        self._send(HEAD.pack(self._last) + pixels.tobytes())
        self.frames += 1

    def close(self) -> None:
        """Send what is left, say goodbye; may be called twice."""
        if not self._open:
            return
        self._open = False
        with suppress(OSError):
            self._pipe(self._process.stdin).close()
        self._wait_for("", "has closed the connection")
        self.abort()

    def abort(self) -> None:
        """End at once."""
        self._open = False
        self._process.kill()
        self._process.wait()

    def _send(self, data: bytes) -> None:
        pipe = self._pipe(self._process.stdin)
        try:
            with self._in_time():
                pipe.write(data)
                pipe.flush()
        except OSError:
            self._wait_for("", "has closed the connection")
            raise SinkError(self._trouble("has closed the connection", "no answer")) from None

    def _wait_for(self, wanted: str, what: str) -> None:
        """Wait for this word; "" is the end of the process.

        Raises:
            SinkError: it said something else.
        """
        with self._in_time():
            line = self._pipe(self._process.stdout).readline().decode().strip()
        if line != wanted:
            raise SinkError(self._trouble(what, line.removeprefix("error ") or "no answer in time"))

    @contextmanager
    def _in_time(self) -> Generator[None, None, None]:
        """End the process if what is done here takes too long."""
        timer = threading.Timer(TIMEOUT_S, self._process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        if pipe is None:
            raise SinkError("the process that sends has no pipes")
        return pipe

    def _trouble(self, what: str, reason: str) -> str:
        hint = "check the address and the key of the stream"
        if reason == "Protocol not found":
            hint = (
                "PyAV's wheels know no SRT; install an ffmpeg program that does "
                "(Debian: apt-get install ffmpeg; brew install ffmpeg), or use rtmp://"
            )
        return f'"{self._name}" {what} ({reason}); {hint}'


PLUGIN = StreamSink
