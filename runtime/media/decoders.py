"""Which device decodes clips, and whether it works.

FFmpeg lists devices that it was built for, on machines that have none. So none is taken before it
has decoded frames here (`probe`). Frames come back to the host; what a device makes of a stream is
what the codec's standard says, so pictures do not depend on it. Damage does: hardware conceals it
and says nothing.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, cast

from ..errors import EngineUnavailable, UsageError

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.codec.hwaccel import HWAccel
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

SOFTWARE, HARDWARE = "software", "hardware"
# FFmpeg's names of devices that decode, in the order they are tried: NVDEC, Apple's, and those of
# Linux and Windows.
DEVICES = ("cuda", "videotoolbox", "vaapi", "qsv", "d3d11va", "d3d12va")
# The smallest NVDEC takes for H.264 is 48x16 (its programming guide).
PROBE_SIZE, PROBE_FRAMES = (256, 256), 3
# Forms in which a device's frames come, and the same with a plane for each channel, as FFmpeg's own
# decoders give them. swscale interpolates the color of the former otherwise: other pictures.
PLANAR = {
    "nv12": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
}


def choose_decoder(wish: str = SOFTWARE) -> tuple[str, list[str]]:
    """The device to decode on, "" for the CPU, and remarks about devices that do not work.

    Args:
        wish: "software"; "hardware" (the first device that works, else software); or a device's
            name.

    Raises:
        EngineUnavailable: the named device does not work here.
        UsageError: there is no such device.
    """
    if wish == SOFTWARE:
        return "", []
    built = _built_for()
    if wish == HARDWARE:
        reasons: list[str] = []
        for device in DEVICES:
            if device not in built:
                continue
            reason = probe(device)
            if reason is None:
                return device, []
            reasons.append(f"{device}: {reason}")
        return "", [f"the CPU decodes, no device does ({'; '.join(reasons)})"]
    if wish not in DEVICES:
        allowed = ", ".join((SOFTWARE, HARDWARE, *DEVICES))
        raise UsageError(f'decoder "{wish}" is unknown; allowed are {allowed}')
    reason = probe(wish) if wish in built else "this FFmpeg was built without it"
    if reason is not None:
        raise EngineUnavailable(
            f"--decoder {wish} does not work on this machine ({reason}); use --decoder software"
        )
    return wish, []


def acceleration(device: str, *, fallback: bool = True) -> HWAccel:
    """What `av.open` is given to decode on a device.

    Args:
        device: its name.
        fallback: let the CPU decode what the device does not.
    """
    from av.codec.hwaccel import HWAccel

    return HWAccel(device, allow_software_fallback=fallback)


def prepare(stream: VideoStream) -> None:
    """One thread: others would only take turns on the device, and call CUDA at any time."""
    stream.thread_type = "SLICE"
    stream.codec_context.thread_count = 1


def fallen_back(stream: VideoStream, frame: VideoFrame, device: str) -> str:
    """What to say of a stream that the CPU decodes after all; "" if the device does."""
    name = frame.format.name
    # Full chroma has the same form on both sides; what is known of it is that a device was opened.
    if stream.codec_context.is_hwaccel and (name in PLANAR or "444" in name):
        return ""
    return f"{device} does not decode this stream ({stream.codec.name}, {name}): the CPU does"


def planar(frame: VideoFrame) -> VideoFrame:
    """A device's frame as a decoder on the CPU gives it: the same values, in planes."""
    name = PLANAR.get(frame.format.name)
    return frame if name is None else frame.reformat(format=name)


@cache
def probe(device: str) -> str | None:
    """None if this device really decodes frames here, else why not, in a few words."""
    import av

    try:
        packets = _clip()
        decoder = cast(
            "VideoCodecContext",
            av.CodecContext.create("h264", "r", acceleration(device, fallback=False)),
        )
        if not decoder.is_hwaccel:
            return "FFmpeg's H.264 decoder knows no such device"
        decoder.thread_count = 1
        frames = [frame for packet in (*packets, None) for frame in decoder.decode(packet)]
    # The last is what PyAV raises where a codec has no configuration for the device.
    except (av.FFmpegError, ValueError, RuntimeError, NotImplementedError) as error:
        return " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
    if len(frames) != PROBE_FRAMES:
        return f"{len(frames)} of {PROBE_FRAMES} frames came out"
    return None


def _clip() -> list[Packet]:
    """Some frames of gray as H.264."""
    import av

    encoder = cast("VideoCodecContext", av.CodecContext.create("libx264", "w"))
    encoder.width, encoder.height = PROBE_SIZE
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 25)
    packets: list[Packet] = []
    for number in range(PROBE_FRAMES):
        frame = av.VideoFrame(*PROBE_SIZE, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes([64 * number]) * plane.buffer_size)
        frame.pts, frame.time_base = number, Fraction(1, 25)
        packets += encoder.encode(frame)
    return [*packets, *encoder.encode(None)]


def _built_for() -> list[str]:
    from av.codec.hwaccel import hwdevices_available

    return hwdevices_available()
