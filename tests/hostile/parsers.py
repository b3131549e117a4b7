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

from runtime.batch import manifest, records
from runtime.card import ModelCard
from runtime.errors import StyleError, UsageError
from runtime.keys import parse_script
from runtime.live.remote.table import of_midi, of_osc
from runtime.media import ebml, matroska
from runtime.media.journal import _check_header, _read_segment
from runtime.model import zoo
from runtime.model.probe_graph import read_ends
from runtime.onnxfile import OnnxFile
from runtime.pictures import color_profile
from runtime.pictures.opening import extra_format
from runtime.provenance import Provenance, carriers, xmp
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


def parse_xmp(data: bytes) -> None:
    """The owner's packet, to which the statement is added; and the one in an mp4 file."""
    made = Provenance("Impasto (seed.onnx)", "1")
    found = xmp.state(made, data)
    assert found == data or made.system.encode() in found
    assert xmp.state(made, found) == found
    path = SCRATCH / "packet"
    path.write_bytes(data)
    assert len(carriers.read_mp4(path)) <= len(data)


def parse_torch7(data: bytes) -> None:
    """A network of Torch7: its weights take no more room than the file does."""
    from export.foreign import _torch7_file

    path = SCRATCH / "network"
    path.write_bytes(data)
    with contextlib.suppress(ValueError):
        state = _torch7_file.read(path)
        assert state and sum(tensor.numel() for tensor in state.values()) <= len(data)


def parse_records(data: bytes) -> None:
    """What lies in the store beside an output of a batch: plan, pieces, tries, manifest."""
    for line in data.splitlines():
        manifest._read(line)
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            continue
        plan = records.read_plan(values)
        assert plan is None or (plan.pieces[0].first == 0 and plan.pieces[-1].until is None)
        for segment in records.read_segments(values) or ():
            assert Path(segment.file).name == segment.file
        assert all(isinstance(word, str) for word in records.read_tries(values))
        records.read(records.Done, values)


def parse_remote(data: bytes) -> None:
    """What a desk sends: OSC as JSON of address and values, MIDI as numbers; scripts of keys."""
    text = data.decode("utf-8", "replace")
    with contextlib.suppress(UsageError):
        parse_script(text)
    for line in text.splitlines():
        with contextlib.suppress(ValueError, RecursionError, UsageError):
            address, *values = json.loads(line) if line.startswith("[") else [line]
            action = of_osc(str(address), values)
            assert action is None or action.isprintable()
    for kind in ("control_change", "program_change", "note_on"):
        for number, value in zip(data[::2], data[1::2], strict=False):
            of_midi(kind, number & 127, value & 127)


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
        "xmp": [xmp.EMPTY, xmp.state(Provenance("x", "1")), good.packet, good.clips["mp4"]],
        "torch7": [good.torch7],
        "records": [json.dumps(each).encode() for each in _stored(good)],
        "remote": [b'["/impasto/strength", 0.4]\n["/impasto/part", "person"]', b"30:n 60:style-2"],
    }


def _stored(good: Seeds) -> list[object]:
    piece = {"first": 0, "until": 9, "reach": 9, "start": 3, "scene": [None, {"x": 1}]}
    last = {"first": 9, "until": None, "behind": [8, "8/25"]}
    plan = {
        "pieces": [piece, last],
        "frames": 20,
        "threads": 2,
        "damage": {"x": 1},
        "remarks": [""],
    }
    stamp = {"size": 3, "changed": "7"}
    entry = {"input": "a", "output": "b", "frames": 1, "seconds": 1.5, "model_sha256": "0"}
    return [
        plan,
        [json.loads(line) for line in good.journal[0][1:]],
        ["it died"],
        {**entry, "settings": "x", "stamp": stamp},
        {"frames": 3, "notes": ["x"], "stamp": stamp},
    ]


PARSERS: dict[str, Callable[[bytes], None]] = {
    "ebml": parse_ebml,
    "clusters": parse_clusters,
    "onnx": parse_onnx,
    "card": parse_card,
    "journal": parse_journal,
    "heads": parse_heads,
    "xmp": parse_xmp,
    "torch7": parse_torch7,
    "records": parse_records,
    "remote": parse_remote,
}
