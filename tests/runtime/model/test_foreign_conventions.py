"""Bundled networks in the conventions of other people's files, hidden in convolutions: what the
runtime makes of them unaided is what running the graph by hand makes, or it asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime import open_session
from runtime.errors import UsageError
from runtime.model.store import BUNDLED

FLOAT, INT32, INT64, BOOL = (
    TensorProto.FLOAT,
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.BOOL,
)
FREE = ["n", 3, "h", "w"]
LAST = ["n", "h", "w", 3]
TABLE = np.linspace(-0.25, 0.25, 15, dtype=np.float32).reshape(5, 3)
IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
# Photo in 0..1 -> values of a range; and back.
INTO = {"0..1": (1.0, 0.0), "-1..1": (2.0, -1.0), "0..255": (255.0, 0.0)}


def photo(height: int = 96, width: int = 128) -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(cv2.resize(data.astronaut()[:384, :], (width, height)))


class Wrapped:
    """A bundled float network, 0..1 NCHW, with nodes before and after it; no card.

    Args:
        core: its name.
        start: name of the graph's input.
    """

    def __init__(self, core: str, start: str) -> None:
        self.model = onnx.load(BUNDLED / f"{core}-fp32.onnx")
        del self.model.metadata_props[:]
        self.start = self.at = start
        self.before: list[onnx.NodeProto] = []
        self.after: list[onnx.NodeProto] = []
        self._nodes = self.before
        self._count = 0

    def node(self, kind: str, *inputs: str | np.ndarray | None, **attributes) -> str:
        """Append a node; None is what came last, arrays are constants."""
        names = [self.at if value is None else self._name(value) for value in inputs]
        self._count += 1
        self.at = f"t{self._count}"
        self._nodes.append(helper.make_node(kind, names, [self.at], **attributes))
        return self.at

    def scale(self, gain: float | np.ndarray, shift: float | np.ndarray, order=(0, 1, 2)) -> None:
        """gain x + shift as a convolution, which no reading of the graph's ends understands."""
        kernel = np.zeros((3, 3, 1, 1), np.float32)
        kernel[range(3), order, 0, 0] = gain
        self.node("Conv", None, kernel, np.broadcast_to(np.float32(shift), 3).copy())

    def core(self) -> None:
        """Here comes the network; the next nodes follow it."""
        graph = self.model.graph
        given, made = graph.input[0].name, graph.output[0].name
        for node in graph.node:
            node.input[:] = [self.at if name == given else name for name in node.input]
            node.output[:] = ["core" if name == made else name for name in node.output]
        self.at, self._nodes = "core", self.after

    def save(self, path: Path, inputs, outputs) -> Path:
        """Write it; what came last is the last output."""
        graph = self.model.graph
        nodes = [*self.before, *graph.node, *self.after]
        nodes.append(helper.make_node("Identity", [self.at], [outputs[-1].name]))
        for values, new in ((graph.node, nodes), (graph.input, inputs), (graph.output, outputs)):
            del values[:]
            values.extend(new)
        onnx.checker.check_model(self.model)
        onnx.save(self.model, path)
        return path

    def _name(self, value: str | np.ndarray) -> str:
        if isinstance(value, str):
            return value
        self._count += 1
        tensor = numpy_helper.from_array(np.asarray(value), f"c{self._count}")
        self.model.graph.initializer.append(tensor)
        return tensor.name


def value(name: str, shape, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def first(tensor: np.ndarray) -> np.ndarray:
    """(1, C, H, W) -> (H, W, C)."""
    return tensor[0].transpose(1, 2, 0)


def planes(picture: np.ndarray) -> np.ndarray:
    """(H, W, C) -> (1, C, H, W) float32."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)


def close(session, image: np.ndarray, by_hand: np.ndarray, **conditions) -> bool:
    """Whether the session paints what was computed by hand (levels 0..255), up to rounding."""
    wanted = np.clip(np.rint(by_hand), 0, 255)
    return np.abs(session.stylize(image, **conditions) - wanted).max() <= 1


@pytest.mark.parametrize("given", INTO)
@pytest.mark.parametrize("made", INTO)
@pytest.mark.parametrize("core", ["pencil", "toon"])
def test_no_wrong_range_is_painted_silently(tmp_path, core, given, made):
    """Networks without normalization paint something else in every range: before the score weighed
    edges and saturation, 6 of these 18 were painted wrong without a word."""
    net = Wrapped(core, "x")
    gain, shift = INTO[given]
    net.scale(1 / gain, -shift / gain)
    net.core()
    net.scale(*INTO[made])
    path = net.save(tmp_path / "m.onnx", [value("x", FREE)], [value("y", FREE)])
    image = photo()
    feed = planes(image / np.float32(255) * gain + shift)
    answer = first(ort.InferenceSession(path).run(None, {"x": feed})[0])
    gain, shift = INTO[made]
    try:
        session = open_session(path)
    except UsageError as question:
        assert "say it with --" in str(question)
        asked = given if "wants" in str(question) else made
        assert asked in str(question)
        return
    with session:
        assert close(session, image, (answer - shift) / gain * 255)


@dataclass(frozen=True)
class Kind:
    """One convention: how the file is made, and how a person would run it.

    Attributes:
        make: (path) writes the file.
        feeds: (photo in 0..1) to its inputs.
        read: (outputs) to levels 0..255, (H, W, 3).
        conditions: what `stylize` is told.
    """

    make: Callable[[Path], Path]
    feeds: Callable[[np.ndarray], dict[str, np.ndarray]]
    read: Callable[[list[np.ndarray]], np.ndarray]
    conditions: dict = field(default_factory=dict)


def _tf_johnson(path: Path) -> Path:
    net = Wrapped("toon", "input_1:0")
    net.node("Transpose", None, perm=[0, 3, 1, 2])
    net.scale(1 / 255, 0)
    net.core()
    net.scale(255, 0)
    net.node("Transpose", None, perm=[0, 2, 3, 1])
    free = ["u1", "u2", "u3", 3]
    return net.save(path, [value("input_1:0", free)], [value("Identity:0", free)])


def _keras_reversed(path: Path) -> Path:
    """Red first outside; turned around and Caffe's means taken off inside."""
    net = Wrapped("toon", "img")
    net.node("Slice", None, np.array([2]), np.array([-9]), np.array([3]), np.array([-1]))
    net.node("Sub", None, np.array([103.939, 116.779, 123.68], np.float32))
    net.node("Transpose", None, perm=[0, 3, 1, 2])
    net.scale(1 / 255, np.array([123.68, 116.779, 103.939]) / 255, (2, 1, 0))
    net.core()
    net.scale(255, 0)
    net.node("Transpose", None, perm=[0, 2, 3, 1])
    return net.save(path, [value("img", LAST)], [value("out", LAST)])


def _anime(path: Path) -> Path:
    net = Wrapped("toon", "generator_input:0")
    net.node("Transpose", None, perm=[0, 3, 1, 2])
    net.scale(0.5, 0.5)
    net.core()
    net.scale(3.0, -1.5)
    net.node("Tanh", None)
    net.node("Transpose", None, perm=[0, 2, 3, 1])
    return net.save(path, [value("generator_input:0", LAST)], [value("o", LAST)])


def _features_first(path: Path) -> Path:
    net = Wrapped("toon", "frame")
    net.scale(1 / 255, 0)
    net.core()
    kernel = np.random.default_rng(0).normal(size=(48, 3, 4, 4)).astype(np.float32) * 0.01
    net.after.append(
        helper.make_node("Conv", ["frame", net._name(kernel)], ["features"], strides=[4, 4])
    )
    net.scale(2.0, -1.0)
    net.node("Tanh", None)
    net.node("Mul", None, np.float32(150))
    net.node("Add", None, np.float32(127.5))
    outputs = [value("features", [1, 48, "a", "b"]), value("styled", FREE)]
    return net.save(path, [value("frame", FREE)], outputs)


def _alpha_first(path: Path) -> Path:
    net = Wrapped("toon", "src")
    net.core()
    net.after.append(helper.make_node("ReduceMean", ["src", net._name(np.array([1]))], ["mean"]))
    net.after.append(helper.make_node("Sigmoid", ["mean"], ["pha"]))
    net.after.append(helper.make_node("Identity", ["src"], ["rec"]))
    outputs = [value("pha", ["n", 1, "h", "w"]), value("rec", FREE), value("fgr", FREE)]
    return net.save(path, [value("src", FREE)], outputs)


def _gray(path: Path) -> Path:
    net = Wrapped("pencil", "luma")
    net.node("Concat", None, None, None, axis=1)
    net.core()
    net.node("ReduceMean", None, np.array([1]), keepdims=1)
    shape = [1, 1, "h", "w"]
    return net.save(path, [value("luma", shape)], [value("sketch", shape)])


def _bgr_by_name(path: Path) -> Path:
    net = Wrapped("toon", "bgr_image")
    net.scale(1 / 255, 0, (2, 1, 0))
    net.core()
    net.scale(255, 0, (2, 1, 0))
    return net.save(path, [value("bgr_image", FREE)], [value("bgr_out", FREE)])


def _exchanged(path: Path) -> Path:
    net = Wrapped("toon", "image_in")
    net.core()
    net.scale(1, 0, (2, 1, 0))
    return net.save(path, [value("image_in", FREE)], [value("o", FREE)])


def _whole_levels(path: Path) -> Path:
    """ImageNet's normalization inside, int32 out."""
    net = Wrapped("toon", "images")
    net.node("Div", None, np.float32(255))
    net.node("Sub", None, IMAGENET[0])
    net.node("Div", None, IMAGENET[1])
    net.node("Transpose", None, perm=[0, 3, 1, 2])
    net.scale(IMAGENET[1], IMAGENET[0])
    net.core()
    net.scale(255, 0)
    net.node("Transpose", None, perm=[0, 2, 3, 1])
    net.node("Cast", None, to=INT32)
    return net.save(path, [value("images", LAST)], [value("o", LAST, INT32)])


def _styles(path: Path, pick: Callable[[Wrapped], str], given: onnx.ValueInfoProto) -> Path:
    net = Wrapped("toon", "content")
    net.core()
    pick(net)
    color = net.node("Reshape", None, np.array([1, 3, 1, 1]))
    net.node("Add", "core", color)
    net.node("Clip", None, np.float32(0), np.float32(1))
    return net.save(path, [value("content", FREE), given], [value("y", FREE)])


def _one_hot_input(path: Path) -> Path:
    one = value("style_onehot", [1, 5])
    return _styles(path, lambda net: net.node("MatMul", "style_onehot", TABLE), one)


def _gathered(path: Path) -> Path:
    index = value("style_id", [], INT64)
    return _styles(path, lambda net: net.node("Gather", TABLE, "style_id", axis=0), index)


def _one_hot_inside(path: Path) -> Path:
    def pick(net: Wrapped) -> str:
        net.node("OneHot", "idx", np.array(5), np.array([0, 1], np.float32))
        return net.node("MatMul", None, TABLE)

    return _styles(path, pick, value("idx", [1], INT64))


def _style_of_256(path: Path) -> Path:
    """The style's mean color, as a style network of a fixed size."""
    net = Wrapped("toon", "content")
    net.core()
    net.node("ReduceMean", "style", np.array([2, 3]), keepdims=1)
    net.node("Mul", None, np.float32(0.5))
    net.node("Add", "core", None)
    net.node("Clip", None, np.float32(0), np.float32(1))
    style = value("style", [1, 3, 256, 256])
    return net.save(path, [value("content", FREE), style], [value("y", FREE)])


STYLE = np.full((256, 256, 3), (200, 60, 20), np.uint8)
KINDS = {
    "tf2onnx, bytes' values, channels last": Kind(
        _tf_johnson, lambda x: {"input_1:0": x[None] * 255}, lambda y: y[0][0]
    ),
    "keras, turned around inside": Kind(
        _keras_reversed, lambda x: {"img": x[None] * 255}, lambda y: y[0][0]
    ),
    "animation GAN, -1..1 and Tanh": Kind(
        _anime, lambda x: {"generator_input:0": x[None] * 2 - 1}, lambda y: (y[0][0] + 1) * 127.5
    ),
    "features first": Kind(
        _features_first, lambda x: {"frame": planes(x * 255)}, lambda y: first(y[1])
    ),
    "alpha and reconstruction first": Kind(
        _alpha_first, lambda x: {"src": planes(x)}, lambda y: first(y[2]) * 255
    ),
    "gray": Kind(
        _gray,
        lambda x: {"luma": (x @ np.array([0.299, 0.587, 0.114], np.float32))[None, None]},
        lambda y: np.repeat(first(y[0]) * 255, 3, 2),
    ),
    "blue first by name": Kind(
        _bgr_by_name,
        lambda x: {"bgr_image": planes(x[..., ::-1] * 255)},
        lambda y: first(y[0])[..., ::-1],
    ),
    "red first in, blue first out": Kind(
        _exchanged, lambda x: {"image_in": planes(x)}, lambda y: first(y[0])[..., ::-1] * 255
    ),
    "whole levels out": Kind(_whole_levels, lambda x: {"images": x[None] * 255}, lambda y: y[0][0]),
    "style by a vector": Kind(
        _one_hot_input,
        lambda x: {"content": planes(x), "style_onehot": np.eye(5, dtype=np.float32)[3:4]},
        lambda y: first(y[0]) * 255,
        {"style": "3"},
    ),
    "style by a row's number": Kind(
        _gathered,
        lambda x: {"content": planes(x), "style_id": np.array(3)},
        lambda y: first(y[0]) * 255,
        {"style": "3"},
    ),
    "style by a number made one-hot inside": Kind(
        _one_hot_inside,
        lambda x: {"content": planes(x), "idx": np.array([3])},
        lambda y: first(y[0]) * 255,
        {"style": "3"},
    ),
    "style picture of a fixed size": Kind(
        _style_of_256,
        lambda x: {"content": planes(x), "style": planes(STYLE / np.float32(255))},
        lambda y: first(y[0]) * 255,
        {"style": STYLE},
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_painted_unaided_is_what_the_graph_paints(tmp_path, name):
    kind, image = KINDS[name], photo()
    path = kind.make(tmp_path / "m.onnx")
    by_hand = kind.read(ort.InferenceSession(path).run(None, kind.feeds(image / np.float32(255))))
    with open_session(path) as session:
        assert close(session, image, by_hand, **kind.conditions)


@pytest.mark.parametrize("flag", [(INT64, 2), (INT32, 1), (BOOL, 1)])
def test_a_whole_number_of_unknown_meaning_is_a_parameter(tmp_path, flag):
    kind, number = flag
    net = Wrapped("toon", "x")
    net.core()
    net.node("Cast", "level", to=FLOAT)
    net.node("Mul", None, np.float32(-0.2))
    net.node("Add", "core", None)
    net.node("Clip", None, np.float32(0), np.float32(1))
    inputs = [value("x", FREE), value("level", [], kind)]
    path = net.save(tmp_path / "m.onnx", inputs, [value("y", FREE)])
    image = photo()
    typed = np.array(number).astype(helper.tensor_dtype_to_np_dtype(kind))
    feeds = {"x": planes(image / np.float32(255)), "level": typed}
    answer = first(ort.InferenceSession(path).run(None, feeds)[0])
    with open_session(path) as session:
        assert "--parameter level=NUMBER" in session.notes[0]
        assert close(session, image, answer * 255, level=number)


CAFFE = (103.939, 116.779, 123.68)


@pytest.mark.parametrize(
    ("mean", "std", "order", "facts"),
    [
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (0, 1, 2), {}),
        (CAFFE, (1.0,), (2, 1, 0), {}),
        ((127.5,), (128.0,), (0, 1, 2), {"input_range": "0..255"}),
    ],
)
def test_normalized_pictures_are_fed_as_the_user_says(tmp_path, mean, std, order, facts):
    """Nothing in the graph tells: it takes what its training script made before."""
    unit = 255.0 if max(mean) > 2 else 1.0
    net = Wrapped("toon", "x")
    means, deviations = (np.broadcast_to(np.float32(v), 3)[list(order)] for v in (mean, std))
    net.scale(deviations / unit, means / unit, order)
    net.core()
    path = net.save(tmp_path / "m.onnx", [value("x", FREE)], [value("y", FREE)])
    image = photo()
    with open_session(BUNDLED / "toon-fp32.onnx") as core:
        wanted = core.stylize(image)
    with open_session(path, mean=mean, std=std, output_range="0..1", **facts) as session:
        assert np.abs(session.stylize(image).astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"mean": (0.1, 0.2)}, "--mean has 2 numbers, allowed are one and three"),
        ({"mean": (0.5,), "std": (0.0,)}, "--std is 0, allowed is above 0"),
    ],
)
def test_means_that_cannot_be(tmp_path, facts, words):
    net = Wrapped("toon", "x")
    net.core()
    path = net.save(tmp_path / "m.onnx", [value("x", FREE)], [value("y", FREE)])
    with pytest.raises(UsageError, match=words):
        open_session(path, **facts)
    with pytest.raises(UsageError, match="the card of"):
        open_session(BUNDLED / "toon-fp32.onnx", mean=(0.5,))
