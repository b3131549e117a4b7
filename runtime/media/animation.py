"""Animated WebP and PNG from closed segments: full color, with transparency, and no sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from ..errors import SinkError
from ..inputs import file_address
from .alpha import has_alpha
from .encoders import Encoding
from .gif import pictures_of
from .journal import Journal
from .muxing import Joined, Parts, check, sign, writing

# FFmpeg's encoders, their options, those of the muxers, and pixel formats without and with alpha.
# WebP at 90 of 100 shows no blocks in strokes; APNG is lossless.
ENCODERS = {
    "webp": ("libwebp_anim", {"quality": "90"}, {"loop": "0"}, "yuv420p", "yuva420p"),
    "apng": ("apng", {"pred": "mixed"}, {"plays": "0"}, "rgb24", "rgba"),
}
WEBP_TICK = Fraction(1, 1000)


def join_animation(parts: Parts) -> Joined:
    """Write the file.

    Raises:
        SinkError: it cannot be written, or frames are missing in it.
        OutputExists: a file of this name appeared meanwhile.
    """
    journal, encoding = parts.journal, parts.encoding
    with writing(journal, parts.output, parts.overwrite) as temporary:
        _write(journal, encoding, temporary, parts.muxer)
        sign(parts, temporary)
        result = Joined()
        if parts.muxer == "webp":
            _check_webp(journal, encoding, temporary)
            result.frames = journal.frames
        else:
            check(parts, result, temporary)
    return result


def _write(journal: Journal, encoding: Encoding, path: Path, muxer: str) -> None:
    import av

    name, own, options, opaque, see_through = ENCODERS[muxer]
    kept = has_alpha(av.VideoFormat(encoding.pixel_format))
    last = _last_step(journal) * encoding.time_base
    if muxer == "apng":
        options = {**options, "final_delay": f"{last.numerator}/{last.denominator}"}
    with av.open(file_address(path), "w", format=muxer, options=options) as container:
        stream = container.add_stream(name, rate=encoding.rate, options=own)
        stream.width, stream.height = encoding.width, encoding.height
        stream.pix_fmt = see_through if kept else opaque
        stream.time_base = stream.codec_context.time_base = encoding.time_base
        for frame in pictures_of(journal, encoding):
            picture = frame.reformat(format=stream.pix_fmt)
            picture.pts, picture.time_base = frame.pts, encoding.time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _last_step(journal: Journal) -> int:
    """Ticks that the last picture is shown."""
    segment = journal.segments[-1]
    return segment.end - max(packet.time for packet in journal.read_segment(segment))


def _check_webp(journal: Journal, encoding: Encoding, path: Path) -> None:
    """WebP joins pictures that do not differ, so time is counted in place of pictures."""
    from PIL import Image

    first, last = journal.segments[0], journal.segments[-1]
    wanted = (last.end - first.start) * encoding.time_base
    shown = Fraction(0)
    with Image.open(path, formats=("WEBP",)) as image:
        number = getattr(image, "n_frames", 1)
        for index in range(number):
            image.seek(index)
            image.load()
            shown += Fraction(image.info.get("duration", 0)) * WEBP_TICK
    slack = Fraction(last.end - last.start) * encoding.time_base / last.frames + 2 * WEBP_TICK
    if number > journal.frames or abs(shown - wanted) > slack:
        raise SinkError(
            f"{journal.frames} frames of {float(wanted):.2f} s went in, {number} of "
            f"{float(shown):.2f} s are in {path.name}: is the disk full?"
        )
