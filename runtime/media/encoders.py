"""Which encoder makes which codec, how quality and speed are asked of it, and whether it works.

Hardware encoders are compiled into FFmpeg on machines that have no such hardware, so none is taken
before it has encoded a frame here (`probe`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING

from ..errors import EngineUnavailable, SinkError, UsageError
from .color import Colors, chroma_of

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext

SPEEDS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)
# Default effort of codecs that name none.
PRESET = "fast"
GLOBAL_HEADER = 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER: parameters beside the stream, as mp4 needs
FRAME_DURATION = 1 << 8  # AV_CODEC_FLAG_FRAME_DURATION: durations of frames reach their packets
PROBE_SIZE = (256, 256)  # the smallest NVENC takes for all its codecs is 160x64
PROBE_FRAMES = 3


@dataclass(frozen=True)
class Codec:
    """One codec the user may ask for.

    Attributes:
        software: name of FFmpeg's encoder.
        hardware: encoders that need a device, in the order they are tried.
        pixel_format: what the encoder is given.
        quality: best, worst and our default constant quality; None if the codec has none.
        even: width and height must be even (chroma of half size that cannot be cropped).
        containers: endings of files it may be put in.
        smallest: width and height that it needs at least.
        others: pixel formats it makes on request.
        alpha: the pixel format that keeps transparency, by ending; endings where it is lost are
            left out.
        preset: default effort.
    """

    software: str
    hardware: tuple[str, ...]
    pixel_format: str
    quality: tuple[int, int, int] | None
    even: bool
    containers: tuple[str, ...]
    smallest: tuple[int, int] = (1, 1)
    others: tuple[str, ...] = ()
    alpha: dict[str, str] = field(default_factory=dict[str, str])
    preset: str = PRESET


# Chroma of full, half and quarter size, in 8 and 10 bits: what x264 and x265 make.
H26X = ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")
# Default qualities: an identity model must give every clip of `shared/data/video` back at 40 dB and
# more (tests/fidelity/video.py); each codec's scale is its own.
CODECS = {
    "h264": Codec(
        "libx264",
        ("h264_nvenc", "h264_videotoolbox", "h264_qsv"),
        "yuv420p",
        (0, 51, 9),
        True,
        (".mp4", ".m4v", ".mov", ".mkv"),
        others=H26X,
        # On painted frames a quarter of the processor time of "fast" at quality 10, within a
        # decibel of it, files of 1.2 to 1.6 times the size (benchmarks.encoders). "ultrafast" takes
        # two thirds of that, and its files are up to twice as large again.
        preset="superfast",
    ),
    "hevc": Codec(
        "libx265",
        ("hevc_nvenc", "hevc_videotoolbox", "hevc_qsv"),
        "yuv420p",
        (0, 51, 12),
        True,
        (".mp4", ".m4v", ".mov", ".mkv"),
        others=H26X,
    ),
    "av1": Codec(
        "libsvtav1",
        ("av1_nvenc", "av1_qsv"),
        "yuv420p",
        (1, 63, 5),
        True,
        (".mp4", ".m4v", ".mkv", ".webm"),
        others=("yuv420p10le",),
    ),
    "vp9": Codec(
        "libvpx-vp9",
        ("vp9_qsv",),
        "yuv420p",
        (0, 63, 10),
        False,
        (".webm", ".mkv", ".mp4"),
        others=("yuv422p", "yuv444p"),
        alpha={".webm": "yuva420p", ".mkv": "yuva420p"},
    ),
    "prores": Codec("prores_ks", (), "yuv422p10le", None, True, (".mov", ".mkv")),
    "prores4444": Codec(
        "prores_ks",
        (),
        "yuv444p10le",
        None,
        True,
        (".mov", ".mkv"),
        alpha={".mov": "yuva444p10le", ".mkv": "yuva444p10le"},
    ),
    "dnxhr": Codec(
        "dnxhd",
        (),
        "yuv422p",
        None,
        True,
        (".mov",),
        smallest=(256, 120),
        others=("yuv422p10le", "yuv444p10le"),
    ),
    "ffv1": Codec(
        "ffv1",
        (),
        "bgr0",
        None,
        False,
        (".mkv",),
        others=("yuv420p", *H26X),
        alpha={".mkv": "bgra", ".webp": "bgra", ".apng": "bgra", ".gif": "bgra"},
    ),
}
# Profiles that say what an encoder stores, by its pixel format.
PROFILES = {
    ("prores_ks", "yuv422p10le"): "hq",
    ("prores_ks", "yuv444p10le"): "4444",
    ("prores_ks", "yuva444p10le"): "4444",
    ("dnxhd", "yuv422p"): "dnxhr_hq",
    ("dnxhd", "yuv422p10le"): "dnxhr_hqx",
    ("dnxhd", "yuv444p10le"): "dnxhr_444",
}
# What a container holds when no codec is asked for.
DEFAULT_CODEC = {".webm": "vp9", ".gif": "ffv1", ".webp": "ffv1", ".apng": "ffv1"}
# Moving pictures without sound, made of lossless segments when all frames are known.
ANIMATIONS = (".gif", ".webp", ".apng")
# What shares of chroma are called, by width and height in pixels of one sample.
CHROMA = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (4, 1): "4:1:1", (1, 2): "4:4:0"}


@dataclass(frozen=True)
class Encoding:
    """One fully decided way to encode a clip; equal values give equal bytes on one machine.

    Attributes:
        codec: key of `CODECS`.
        encoder: FFmpeg's name of the encoder that does it.
        width, height: of the encoded picture (after padding to even sizes).
        pixel_format: of the encoder.
        rate: nominal frames per second.
        time_base: seconds per tick of the times given to the encoder.
        colors: what pixels mean (resolved), and `tags`, what the file says.
        sample_aspect_ratio: shape of a pixel.
        quality: constant quality, None for codecs without.
        preset: one of SPEEDS.
        threads: of the encoder; fixed, because x264's result depends on it.
        options: of the encoder.
    """

    codec: str
    encoder: str
    width: int
    height: int
    pixel_format: str
    rate: Fraction
    time_base: Fraction
    colors: Colors
    tags: Colors
    sample_aspect_ratio: Fraction = Fraction(1)
    quality: int | None = None
    preset: str = PRESET
    threads: int = 0
    options: dict[str, str] = field(default_factory=dict)


def check_codec(codec: str | None, suffix: str) -> str:
    """The codec for a file ending, `codec` if it fits.

    Raises:
        UsageError: unknown codec, unknown ending, or the two do not go together.
    """
    known = sorted(
        {ending for entry in CODECS.values() for ending in entry.containers} | set(DEFAULT_CODEC)
    )
    if suffix not in known:
        raise UsageError(f'output ending "{suffix}" is unknown; write one of {", ".join(known)}')
    if codec is None:
        return DEFAULT_CODEC.get(suffix, "h264")
    if codec not in CODECS:
        raise UsageError(f'codec "{codec}" is unknown; write one of {", ".join(CODECS)}')
    if suffix not in CODECS[codec].containers:
        fits = ", ".join(CODECS[codec].containers)
        raise UsageError(f'{codec} cannot be put into a "{suffix}" file; it fits {fits}')
    return codec


def check_size(codec: str, width: int, height: int) -> None:
    """Raises UsageError for pictures that are too small for the codec."""
    least = CODECS[codec].smallest
    if width < least[0] or height < least[1]:
        raise UsageError(
            f"{codec} needs pictures of {least[0]}x{least[1]} and more, these are "
            f"{width}x{height}; take another --codec"
        )


def choose_pixel_format(codec: str, encoder: str, wish: str | None) -> str | None:
    """The pixel format that was asked for, with FFmpeg's name; None if none was.

    Raises:
        UsageError: the encoder does not make it.
    """
    if wish is None:
        return None
    entry = CODECS[codec]
    allowed = [entry.pixel_format]
    if encoder == entry.software:
        allowed += [name for name in (*entry.others, *entry.alpha.values()) if name not in allowed]
    # "yuv420p10" is what people write; the order of bytes is no choice of theirs.
    name = f"{wish}le" if f"{wish}le" in allowed else wish
    if name not in allowed:
        shown = ", ".join(dict.fromkeys(name.removesuffix("le") for name in allowed))
        raise UsageError(f'pixel format "{wish}" is not made by {encoder}; allowed are {shown}')
    return name


def chroma_words(codec: str, pixel_format: str, chroma: tuple[int, int]) -> list[str]:
    """What is lost of a clip's color in this pixel format: one line, or none.

    Args:
        codec: key of `CODECS`.
        pixel_format: what is written.
        chroma: the clip's (`ClipInfo.chroma`).
    """
    import av

    def loses(name: str) -> bool:
        share = chroma_of(av.VideoFormat(name))
        return share[0] > chroma[0] or share[1] > chroma[1]

    if chroma == (0, 0) or not loses(pixel_format):
        return []
    words = [CHROMA.get(c, "full") for c in (chroma, chroma_of(av.VideoFormat(pixel_format)))]
    better = [name for name in CODECS[codec].others if not loses(name)]
    advice = f"; --pixel-format {better[0]} keeps it, fewer players know it" if better else ""
    return [f"color is stored as {words[1]}, the clip has {words[0]}{advice}"]


def alpha_words(suffix: str) -> str:
    """Which outputs keep transparency, for those that do not."""
    kept = [
        f"{name} in {', '.join(ending for ending in entry.containers if ending in entry.alpha)}"
        for name, entry in CODECS.items()
        if entry.alpha
    ]
    return (
        f"transparency is dropped, this {suffix} file has no place for it; what keeps it: "
        f"{'; '.join(kept)}; .webp, .apng, .gif (all or nothing) and frames/%06d.png"
    )


def check_quality(codec: str, quality: int | None) -> int | None:
    """The constant quality to use. Raises UsageError outside the codec's scale."""
    scale = CODECS[codec].quality
    if scale is None:
        if quality is not None:
            raise UsageError(f"{codec} has no quality setting; leave --quality away")
        return None
    best, worst, default = scale
    if quality is not None and not best <= quality <= worst:
        raise UsageError(
            f"quality {quality} is outside the scale of {codec}: {best} (best) to {worst}"
        )
    return default if quality is None else quality


def choose_encoder(codec: str, wish: str = "software") -> tuple[str, list[str]]:
    """The encoder to use and remarks about encoders that were tried and did not work.

    Args:
        codec: key of `CODECS`.
        wish: "software"; "hardware" (the first that works, else software); or an encoder's name.

    Raises:
        EngineUnavailable: the named encoder does not work here.
        UsageError: a name that makes another codec.
    """
    entry = CODECS[codec]
    if wish in ("software", entry.software):
        return entry.software, []
    if wish == "hardware":
        remarks = []
        for name in entry.hardware:
            reason = probe(name)
            if reason is None:
                return name, remarks
            remarks.append(f"{name} does not work here ({reason})")
        if not entry.hardware:
            remarks.append(f"no hardware encodes {codec}")
        return entry.software, [*remarks, f"{entry.software} encodes instead"]
    if wish not in entry.hardware:
        allowed = ", ".join(("software", "hardware", entry.software, *entry.hardware))
        raise UsageError(f'encoder "{wish}" does not make {codec}; allowed are {allowed}')
    reason = probe(wish)
    if reason is not None:
        raise EngineUnavailable(
            f"{wish} does not work on this machine ({reason}); use --encoder software"
        )
    return wish, []


@cache
def probe(name: str, pixel_format: str = "yuv420p") -> str | None:
    """None if this encoder really encodes frames here, else why not, in a few words."""
    import av

    try:
        context: VideoCodecContext = av.CodecContext.create(name, "w")
        context.width, context.height = PROBE_SIZE
        context.pix_fmt = pixel_format
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        packets = 0
        for number in range(PROBE_FRAMES):
            frame = av.VideoFrame(*PROBE_SIZE, pixel_format)
            for plane in frame.planes:
                plane.update(bytes([64 * number]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += sum(packet.size > 0 for packet in context.encode(frame))
        packets += sum(packet.size > 0 for packet in context.encode(None))
    except (av.FFmpegError, ValueError) as error:
        return " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
    return None if packets == PROBE_FRAMES else f"{packets} of {PROBE_FRAMES} frames came out"


def encoder_options(encoder: str, quality: int | None, preset: str) -> dict[str, str]:
    """The encoder's own words for quality and speed."""
    step = SPEEDS.index(preset)
    if encoder == "libx264":
        # Without cpu-independent, x264's macroblock tree gives other bytes each time it encodes the
        # same small pictures (measured: 96x64, four runs, four results, AVX-512); with it a resumed
        # run equals an uninterrupted one, on any machine.
        # At our qualities arithmetic coding (CABAC) is two fifths of superfast's work; without it
        # files are 6 % larger, and the pictures the same (benchmarks.encoders).
        coding = ":cabac=0" if step <= SPEEDS.index("superfast") else ""
        parameters = f"cpu-independent=1{coding}"
        return {"preset": preset, "crf": str(quality), "x264-params": parameters}
    if encoder == "libx265":
        return {"preset": preset, "crf": str(quality), "x265-params": "log-level=error"}
    if encoder == "libsvtav1":  # presets 12 (fastest) to 0
        return {"preset": str(max(0, 12 - step)), "crf": str(quality)}
    if encoder == "libvpx-vp9":  # cpu-used 8 (fastest) to 0; row-mt uses more than one core
        speed = str(max(0, 6 - step))
        return {"crf": str(quality), "deadline": "good", "cpu-used": speed, "row-mt": "1"}
    if encoder == "prores_ks":
        return {"vendor": "apl0"}
    if encoder == "dnxhd":
        return {"profile": "dnxhr_hq"}
    if encoder == "ffv1":  # version 3 has checksums; slices use several cores; 12 is 1080p's best
        return {"level": "3", "slices": "12", "slicecrc": "1", "coder": "1"}
    if encoder.endswith("_nvenc"):
        # FFmpeg asks NVENC for 2 Mbit/s unless told otherwise, and that goes before the quality.
        preset = f"p{min(7, 1 + step)}"
        return {"rc": "vbr", "cq": str(quality), "b": "0", "preset": preset}
    if encoder.endswith("_qsv"):
        return {"global_quality": str(quality), "preset": preset}
    if encoder.endswith("_videotoolbox"):  # its scale is 1..100, best last
        return {"q:v": str(round(100 - 99 * (quality or 0) / 51))}
    return {}


def build_options(encoding: Encoding) -> dict[str, str]:
    """All options of the encoder."""
    own = encoder_options(encoding.encoder, encoding.quality, encoding.preset)
    profile = PROFILES.get((encoding.encoder, encoding.pixel_format))
    if profile is not None:
        own["profile"] = profile
    return {**own, **encoding.options}


def configure(context: VideoCodecContext, encoding: Encoding, container: str = "") -> None:
    """Bring a fresh encoder context to the values of `encoding`.

    Args:
        context: `av.VideoCodecContext` not yet open.
        encoding: what it is to make.
        container: name of the muxer, for tags that depend on it.
    """
    context.width, context.height = encoding.width, encoding.height
    context.pix_fmt = encoding.pixel_format
    context.time_base, context.framerate = encoding.time_base, encoding.rate
    context.sample_aspect_ratio = encoding.sample_aspect_ratio
    context.options = build_options(encoding)
    context.thread_count = encoding.threads
    context.flags |= GLOBAL_HEADER | FRAME_DURATION
    tags = encoding.tags
    if encoding.pixel_format not in ("bgr0", "bgra", "gbrp", "rgb24"):
        context.colorspace, context.color_range = tags.matrix, tags.range
    context.color_primaries, context.color_trc = tags.primaries, tags.transfer
    if encoding.codec == "hevc" and container in ("mp4", "mov", "ipod"):
        context.codec_tag = "hvc1"  # QuickTime and Safari play no other


def open_encoder(encoding: Encoding) -> VideoCodecContext:
    """An open `av.VideoCodecContext` for `encoding`.

    Raises:
        SinkError: the encoder refuses; its own words are in the message.
    """
    import os

    import av

    os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 prints its settings on stderr otherwise
    try:
        context: VideoCodecContext = av.CodecContext.create(encoding.encoder, "w")
        configure(context, encoding)
        context.open(strict=False)
    except (av.FFmpegError, ValueError) as error:
        raise SinkError(f"{encoding.encoder} refuses to start: {error}") from None
    return context
