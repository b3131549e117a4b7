"""Damage that FFmpeg's decoders pass over without a word.

Entropy-coded pictures carry no checksum, so a decoder notices damage only where the code words stop
making sense, and some decoders keep even that to themselves. `Inspector` looks at each packet as
well; what it cannot see either, nobody can who has nothing but the file
(docs/benchmarks/fidelity.md has the figures).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# Decoders that give out a picture with errors as if it were whole, unless they are told to refuse
# (measured: tests/fidelity/video.py --damage). A second decoder that is told so tells us.
SILENT = frozenset({"hevc", "mjpeg"})
# Slices of pictures, by the type of a NAL unit (H.264, table 7-1; H.265, table 7-1).
SLICES = {"h264": range(1, 6), "hevc": range(0, 32)}


class Inspector:
    """Looks at the packets of one video stream, in the order of the file.

    Args:
        stream: `av.VideoStream` whose packets will come.
    """

    def __init__(self, stream: VideoStream) -> None:
        context = stream.codec_context
        self._codec = stream.codec.name
        self._prefix = prefix_length(self._codec, context.extradata)
        self._witness = None
        if self._codec in SILENT:
            self._witness = _refusing_decoder(self._codec, context)

    def finds(self, packet: Packet) -> str:
        """What is wrong with this packet, "" if nothing is known to be."""
        import av

        if not packet.size:
            return ""
        reason = "a part that the container calls corrupt" if packet.is_corrupt else ""
        if self._codec in SLICES and holds_lost_bytes(bytes(packet), self._codec, self._prefix):
            reason = "a stretch of zeros where a picture should be"
        if self._witness is not None:
            try:
                self._witness.decode(packet)
            except av.error.EOFError:
                pass
            except av.FFmpegError as error:
                reason = reason or f"a damaged frame: {error.strerror}"
        return reason


def _refusing_decoder(codec: str, context: VideoCodecContext) -> VideoCodecContext:
    import av

    decoder = av.CodecContext.create(codec, "r")
    decoder.extradata = context.extradata
    decoder.width, decoder.height = context.width, context.height
    # Its pictures are thrown away, so they need not be smooth. One thread: errors then come with
    # the packet that has them.
    decoder.options = {"err_detect": "explode", "skip_loop_filter": "all"}
    decoder.thread_count = 1
    return decoder


def prefix_length(codec: str, extradata: bytes | None) -> int:
    """Bytes of the length in front of each NAL unit (mp4, Matroska); 0 for start codes instead.

    ISO/IEC 14496-15: `lengthSizeMinusOne` lies in byte 4 of H.264's record and in byte 21 of
    H.265's, both of which begin with version 1.
    """
    place = {"h264": 4, "hevc": 21}.get(codec, 0)
    if not place or not extradata or len(extradata) <= place or extradata[0] != 1:
        return 0
    return (extradata[place] & 3) + 1


def holds_lost_bytes(data: bytes, codec: str, prefix: int) -> bool:
    """Whether a slice holds three zero bytes in a row, as where a disk lost a block.

    H.264 and H.265 forbid them there (emulation prevention, section 7.4.1): an encoder writes
    00 00 03 00. Zeros at the end of a unit are filling and mean nothing.

    Args:
        data: a packet.
        codec: key of SLICES.
        prefix: bytes of each unit's length, 0 for start codes.
    """
    if b"\0\0\0" not in data:
        return False
    if not prefix:
        # A unit ends where zeros and a one begin the next.
        units = data.split(b"\0\0\1")
        return any(_is_hollow(unit, codec) for unit in units)
    at = 0
    while at + prefix <= len(data):
        end = at + prefix + int.from_bytes(data[at : at + prefix], "big")
        if _is_hollow(data[at + prefix : end], codec):
            return True
        at = end
    return False


def _is_hollow(unit: bytes, codec: str) -> bool:
    unit = unit.rstrip(b"\0")
    if b"\0\0\0" not in unit:
        return False
    kind = unit[0] >> 1 & 63 if codec == "hevc" else unit[0] & 31
    return kind in SLICES[codec]
