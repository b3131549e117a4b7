"""Tiny ONNX models, built on the spot: identities, recorders of conventions, knobs and memories."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.card import KEY, ModelCard, Port


def save_model(
    path: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray] | None = None,
    card: ModelCard | None = None,
    opset: int = 17,
) -> Path:
    """Write a checked model, with a card if given."""
    stored = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, stored)
    opsets = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if card is not None:
        helper.set_model_props(model, {KEY: card.to_json()})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def picture(name: str, shape: tuple[int | str, ...], kind: int = TensorProto.FLOAT):
    """A graph input or output."""
    return helper.make_tensor_value_info(name, kind, list(shape))


FREE = ("N", 3, "H", "W")


def card_of(name: str, **changes) -> ModelCard:
    """A card of a float NCHW model in 0..1, changed as asked."""
    facts = {
        "method": "perceptual",
        "inputs": (Port("image"),),
        "outputs": (Port("styled"),),
    }
    return ModelCard(name=name, **{**facts, **changes})


@pytest.fixture
def identity_model(tmp_path: Path) -> Path:
    """Gives back what it gets; has a card that asks for multiples of 4."""
    return save_model(
        tmp_path / "identity.onnx",
        [helper.make_node("Identity", ["image"], ["styled"])],
        [picture("image", FREE)],
        [picture("styled", FREE)],
        card=card_of("identity", multiple_of=4),
    )


@pytest.fixture
def invert_model(tmp_path: Path) -> Path:
    """1 - x: a style everyone can check."""
    return save_model(
        tmp_path / "invert.onnx",
        [helper.make_node("Sub", ["one", "image"], ["styled"])],
        [picture("image", FREE)],
        [picture("styled", FREE)],
        {"one": np.array(1.0, np.float32)},
        card=card_of("invert"),
    )


@pytest.fixture
def build_model() -> Callable[..., Path]:
    """`save_model`, for tests that make their own graphs."""
    return save_model


def write_clip(
    path: Path,
    *,
    frames: int = 12,
    size: tuple[int, int] = (64, 48),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    ticks: list[int] | None = None,
    time_base: Fraction = Fraction(1, 12800),
    colors: tuple[int, int, int, int] = (2, 0, 2, 2),
    sample_aspect_ratio: Fraction = Fraction(1),
    rotation: int = 0,
    audio: str | None = None,
    chapters: bool = False,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    picture: Callable[[int], np.ndarray] | None = None,
) -> Path:
    """A clip of the synthetic picture, written by FFmpeg without any code of ours.

    `colors` is (matrix, range, primaries, transfer); `audio` names an encoder of a 440 Hz tone.
    """
    import av

    from runtime.sources.synthetic import SyntheticSource

    av.logging.set_level(None)
    draw = picture or SyntheticSource("synthetic:{}x{}".format(*size)).render
    ticks = ticks if ticks is not None else [i * 512 for i in range(frames)]
    scale = str(time_base.denominator)
    clock = {"video_track_timescale": scale, "movie_timescale": scale}
    mp4 = path.suffix in (".mp4", ".mov")
    with av.open(str(path), "w", options=clock if mp4 else {}) as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "12", **(options or {})})
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = *size, pixel_format
        stream.time_base = context.time_base = time_base
        context.flags |= 1 << 8
        context.sample_aspect_ratio = sample_aspect_ratio
        matrix, span, context.color_primaries, context.color_trc = colors
        context.colorspace, context.color_range = matrix, span
        if rotation:
            stream.set_display_rotation(rotation)
        container.metadata.update(metadata or {})
        if chapters:
            container.set_chapters(
                [
                    {
                        "id": 1,
                        "start": 0,
                        "end": 200,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": "One"},
                    },
                    {
                        "id": 2,
                        "start": 200,
                        "end": 400,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": "Two"},
                    },
                ]
            )
        sound = container.add_stream(audio, rate=48000) if audio else None
        if sound is not None:
            sound.codec_context.layout = "mono"
            container.start_encoding()
            _write_tone(
                container, sound, seconds=(ticks[-1] - ticks[0]) * time_base + Fraction(1, 25)
            )
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(draw(number), "rgb24").reformat(
                format=pixel_format,
                dst_colorspace={2: 5, 6: 5}.get(matrix, matrix) or None,
                dst_color_range=span or 1,
                src_color_range=2,
            )
            following = ticks[number + 1] if number + 1 < len(ticks) else tick + 512
            frame.pts, frame.time_base, frame.duration = tick, time_base, following - tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _write_tone(container, sound, seconds: Fraction) -> None:
    import av

    total = int(seconds * 48000)
    tone = (np.sin(np.arange(total) * 2 * np.pi * 440 / 48000) * 8000).astype(np.int16)
    for start in range(0, total, 1024):
        frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        container.mux(sound.encode(frame))
    container.mux(sound.encode(None))


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """`write_clip` into the test's folder: `make_clip("in.mp4", frames=5)`."""
    return lambda name, **facts: write_clip(tmp_path / name, **facts)


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """Writes a model that copies its picture: `put("wave-fast", {"title": ...}, grade="fast")`."""

    def write(stem, style=None, roles=("image",), card=True, **facts):
        inputs = tuple(Port(f"in{k}" if k else "image", role) for k, role in enumerate(roles))
        text = ModelCard(stem, "perceptual", inputs, (Port("styled"),), style=style or {}, **facts)
        return save_model(
            tmp_path / f"{stem}.onnx",
            [helper.make_node("Identity", ["image"], ["styled"])],
            [picture(port.name, FREE) for port in inputs],
            [picture("styled", FREE)],
            card=text if card else None,
        )

    return write
