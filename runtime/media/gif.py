"""Animated GIF from closed segments: one palette for the whole clip, dithered, exact to 1/100 s.

GIF has 256 colors, one of which may be transparent, and no sound. Segments are lossless, so the
palette can be chosen from all frames once they are known (a palette per frame would flicker).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from ..inputs import file_address
from .encoders import Encoding, open_encoder
from .journal import Journal
from .muxing import Joined, Parts, check, sign, writing

if TYPE_CHECKING:
    from av import VideoFrame
    from av.filter import Graph
    from av.filter.context import FilterContext

TICK = Fraction(1, 100)  # GIF's only clock
# Error diffusion with little memory: smoother than ordered dithering, calmer than Floyd-Steinberg.
DITHER = "sierra2_4a"
# What is less opaque is transparent.
OPAQUE_FROM = 128
ALPHA_WORDS = "a .gif knows no half transparency: what is less than half opaque is left out"


def join_gif(parts: Parts) -> Joined:
    """Write the file.

    Raises:
        SinkError: it cannot be written, or frames are missing in it.
        OutputExists: a file of this name appeared meanwhile.
    """
    import av

    journal, encoding = parts.journal, parts.encoding
    with writing(journal, parts.output, parts.overwrite) as temporary:
        palette = _choose_palette(journal, encoding)
        with av.open(file_address(temporary), "w", format="gif") as container:
            stream = container.add_stream("gif", rate=min(encoding.rate, Fraction(100)))
            stream.width, stream.height, stream.pix_fmt = encoding.width, encoding.height, "pal8"
            stream.time_base = stream.codec_context.time_base = TICK
            last = -1
            for frame in _mapped(journal, encoding, palette):
                tick = max(last + 1, round(frame.pts * encoding.time_base / TICK))
                frame.pts, frame.time_base, last = tick, TICK, tick
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        sign(parts, temporary)
        result = Joined()
        check(parts, result, temporary)
    return result


def pictures_of(journal: Journal, encoding: Encoding) -> Iterator[VideoFrame]:
    """The frames of all segments, decoded, with their ticks."""
    import av

    encoder = open_encoder(encoding)
    decoder = av.CodecContext.create(encoding.codec, "r")
    decoder.extradata = encoder.extradata
    decoder.width, decoder.height = encoding.width, encoding.height
    for segment in journal.segments:
        for stored in journal.read_segment(segment):
            packet = av.Packet(stored.data)
            packet.pts = packet.dts = stored.time
            packet.time_base = encoding.time_base
            yield from decoder.decode(packet)
    yield from decoder.decode(None)


def _pixels(encoding: Encoding) -> str:
    """What the filters are given, with alpha if the segments have any."""
    return "bgra" if encoding.pixel_format == "bgra" else "bgr0"


def _choose_palette(journal: Journal, encoding: Encoding) -> VideoFrame:
    import av
    import av.filter

    graph = av.filter.Graph()
    pixels = _pixels(encoding)
    source = _buffer(graph, encoding, pixels)
    generator = graph.add("palettegen", "stats_mode=full")
    sink = graph.add("buffersink")
    source.link_to(generator)
    generator.link_to(sink)
    graph.configure(auto_buffer=False)
    for frame in pictures_of(journal, encoding):
        source.push(frame.reformat(format=pixels))
    source.push(None)
    return sink.pull()


def _mapped(journal: Journal, encoding: Encoding, palette: VideoFrame) -> Iterator[VideoFrame]:
    import av
    import av.filter

    graph = av.filter.Graph()
    pixels = _pixels(encoding)
    source = _buffer(graph, encoding, pixels)
    colors = graph.add_buffer(
        width=palette.width,
        height=palette.height,
        format=palette.format,
        time_base=encoding.time_base,
    )
    use = graph.add("paletteuse", f"dither={DITHER}:alpha_threshold={OPAQUE_FROM}")
    sink = graph.add("buffersink")
    source.link_to(use, 0, 0)
    colors.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure(auto_buffer=False)
    palette.pts, palette.time_base = 0, encoding.time_base
    colors.push(palette)
    colors.push(None)
    for frame in pictures_of(journal, encoding):
        source.push(frame.reformat(format=pixels))
        yield from _pull(sink)
    source.push(None)
    yield from _pull(sink)


def _pull(sink: FilterContext) -> Iterator[VideoFrame]:
    import av

    while True:
        try:
            yield sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


def _buffer(graph: Graph, encoding: Encoding, pixel_format: str) -> FilterContext:
    import av

    return graph.add_buffer(
        width=encoding.width,
        height=encoding.height,
        format=av.VideoFormat(pixel_format, encoding.width, encoding.height),
        time_base=encoding.time_base,
    )
