"""Every parser that we wrote, as a function of bytes: it answers, or raises what it says it raises.

`python tests/hostile/fuzz.py` drives these by coverage; `test_parsers.py` gives each a few hundred
damaged inputs.
"""

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from runtime.card import ModelCard
from runtime.errors import StyleError
from runtime.media import ebml, matroska
from runtime.media.journal import _check_header, _read_segment
from runtime.model import zoo
from runtime.model.probe_graph import read_ends
from runtime.onnxfile import OnnxFile
from runtime.pictures import color_profile
from runtime.pictures.opening import extra_format
from runtime.sources._clusters import Clusters
from runtime.sources._length import missing_bytes

from .seeds import Seeds, model

SCRATCH = Path(tempfile.mkdtemp(prefix="parsers-"))
# FFmpeg's names of the formats whose length we look up ourselves.
FORMATS = ("matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "avi", "gif", "mpegts")


def parse_ebml(data: bytes) -> None:
    """Elements, and the tracks of a Matroska file that are rewritten."""
    try:
        parts = list(ebml.children(data))
    except ValueError:
        parts = []
    assert b"".join(head + body for _, head, body in parts) == (data if parts else b"")
    with contextlib.suppress(ValueError):
        matroska._find_tracks(io.BytesIO(data))
    with contextlib.suppress(ValueError):
        assert len(matroska._rewritten(data, 64, 48, Fraction(4, 3))) == len(data)


def parse_clusters(data: bytes) -> None:
    """The walk through a Matroska file behind FFmpeg, and the length that a file says it has."""
    path = SCRATCH / "clip"
    path.write_bytes(data or b"\0")
    clusters = Clusters(path)
    assert clusters.advance(len(data) // 2) >= 0
    assert clusters.advance() >= 0
    clusters.close()
    for name in FORMATS:
        assert missing_bytes(path, name) >= 0


def parse_onnx(data: bytes) -> None:
    """An ONNX file taken apart, and put together again."""
    with contextlib.suppress(StyleError):
        graph = OnnxFile.parse(data)
        for node in graph.nodes:
            for name in node.inputs:
                graph.constant(name)
                graph.initializer_ints(name)
            node.ints("pads")
            node.number("min")
            node.attribute("value")
        graph.serialize(graph.outputs)
        picture, answer = (*graph.inputs, "x")[0], (*graph.outputs, "y")[0]
        graph.documentation(picture)
        read_ends(graph, picture, answer)
    with contextlib.suppress(EOFError, UnicodeDecodeError):
        list(zoo._strings(io.BytesIO(data), 0, len(data)))


def parse_card(data: bytes) -> None:
    """A card: what it says is kept."""
    try:
        card = ModelCard.from_json(data.decode("utf-8", "replace"))
    except StyleError:
        return
    assert ModelCard.from_json(card.to_json()) == card


def parse_journal(data: bytes) -> None:
    """Lines of a journal."""
    for line in data.decode("utf-8", "replace").splitlines():
        segment = _read_segment(line)
        assert segment is None or 0 <= segment.delay < segment.frames
        with contextlib.suppress(StyleError, ValueError, RecursionError):
            _check_header(json.loads(line), SCRATCH)


def parse_heads(data: bytes) -> None:
    """What a picture's first bytes say it is; a color profile."""
    extra_format(data)
    color_profile.read_profile(data)


def examples(good: Seeds) -> dict[str, list[bytes]]:
    """Parser -> good inputs, from which damage and coverage begin."""
    whole = [*good.clips.values()]
    tracks = good.clips["mkv"]
    at, size = matroska._find_tracks(io.BytesIO(tracks))
    return {
        "ebml": [tracks, tracks[at : at + size], good.clips["webm"]],
        "clusters": whole,
        "onnx": [good.model, model(json.dumps(good.card), good.model)],
        "card": [json.dumps(good.card).encode()],
        "journal": ["\n".join(good.journal[0]).encode()],
        "heads": [color_profile.srgb_profile(), *good.pictures.values(), good.clips["mp4"]],
    }


PARSERS: dict[str, Callable[[bytes], None]] = {
    "ebml": parse_ebml,
    "clusters": parse_clusters,
    "onnx": parse_onnx,
    "card": parse_card,
    "journal": parse_journal,
    "heads": parse_heads,
}
