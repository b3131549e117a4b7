"""Transparency: which clips have it, how it is read, and how VP9's travels.

Alpha is straight (colors are not multiplied by it): color is painted, alpha comes back as it was.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

import numpy as np

from .color import samples
from .encoders import Encoding

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.codeccontext import VideoCodecContext
    from av.video.format import VideoFormat
    from av.video.stream import VideoStream

# Codecs whose alpha is a second stream of pictures beside the first (WebM's BlockAdditional).
# FFmpeg's own decoders leave it out, libvpx's join the two.
BESIDE = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
OPAQUE = 255


def has_alpha(pixel_format: VideoFormat) -> bool:
    """Whether a pixel format has a place for transparency (which may be used nowhere)."""
    return pixel_format.name == "pal8" or any(c.is_alpha for c in pixel_format.components)


def alpha_of(frame: VideoFrame) -> np.ndarray:
    """(H, W) uint8 of a decoded frame whose format has alpha, 0 transparent."""
    if frame.format.name == "yuva420p":
        return np.ascontiguousarray(samples(frame.planes[3]))
    return np.ascontiguousarray(frame.reformat(format="rgba").to_ndarray()[..., 3])


def is_transparent(frame: VideoFrame) -> bool:
    """Whether anything can be seen through this frame."""
    return has_alpha(frame.format) and int(alpha_of(frame).min()) < OPAQUE


def decoder_for(stream: VideoStream) -> VideoCodecContext | None:
    """A decoder that gives alpha, for streams that need one of their own; else None."""
    import av

    name = BESIDE.get(stream.codec.name)
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if name is None or tags.get("alpha_mode") != "1":
        return None
    try:
        decoder = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
    except av.codec.codec.UnknownCodecError:
        return None
    decoder.extradata = stream.codec_context.extradata
    return decoder


def shows_through(container: InputContainer, stream: VideoStream) -> bool:
    """Whether any picture of a clip is transparent anywhere, by decoding it up to the first one."""
    import av

    decoder = decoder_for(stream)
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return False
            frames = stream.decode(packet) if decoder is None else decoder.decode(packet)
        except av.error.EOFError:
            return False
        except av.FFmpegError:
            continue  # damage is found when the clip is painted
        if any(map(is_transparent, frames)):
            return True


def is_beside(encoding: Encoding) -> bool:
    """Whether packets of this encoding are more than their bytes: VP9 with alpha."""
    return encoding.encoder in BESIDE.values() and encoding.pixel_format.startswith("yuva")


def pack(packet: Packet, encoding: Encoding) -> bytes:
    """A packet with its second stream of pictures, as a Matroska file of its own."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream(encoding.encoder, rate=encoding.rate)
        stream.width, stream.height = encoding.width, encoding.height
        stream.pix_fmt = encoding.pixel_format
        stream.metadata["alpha_mode"] = "1"
        packet.stream = stream
        container.mux_one(packet)
    return file.getvalue()


def unpack(data: bytes) -> Packet:
    """The packet that `pack` was given; its times are to be set anew."""
    import av

    with av.open(io.BytesIO(data), format="matroska") as container:
        return next(container.demux(video=0))
