"""Eighty clips of many kinds, made by the ffmpeg command: one second each, with a tone.

Each is a name for people, the file's ending, and ffmpeg's arguments between input and output.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "12")
AAC = ("-c:a", "aac")
MUTE = ("-an",)
SIZE = "96x64"
LOOSE = ("-strict", "-2")
AMV = ("-c:v", "amv", "-c:a", "adpcm_ima_amv", "-ar", "22050", "-ac", "1", "-block_size", "882")
DV = ("-c:a", "pcm_s16le", "-t", "0.4")
FAST_10 = ("-deadline", "realtime", "-pix_fmt", "yuv420p10le")
HDR = (
    *("-pix_fmt", "yuv420p10le", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"),
    *("-x265-params", "log-level=error"),
)
EARLY = ("-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled")
TWICE = ("-map", "0:v", "-map", "1:a", "-map", "1:a")


@dataclass(frozen=True)
class Recipe:
    """How one clip is made.

    Attributes:
        name: for people.
        ending: of the file.
        arguments: of ffmpeg, behind its inputs: pictures (0) and a tone (1).
        size: of the pictures, and `rate`, theirs a second.
    """

    name: str
    ending: str
    arguments: tuple[str, ...]
    size: str = SIZE
    rate: str = "25"


def _codec(name: str, *more: str) -> tuple[str, ...]:
    return ("-c:v", name, *more)


RECIPES = [
    Recipe("H.264 with B-frames, AAC", "mp4", (*H264, *AAC)),
    Recipe("H.264 without B-frames, MP3", "mp4", (*H264[:4], "-bf", "0", "-c:a", "libmp3lame")),
    Recipe(
        "H.264 of 29.97 frames per second, AC-3", "mp4", (*H264, "-c:a", "ac3"), rate="30000/1001"
    ),
    Recipe("H.264, 10 bits", "mp4", (*H264, "-pix_fmt", "yuv420p10le", *AAC)),
    Recipe("H.264, 4:4:4", "mp4", (*H264, "-pix_fmt", "yuv444p", *AAC)),
    Recipe("H.264, full range", "mp4", (*H264, "-pix_fmt", "yuvj420p", *AAC)),
    Recipe("H.264, pixels of 4:3", "mp4", (*H264, "-vf", "setsar=4/3", *AAC)),
    Recipe("H.264, open groups of pictures", "mp4", (*H264, "-x264-params", "open-gop=1", *AAC)),
    Recipe("H.264 in fragments", "mp4", (*H264, *AAC, "-movflags", "frag_keyframe+empty_moov")),
    Recipe(
        "HEVC, ALAC", "mp4", (*_codec("libx265", "-x265-params", "log-level=error"), "-c:a", "alac")
    ),
    Recipe("AV1, Opus", "mp4", (*_codec("libsvtav1", "-preset", "12"), "-c:a", "libopus")),
    Recipe(
        "VP9, FLAC",
        "mp4",
        (*_codec("libvpx-vp9", "-deadline", "realtime"), "-c:a", "flac", "-strict", "-2"),
    ),
    Recipe("MPEG-4, Vorbis", "mp4", (*_codec("mpeg4", "-bf", "2"), "-c:a", "libvorbis")),
    Recipe("H.264, PCM", "mov", (*H264, "-c:a", "pcm_s16le")),
    Recipe("H.264 with a timecode", "mov", (*H264, *AAC, "-timecode", "01:02:03:04")),
    Recipe("ProRes, 24-bit PCM", "mov", (*_codec("prores_ks"), "-c:a", "pcm_s24le")),
    Recipe("ProRes 4444, mute", "mov", (*_codec("prores_ks", "-profile:v", "4444"), *MUTE)),
    Recipe(
        "DNxHR, PCM",
        "mov",
        (*_codec("dnxhd", "-profile:v", "dnxhr_hq", "-pix_fmt", "yuv422p"), "-c:a", "pcm_s16le"),
        size="256x128",
    ),
    Recipe("Motion JPEG, u-law", "mov", (*_codec("mjpeg"), "-c:a", "pcm_mulaw")),
    Recipe("QuickTime Animation", "mov", (*_codec("qtrle"), *AAC)),
    Recipe("PNG pictures", "mov", (*_codec("png"), *AAC)),
    Recipe("H.264, FLAC", "mkv", (*H264, "-c:a", "flac")),
    Recipe("H.264, odd sizes", "mkv", (*H264, "-vf", "format=yuv444p,crop=67:45:exact=1", *MUTE)),
    Recipe(
        "H.264, a variable rate",
        "mkv",
        (*H264, "-vf", "settb=1/1000,setpts=40*N+N*N", "-fps_mode", "passthrough", *AAC),
    ),
    Recipe(
        "HEVC, E-AC-3",
        "mkv",
        (*_codec("libx265", "-x265-params", "log-level=error"), "-c:a", "eac3"),
    ),
    Recipe("AV1, Vorbis", "mkv", (*_codec("libsvtav1", "-preset", "12"), "-c:a", "libvorbis")),
    Recipe("VP8, MP2", "mkv", (*_codec("libvpx", "-deadline", "realtime"), "-c:a", "mp2")),
    Recipe("FFV1, WavPack", "mkv", (*_codec("ffv1"), "-c:a", "wavpack")),
    Recipe("FFV1, RGB, TTA", "mkv", (*_codec("ffv1", "-pix_fmt", "bgr0"), "-c:a", "tta")),
    Recipe(
        "MPEG-2, TrueHD",
        "mkv",
        (*_codec("mpeg2video", "-bf", "2"), "-c:a", "truehd", "-strict", "-2"),
    ),
    Recipe("Theora, Vorbis", "mkv", (*_codec("libtheora"), "-c:a", "libvorbis")),
    Recipe("Huffyuv, PCM", "mkv", (*_codec("huffyuv"), "-c:a", "pcm_s16le")),
    Recipe("Ut Video, DTS", "mkv", (*_codec("utvideo"), "-c:a", "dca", "-strict", "-2")),
    Recipe(
        "raw pictures, float PCM",
        "mkv",
        (*_codec("rawvideo", "-pix_fmt", "yuv420p"), "-c:a", "pcm_f32le"),
    ),
    Recipe(
        "VP8, Vorbis", "webm", (*_codec("libvpx", "-deadline", "realtime"), "-c:a", "libvorbis")
    ),
    Recipe(
        "VP9, Opus", "webm", (*_codec("libvpx-vp9", "-deadline", "realtime"), "-c:a", "libopus")
    ),
    Recipe(
        "VP9 with hidden reference pictures",
        "webm",
        (
            *_codec("libvpx-vp9", "-auto-alt-ref", "1", "-lag-in-frames", "12", "-cpu-used", "8"),
            *MUTE,
        ),
    ),
    Recipe(
        "MPEG-4 with B-frames, MP3", "avi", (*_codec("mpeg4", "-bf", "2"), "-c:a", "libmp3lame")
    ),
    Recipe("MPEG-4, Microsoft ADPCM", "avi", (*_codec("mpeg4"), "-c:a", "adpcm_ms")),
    Recipe("H.264, AC-3", "avi", (*_codec("libx264", "-bf", "0"), "-c:a", "ac3")),
    Recipe("Motion JPEG, 8-bit PCM", "avi", (*_codec("mjpeg"), "-c:a", "pcm_u8")),
    Recipe("raw RGB, PCM", "avi", (*_codec("rawvideo", "-pix_fmt", "bgr24"), "-c:a", "pcm_s16le")),
    Recipe("H.264, AAC", "ts", (*H264, *AAC)),
    Recipe("H.264 that begins at 50 000 s", "ts", (*H264, *AAC, "-output_ts_offset", "50000")),
    Recipe(
        "HEVC, MP2", "ts", (*_codec("libx265", "-x265-params", "log-level=error"), "-c:a", "mp2")
    ),
    Recipe("MPEG-2, AC-3", "ts", (*_codec("mpeg2video", "-bf", "2"), "-c:a", "ac3")),
    Recipe("H.264, AC-3", "m2ts", (*H264, "-c:a", "ac3")),
    Recipe("MPEG-1, MP2", "mpg", (*_codec("mpeg1video", "-bf", "2"), "-c:a", "mp2")),
    Recipe("MPEG-2, AC-3", "vob", (*_codec("mpeg2video", "-bf", "2"), "-c:a", "ac3")),
    Recipe(
        "interlaced MPEG-2",
        "mpg",
        (*_codec("mpeg2video", "-flags", "+ilme+ildct"), "-vf", "setfield=tff", "-c:a", "mp2"),
    ),
    Recipe("Sorenson Spark, MP3", "flv", (*_codec("flv1"), "-c:a", "libmp3lame", "-ar", "44100")),
    Recipe("H.264, AAC", "flv", (*H264, *AAC)),
    Recipe("WMV 2, WMA 2", "wmv", (*_codec("wmv2"), "-c:a", "wmav2")),
    Recipe("MS-MPEG-4, WMA 1", "asf", (*_codec("msmpeg4v2"), "-c:a", "wmav1")),
    Recipe("Theora, Vorbis", "ogv", (*_codec("libtheora"), "-c:a", "libvorbis")),
    Recipe("MPEG-2, PCM", "mxf", (*_codec("mpeg2video"), "-c:a", "pcm_s16le")),
    Recipe("H.263, AAC", "3gp", (*_codec("h263"), *AAC, "-ac", "1"), size="176x144"),
    Recipe(
        "DV, PCM",
        "dv",
        (*_codec("dvvideo", "-pix_fmt", "yuv420p"), "-c:a", "pcm_s16le", "-t", "0.4"),
        size="720x576",
    ),
    Recipe("H.264, Opus", "nut", (*H264, "-c:a", "libopus")),
    Recipe("animated GIF", "gif", MUTE),
    Recipe("animated PNG", "apng", (*_codec("apng"), *MUTE)),
    Recipe("YUV4MPEG2", "y4m", ("-pix_fmt", "yuv420p", *MUTE)),
    Recipe("AMV, stored upside down", "amv", AMV, size="160x112"),
    Recipe("MPEG-2, PCM", "gxf", (*_codec("mpeg2video"), *DV, "-ac", "1"), size="720x576"),
    Recipe("DV in AVI", "avi", (*_codec("dvvideo", "-pix_fmt", "yuv420p"), *DV), size="720x576"),
    Recipe("JPEG 2000", "mov", (*_codec("jpeg2000"), *MUTE)),
    Recipe("CineForm", "mov", (*_codec("cfhd"), *MUTE), size="256x128"),
    Recipe("uncompressed, 10 bits", "mov", (*_codec("v210"), *MUTE)),
    Recipe("Hap", "mov", (*_codec("hap"), *MUTE)),
    Recipe("VP9, 10 bits", "webm", (*_codec("libvpx-vp9", *FAST_10), *MUTE)),
    Recipe("HEVC, HDR10", "mkv", (*_codec("libx265"), *HDR, "-color_trc", "smpte2084", *AAC)),
    Recipe("HEVC, HLG", "mp4", (*_codec("libx265"), *HDR, "-color_trc", "arib-std-b67", *AAC)),
    Recipe("gray pictures", "mkv", (*_codec("ffv1", "-pix_fmt", "gray"), *MUTE)),
    Recipe("one pixel", "mkv", ("-vf", "scale=1:1", *_codec("ffv1"), *MUTE)),
    Recipe("8192 pixels wide, 2 high", "mkv", (*_codec("ffv1"), *MUTE), size="8192x2"),
    Recipe("H.264, times before 0", "mkv", (*H264, *AAC, *EARLY)),
    Recipe("H.264, AAC in LATM", "ts", (*H264, *AAC, "-mpegts_flags", "latm")),
    Recipe("MPEG-2, PCM of S302M", "ts", (*_codec("mpeg2video"), "-c:a", "s302m", *LOOSE)),
    Recipe("two sound streams", "mkv", (*TWICE, *H264, "-c:a:0", "ac3", "-c:a:1", "libopus")),
    Recipe("MPEG-4 simple, no container", "m4v", (*_codec("mpeg4"), *MUTE, "-f", "m4v")),
    Recipe("Motion JPEG of odd rate", "avi", (*_codec("mjpeg"), *MUTE), rate="1000/77"),
    Recipe("bare H.264", "h264", (*H264, *MUTE)),
    Recipe("bare HEVC", "hevc", (*_codec("libx265", "-x265-params", "log-level=error"), *MUTE)),
    Recipe("bare MPEG-2", "m2v", (*_codec("mpeg2video", "-bf", "2"), *MUTE)),
]


def has_ffmpeg() -> bool:
    """Whether the ffmpeg command is here."""
    return shutil.which("ffmpeg") is not None


def make(recipe: Recipe, folder: Path) -> Path | None:
    """The clip; None if this ffmpeg lacks an encoder."""
    path = folder / f"in.{recipe.ending}"
    pictures = f"testsrc2=s={recipe.size}:r={recipe.rate}:d=1"
    inputs = ["-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", "sine=d=1:r=48000", "-ac", "2"]
    command = ["ffmpeg", "-v", "error", "-y", *inputs, *recipe.arguments, str(path)]
    made = subprocess.run(command, capture_output=True, timeout=120)
    return None if made.returncode else path


def frame_times(path: Path) -> list[float]:
    """Seconds at which ffmpeg shows each picture of a clip, by its own `framemd5`."""
    clock = ["-fps_mode", "passthrough", "-enc_time_base", "-1"]
    command = ["ffmpeg", "-v", "quiet", "-i", str(path), "-map", "0:v:0", *clock]
    listed = subprocess.run(
        [*command, "-f", "framemd5", "-"], capture_output=True, text=True, timeout=120
    )
    base, times = 1.0, []
    for line in listed.stdout.splitlines():
        if line.startswith("#tb"):
            above, below = line.split(":")[1].split("/")
            base = int(above) / int(below)
        elif not line.startswith("#"):
            times.append(int(line.split(",")[2]) * base)
    return times
