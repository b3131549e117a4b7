"""The small good files that the hostile ones are made from."""

import io
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from runtime.card import KEY, ModelCard, Port

SIDE = (36, 48)
PICTURES = {
    "png": "PNG",
    "jpg": "JPEG",
    "gif": "GIF",
    "bmp": "BMP",
    "tif": "TIFF",
    "webp": "WEBP",
    "ppm": "PPM",
}
ANIMATIONS = {"webp": "WEBP", "png": "PNG", "avif": "AVIF"}
PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta '
    b'xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" e:DigitalSourceType="digitalCapture">'
    b'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Lake</rdf:li></rdf:Alt></dc:title>'
    b'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
CLIPS = {"mp4": "libx264", "mkv": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4", "gif": "gif"}


@dataclass(frozen=True)
class Seeds:
    """Bytes of good files.

    Attributes:
        pictures, clips: suffix -> file.
        model: an ONNX file that inverts pictures, without a card.
        card: of it.
        checkpoint: tensors and header of a tiny network.
        journal: lines of the journal of a clip that was interrupted, and its segments.
        torch7: a tiny network as Lua stored it.
        packet: XMP of a photograph.
        animations: as `pictures`, of several frames.
    """

    pictures: dict[str, bytes]
    clips: dict[str, bytes]
    model: bytes
    card: dict
    checkpoint: tuple[dict, dict]
    journal: tuple[list[str], dict[str, bytes]]
    torch7: bytes
    packet: bytes
    animations: dict[str, bytes]


def photo() -> np.ndarray:
    """(36, 48, 3) uint8: something to look at."""
    rows, columns = np.mgrid[: SIDE[0], : SIDE[1]]
    return np.stack([rows * 7, columns * 5, (rows * columns) // 7], -1).astype(np.uint8)


def model(card: str | None = None, data: bytes | None = None) -> bytes:
    """The ONNX file that inverts, or the one in `data`, with this text as its card."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    if data is not None:
        proto = onnx.load_from_string(data)
    else:
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3, "H", "W"])
            for name in ("image", "styled")
        ]
        graph = helper.make_graph(
            [
                helper.make_node("Sub", ["one", "image"], ["inverse"]),
                helper.make_node("Clip", ["inverse", "zero", "one"], ["styled"]),
            ],
            "test",
            ends[:1],
            ends[1:],
            [
                numpy_helper.from_array(np.array(value, np.float32), name)
                for name, value in (("zero", 0.0), ("one", 1.0))
            ],
        )
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if card is not None:
        helper.set_model_props(proto, {KEY: card})
    return proto.SerializeToString()


def make(folder: Path) -> Seeds:
    """Make them; `folder` is scratch."""
    from PIL import Image

    pictures: dict[str, bytes] = {}
    for suffix, kind in PICTURES.items():
        out = io.BytesIO()
        more = {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"} if kind == "JPEG" else {}
        Image.fromarray(photo()).save(out, kind, **more)
        pictures[suffix] = out.getvalue()
    clips = {suffix: _clip(folder / f"clip.{suffix}", codec) for suffix, codec in CLIPS.items()}
    card = ModelCard("seed", "perceptual", (Port("image"),), (Port("styled"),), multiple_of=4)
    return Seeds(
        pictures,
        clips,
        model(),
        json.loads(card.to_json()),
        _checkpoint(),
        _journal(folder),
        _torch7(),
        PACKET,
        {suffix: _animation(kind) for suffix, kind in ANIMATIONS.items()},
    )


def _clip(path: Path, codec: str) -> bytes:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = SIDE[1], SIDE[0]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(np.roll(photo(), 5 * index, 1), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


def _checkpoint() -> tuple[dict, dict]:
    from training import networks
    from training.config import Recipe

    generator = networks.build("lean", width=8, blocks=1)
    tensors = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    recipe = json.loads(json.dumps(Recipe(name="seed").to_dict()))
    network = {"name": "lean", **generator.config}
    return tensors, {"format": 1, "network": network, "recipe": recipe, "step": 3, "state": {}}


def _animation(kind: str) -> bytes:
    from PIL import Image

    frames = [Image.fromarray(np.roll(photo(), 5 * index, 1)) for index in range(3)]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=40)
    return out.getvalue()


def _torch7() -> bytes:
    """The layers of jcjohnson/fast-neural-style, one channel wide, with one residual block."""
    import torch

    from tests.tools.torch7_file import torch7

    def module(name: str, *shape: int) -> tuple[str, dict]:
        wide = shape[1] if name == "nn.SpatialFullConvolution" else shape[0]
        weights = {"weight": torch.full(shape, 0.01), "bias": torch.zeros(wide)}
        return name, {**weights, "nInputPlane": float(shape[-3]) if len(shape) == 4 else 1.0}

    conv, up = "nn.SpatialConvolution", "nn.SpatialFullConvolution"
    shapes = [(1, 3, 9, 9), (2, 1, 3, 3), (4, 2, 3, 3), (4, 4, 3, 3), (4, 4, 3, 3)]
    layers: list[tuple[str, dict]] = []
    for kind, shape in [*((conv, s) for s in shapes), (up, (4, 2, 3, 3)), (up, (2, 1, 3, 3))]:
        layers.append(module(kind, *shape))
        layers.append(module("nn.InstanceNormalization", layers[-1][1]["bias"].numel()))
    layers.append(module(conv, 3, 1, 9, 9))
    listed = {float(number): layer for number, layer in enumerate(layers, 1)}
    return torch7({"opt": {"gpu": False}, "model": ("nn.Sequential", {"modules": listed})})


def _journal(folder: Path) -> tuple[list[str], dict[str, bytes]]:
    from runtime.frame import Frame
    from runtime.live.recorder import live_clip
    from runtime.media.journal import LISTING, Journal
    from runtime.sinks.file import FileSink
    from runtime.sources import SourceInfo

    path = folder / "take.mp4"
    info = SourceInfo("camera", SIDE[1], SIDE[0], Fraction(10), live=True)
    sink = FileSink(path, info, clip=live_clip(), segment=3)
    for index in range(8):
        sink.write(Frame(np.roll(photo(), index, 0), Fraction(index, 10), index))
    sink.journal.close()
    parts = Journal.folder_for(path)
    segments = {name.name: name.read_bytes() for name in parts.glob("*.seg")}
    return (parts / LISTING).read_text().splitlines(), segments
