"""Video from the network, only where the address is written out: rtsp://, http://, https://.

It is opened only if `allow_network` says so, so that no name of a file and no line of a list ever
makes a connection.

Read by FFmpeg without reordering delay; what it buffered while it looked at the stream is decoded
faster than it is shown, so the newest-frame slot catches up with the present. A recording behind
an address (its length is known) is played by the clock like a file; a broadcast is live.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from ..errors import EngineUnavailable, SourceError, UsageError
from ..frame import Frame
from ..invocation import command
from ..media import container as containers
from . import Source, SourceInfo

if TYPE_CHECKING:
    from av import VideoFrame

SCHEMES = ("rtsp://", "rtsps://", "http://", "https://", "srt://")
# Seconds to wait for the server: opening, and between two packets.
TIMEOUT_S = (10.0, 10.0)
# RTSP over TCP: a lost UDP packet smears the picture until the next key frame.
# (`fflags=nobuffer` would throw away the first pictures of recordings.)
OPTIONS = {
    "flags": "low_delay",
    "rtsp_transport": "tcp",
    # What a server sends may name other addresses (HLS playlists do), but no files of ours.
    "protocol_whitelist": "http,https,tcp,tls,udp,rtp,rtsp,rtsps,srtp,srt,crypto",
}


class StreamSource(Source):
    """A network address as a source.

    Args:
        spec: the address.
        allow_network: the user asked for the network (`--allow-network`).

    Attributes:
        info: `live` unless the server told how long the video is.
        decode_ms: time the last picture took to decode and convert.
    """

    def __init__(self, spec: str, *, allow_network: bool = False) -> None:
        import av

        if not allow_network:
            raise UsageError(
                f'"{shown(spec)}" is on the network; say --allow-network if that is what you want'
            )

        from ..media.color import Converter, colors_of

        self.decode_ms = 0.0
        self._closed = False
        self._name = shown(spec)
        try:
            self._container = av.open(spec, options=dict(OPTIONS), timeout=TIMEOUT_S)
        except av.error.ProtocolNotFoundError:
            scheme = spec.partition("://")[0].lower()
            raise EngineUnavailable(
                f'"{self._name}": the FFmpeg in this package knows no {scheme}://; where the '
                f"ffmpeg command does, pipe it: ffmpeg -i ADDRESS -c copy -f nut - | "
                f"{command('video')} - out.mp4"
            ) from None
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SourceError(
                f'"{self._name}" cannot be opened ({reason}); check the address, user and '
                "password, and that the camera is on the network"
            ) from None
        try:
            self._stream = containers.choose_stream(self._container, None, self._name)
            rate = containers.guess_rate(self._stream)
            self._frames = self._container.decode(self._stream)
            self._first = next(self._frames, None)
        except av.FFmpegError as error:
            self.close()
            raise SourceError(f'"{self._name}" gives no picture ({error.strerror})') from None
        except BaseException:
            self.close()
            raise
        if self._first is None:
            self.close()
            raise SourceError(f'"{self._name}" has no video frame')
        if self._container.streams.audio:
            self.remarks = ["its sound is not taken over: an address is read once"]
        live = not self._container.duration
        size = (self._first.width, self._first.height)
        self.info = SourceInfo(self._name, *size, rate, None, live)
        self._converter = Converter()
        self._colors = colors_of(self._first).resolved(*size)

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for the addresses of `SCHEMES`."""
        return spec.lower().startswith(SCHEMES)

    def __iter__(self) -> Iterator[Frame]:
        """Pictures with the stream's own times, counted from the first.

        Raises:
            SourceError: the connection was lost.
        """
        import av

        start = last = None
        index = 0
        while not self._closed:
            before = time.perf_counter()
            try:
                frame, self._first = self._first or next(self._frames, None), None
            except av.FFmpegError as error:
                raise SourceError(f'"{self._name}" was lost ({error.strerror})') from None
            if frame is None:
                return
            moment = self._moment(frame, index)
            start = moment if start is None else start
            # A server that starts its clock again must not send the stream back in time.
            if last is not None and moment - start <= last:
                start = moment - last - Fraction(1, 1000)
            last = moment - start
            converting = time.perf_counter()
            image = self._converter.to_rgb(frame, self._colors)
            if image.shape[1::-1] != (self.info.width, self.info.height):
                raise SourceError(
                    f'"{self._name}" changed its size to {frame.width}x{frame.height}'
                )
            # Live: waiting for the network is no work; a recording decodes as fast as it is read.
            self.decode_ms = 1000.0 * (
                time.perf_counter() - (converting if self.info.live else before)
            )
            yield Frame(image, last, index)
            index += 1

    def _moment(self, frame: VideoFrame, index: int) -> Fraction:
        if frame.pts is None:
            return index / (self.info.rate or Fraction(30))
        base = frame.time_base
        return frame.pts * Fraction(base.numerator, base.denominator)

    def close(self) -> None:
        """Hang up; may be called twice."""
        self._closed = True
        self._container.close()


PLUGIN = StreamSource


def shown(address: str) -> str:
    """The address without user and password, for screens and logs."""
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
