"""Models without a card, made on the spot in every convention, run and give the right picture."""

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtime import open_session
from runtime.errors import CardMismatch, UsageError

KINDS = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
}
RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}


def photo(height: int = 60, width: int = 84) -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[100 : 100 + height, 180 : 180 + width])


def negative(
    path: Path,
    build_model,
    *,
    dtype: str = "float32",
    layout: str = "NCHW",
    range_: str = "0..1",
    size: tuple[int | str, int | str] = ("H", "W"),
    opset: int = 17,
    swapped: bool = False,
    metadata: dict[str, str] | None = None,
    stride: int = 1,
    name: str = "input",
) -> Path:
    """A network that gives the negative of its picture, clipped to its range."""
    low, high = (0.0, 255.0) if dtype == "uint8" else RANGES[range_]
    kind = KINDS[dtype]
    work = KINDS["float16"] if dtype == "float16" else TensorProto.FLOAT
    shape = ["N", 3, *size] if layout == "NCHW" else ["N", *size, 3]
    value = np.float16 if dtype == "float16" else np.float32
    kernel = np.zeros((3, 3, 1, 1), value)
    for channel in range(3):
        kernel[channel, 2 - channel if swapped else channel] = -1.0
    weights = {"kernel": kernel, "bias": np.full(3, low + high, value)}
    nodes, at = [], name
    if dtype == "uint8":
        nodes.append(helper.make_node("Cast", [at], ["f"], to=work))
        at = "f"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [at], ["t"], perm=[0, 3, 1, 2]))
        at = "t"
    if stride > 1:
        nodes.append(helper.make_node("SpaceToDepth", [at], ["s2d"], blocksize=stride))
        nodes.append(helper.make_node("DepthToSpace", ["s2d"], ["d2s"], blocksize=stride))
        at = "d2s"
    nodes.append(helper.make_node("Conv", [at, "kernel", "bias"], ["c"]))
    if opset >= 11:
        weights["low"], weights["high"] = np.array(low, value), np.array(high, value)
        nodes.append(helper.make_node("Clip", ["c", "low", "high"], ["p"]))
    else:
        nodes.append(helper.make_node("Clip", ["c"], ["p"], min=low, max=high))
    at = "p"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [at], ["u"], perm=[0, 2, 3, 1]))
        at = "u"
    last = helper.make_node("Cast", [at], ["result"], to=kind)
    nodes.append(last if dtype == "uint8" else helper.make_node("Identity", [at], ["result"]))
    make = helper.make_tensor_value_info
    build_model(
        path, nodes, [make(name, kind, shape)], [make("result", kind, shape)], weights, opset=opset
    )
    if metadata:
        model = onnx.load(path)
        helper.set_model_props(model, metadata)
        onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("dtype", "layout", "range_", "size"),
    [
        *product(["float32"], ["NCHW", "NHWC"], RANGES, [("H", "W"), (64, 96)]),
        ("float16", "NCHW", "0..1", ("H", "W")),
        ("float16", "NHWC", "-1..1", ("H", "W")),
        ("uint8", "NHWC", "0..255", ("H", "W")),
        ("uint8", "NCHW", "0..255", (48, 48)),
    ],
)
def test_every_convention(tmp_path, build_model, dtype, layout, range_, size):
    path = negative(
        tmp_path / "foreign.onnx", build_model, dtype=dtype, layout=layout, range_=range_, size=size
    )
    image = photo(64, 96) if size == (64, 96) else photo()
    with open_session(path) as session:
        styled = session.stylize(image)
        port = session.card.port("image")
        (note,) = session.notes
    assert (port.layout, port.dtype, (port.low, port.high)) == (layout, dtype, RANGES[range_])
    assert range_ in note and layout in note and "\n" not in note
    if size != (48, 48):  # scaled to that size and back
        tolerance = 1 if dtype == "float16" else 0
        assert np.abs(styled.astype(int) - (255 - image.astype(int))).max() <= tolerance
    assert styled.shape == image.shape


@pytest.mark.parametrize("opset", [7, 9, 11, 13])
def test_old_opsets(tmp_path, build_model, opset):
    path = negative(tmp_path / "old.onnx", build_model, range_="0..255", opset=opset)
    image = photo()
    with open_session(path) as session:
        assert np.array_equal(session.stylize(image), 255 - image)


def test_multiple_of_is_found(tmp_path, build_model):
    path = negative(tmp_path / "stride.onnx", build_model, stride=8, opset=13)
    image = photo(61, 83)
    with open_session(path) as session:
        assert session.card.multiple_of == 8
        assert np.array_equal(session.stylize(image), 255 - image)


def test_exchanged_channels_are_seen(tmp_path, build_model):
    path = negative(tmp_path / "rgb2bgr.onnx", build_model, swapped=True)
    image = photo()
    with open_session(path) as session:
        assert np.array_equal(session.stylize(image), 255 - image)


def test_stated_metadata_wins(tmp_path, build_model):
    stated = {
        "Image.NominalPixelRange": "NominalRange_0_255",
        "Image.BitmapPixelFormat": "Bgr8",
    }
    path = negative(tmp_path / "stated.onnx", build_model, range_="0..255", metadata=stated)
    with open_session(path) as session:
        port = session.card.port("image")
        assert port.colors == "BGR" and port.high == 255.0
        assert "stated" in session.notes[0]


def test_flags_override(tmp_path, build_model):
    path = negative(tmp_path / "over.onnx", build_model, range_="-1..1")
    with open_session(path, range="-1..1", colors="BGR", multiple_of=16) as session:
        port = session.card.port("image")
        assert (port.low, port.colors, session.card.multiple_of) == (-1.0, "BGR", 16)
        assert np.array_equal(session.stylize(photo()), 255 - photo())


def test_unknown_override_is_refused(tmp_path, build_model):
    path = negative(tmp_path / "typo.onnx", build_model)
    with pytest.raises(UsageError, match='Did you mean "colors"'):
        open_session(path, color="BGR")


def test_undecidable_range_is_asked_for(tmp_path, build_model):
    """A gray that does not depend on the picture fits no range better than another."""
    make = helper.make_tensor_value_info
    shape = ["N", 3, "H", "W"]
    nodes = [
        helper.make_node("Abs", ["x"], ["a"]),
        helper.make_node("Sigmoid", ["a"], ["s"]),
        helper.make_node("Mul", ["s", "zero"], ["z"]),
        helper.make_node("Add", ["z", "half"], ["y"]),
    ]
    weights = {"zero": np.array(0, np.float32), "half": np.array(0.5, np.float32)}
    path = build_model(
        tmp_path / "flat.onnx", nodes, [make("x", 1, shape)], [make("y", 1, shape)], weights
    )
    with pytest.raises(UsageError, match="--range"):
        open_session(path)
    with open_session(path, range="0..1") as session:
        assert np.array_equal(session.stylize(photo()), np.full_like(photo(), 128))


def test_two_pictures_need_a_style(tmp_path, build_model):
    """content + style mean: the second picture input becomes --style."""
    make = helper.make_tensor_value_info
    nodes = [
        helper.make_node("ReduceMean", ["style"], ["m"], axes=[2, 3], keepdims=1),
        helper.make_node("Mul", ["content", "half"], ["c"]),
        helper.make_node("Mul", ["m", "half"], ["h"]),
        helper.make_node("Add", ["c", "h"], ["y"]),
    ]
    path = build_model(
        tmp_path / "two.onnx",
        nodes,
        [make("style", 1, [1, 3, "h", "w"]), make("content", 1, [1, 3, "H", "W"])],
        [make("y", 1, [1, 3, "H", "W"])],
        {"half": np.array(0.5, np.float32)},
    )
    image = photo()
    style = np.full((20, 30, 3), 200, np.uint8)
    with open_session(path, range="0..1") as session:
        assert [port.role for port in session.card.inputs] == ["image", "style"]
        with pytest.raises(UsageError, match="--style"):
            session.stylize(image)
        expected = np.rint(image * 0.5 + 100).astype(int)
        assert np.abs(session.stylize(image, style=style).astype(int) - expected).max() <= 1


def test_not_image_to_image(tmp_path, build_model):
    make = helper.make_tensor_value_info
    path = build_model(
        tmp_path / "classifier.onnx",
        [helper.make_node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=0)],
        [make("x", 1, ["N", 3, "H", "W"])],
        [make("y", 1, ["N", 3])],
    )
    with pytest.raises(CardMismatch, match="no image-to-image model"):
        open_session(path)


def test_fixed_batch(tmp_path, build_model):
    make = helper.make_tensor_value_info
    shape = [4, 3, 64, 64]
    path = build_model(
        tmp_path / "batch.onnx",
        [helper.make_node("Sub", ["one", "x"], ["y"])],
        [make("x", 1, shape)],
        [make("y", 1, shape)],
        {"one": np.array(1.0, np.float32)},
    )
    image = photo(64, 64)
    with open_session(path) as session:
        assert np.array_equal(session.stylize(image), 255 - image)


def test_a_scalar_input_becomes_a_knob(tmp_path, build_model):
    make = helper.make_tensor_value_info
    shape = [1, 3, "H", "W"]
    nodes = [
        helper.make_node("Sub", ["one", "x"], ["n"]),
        helper.make_node("Sub", ["n", "x"], ["d"]),
        helper.make_node("Mul", ["d", "amount"], ["m"]),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    path = build_model(
        tmp_path / "knob.onnx",
        nodes,
        [make("x", 1, shape), make("amount", 1, [1])],
        [make("y", 1, shape)],
        {"one": np.array(1.0, np.float32)},
    )
    image = photo()
    with open_session(path, range="0..1") as session:
        assert np.array_equal(session.stylize(image), 255 - image)
        assert np.array_equal(session.stylize(image, amount=0.0), image)


def test_a_vector_input_asks_for_a_code(tmp_path, build_model):
    make = helper.make_tensor_value_info
    shape = [1, 3, "H", "W"]
    nodes = [
        helper.make_node("ReduceMean", ["z"], ["m"], axes=[0, 1], keepdims=0),
        helper.make_node("Add", ["x", "m"], ["y"]),
    ]
    path = build_model(
        tmp_path / "vector.onnx",
        nodes,
        [make("x", 1, shape), make("z", 1, [1, 8])],
        [make("y", 1, shape)],
    )
    image = np.full((8, 8, 3), 51, np.uint8)
    with open_session(path, range="0..1") as session:
        with pytest.raises(UsageError, match="style"):
            session.stylize(image)
        assert (session.stylize(image, code=[0.2] * 8) == 102).all()


@pytest.mark.parametrize(
    ("activation", "scale", "range_"),
    [("Sigmoid", 255.0, "0..255"), ("Sigmoid", 1.0, "0..1"), ("Tanh", 1.0, "-1..1")],
)
def test_instance_normalization_hides_the_input_range(
    tmp_path, build_model, activation, scale, range_
):
    """A normalized network answers the same in every input range: its output's range decides."""
    rng = np.random.default_rng(1)
    make = helper.make_tensor_value_info
    shape = [1, 3, "H", "W"]
    weights = {
        "k": rng.standard_normal((6, 3, 3, 3)).astype(np.float32),
        "gain": np.ones(6, np.float32),
        "bias": np.zeros(6, np.float32),
        "k2": rng.standard_normal((3, 6, 1, 1)).astype(np.float32),
        "scale": np.array(scale, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["a"], pads=[1] * 4),
        helper.make_node("InstanceNormalization", ["a", "gain", "bias"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("Conv", ["c", "k2"], ["d"]),
        helper.make_node(activation, ["d"], ["e"]),
        helper.make_node("Mul", ["e", "scale"], ["y"]),
    ]
    path = build_model(
        tmp_path / "norm.onnx", nodes, [make("x", 1, shape)], [make("y", 1, shape)], weights
    )
    with open_session(path) as session:
        port, output = session.card.port("image"), session.card.outputs[0]
        assert (port.low, port.high) == (output.low, output.high) == RANGES[range_]


def feed(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def save(path, build_model, nodes, inputs, outputs, weights=None, opset=13):
    return build_model(path, nodes, inputs, outputs, weights or {}, opset=opset)


FREE = [1, 3, "H", "W"]


def test_a_vector_of_weights_is_styles_by_number(tmp_path, build_model):
    """As networks of many styles take it: 1-D, without a word; style k darkens by k / 10."""
    nodes = [
        helper.make_node("Mul", ["weights", "steps"], ["parts"]),
        helper.make_node("ReduceSum", ["parts"], ["dark"], keepdims=0),
        helper.make_node("Sub", ["x", "dark"], ["d"]),
        helper.make_node("Clip", ["d", "zero", "one"], ["y"]),
    ]
    constants = {
        "steps": np.arange(4, dtype=np.float32) / 10,
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
    }
    inputs = [feed("x", FREE), feed("weights", [4])]
    path = save(tmp_path / "m.onnx", build_model, nodes, inputs, [feed("y", FREE)], constants)
    image = np.full((8, 8, 3), 204, np.uint8)
    with open_session(path) as session:
        assert (session.stylize(image, style="3") == 204 - 76).all()  # .3 of 255, rounded
        mixed = session.stylize(image, style=[("0", 3.0), ("2", 1.0)])
        assert (mixed == 204 - 13).all()  # a quarter of .2
        with pytest.raises(UsageError, match="0 to 3"):
            session.stylize(image, style="4")
        with pytest.raises(UsageError, match="--style one of 0 to 3"):
            session.stylize(image)


def test_a_style_encoder_makes_the_code(tmp_path, build_model):
    """Two graphs without cards: mean color of a 16 px picture in bytes -> code -> added."""
    encoder = save(
        tmp_path / "encode.onnx",
        build_model,
        [
            helper.make_node("Div", ["style", "levels"], ["s"]),
            helper.make_node("ReduceMean", ["s"], ["mean"], axes=[1, 2], keepdims=1),
            helper.make_node("Concat", ["mean", "mean"], ["code"], axis=3),
        ],
        [feed("style", [1, 16, 16, 3])],
        [feed("code", [1, 1, 1, 6])],
        {"levels": np.array(255, np.float32)},
    )
    painter = save(
        tmp_path / "paint.onnx",
        build_model,
        [
            helper.make_node("ReduceMean", ["code"], ["gray"], axes=[3], keepdims=1),
            helper.make_node("Add", ["x", "gray"], ["a"]),
            helper.make_node("Mul", ["a", "half"], ["m"]),
            helper.make_node("Clip", ["m", "zero", "one"], ["y"]),
        ],
        [feed("x", [1, "H", "W", 3]), feed("code", [1, 1, 1, 6])],
        [feed("y", [1, "H", "W", 3])],
        {k: np.array(v, np.float32) for k, v in (("half", 0.5), ("zero", 0), ("one", 1))},
    )
    image, style = np.full((8, 8, 3), 100, np.uint8), np.full((30, 40, 3), 200, np.uint8)
    with open_session(painter, style_encoder=encoder) as session:
        assert (session.stylize(image, style=style) == 150).all()
    with open_session(painter) as session, pytest.raises(UsageError, match="--style-encoder"):
        session.stylize(image, style=style)


@pytest.mark.parametrize("first", ["features", "photo", "mask"])
def test_the_painted_output_need_not_come_first(tmp_path, build_model, first):
    nodes = [
        helper.make_node("Sub", ["one", "x"], ["n"]),
        helper.make_node("Clip", ["n", "zero", "one"], ["y"]),
        helper.make_node("Concat", ["x", "x"], ["features"], axis=1),
        helper.make_node("Identity", ["x"], ["photo"]),
        helper.make_node("ReduceMean", ["x"], ["mask"], axes=[1], keepdims=1),
    ]
    channels = {"features": 6, "photo": 3, "mask": 1}[first]
    outputs = [feed(first, [1, channels, "H", "W"]), feed("y", FREE)]
    constants = {"one": np.array(1, np.float32), "zero": np.array(0, np.float32)}
    path = save(tmp_path / "m.onnx", build_model, nodes, [feed("x", FREE)], outputs, constants)
    image = photo()
    with open_session(path) as session:
        assert np.array_equal(session.stylize(image), 255 - image)
    if first == "photo":
        with open_session(path, output="photo", range="0..1") as session:
            assert np.array_equal(session.stylize(image), image)
            assert "unchanged" in session.notes[-1]
        with pytest.raises(UsageError, match='no output "z"'):
            open_session(path, output="z")


def test_what_is_fixed_inside_is_found(tmp_path, build_model):
    """Axes are free outside, but a Reshape inside knows one size."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("Sub", ["one", "r"], ["n"]),
        helper.make_node("Clip", ["n", "zero", "one"], ["y"]),
    ]
    constants = {
        "shape": np.array([1, 3, 128, 128], np.int64),
        "one": np.array(1, np.float32),
        "zero": np.array(0, np.float32),
    }
    path = save(
        tmp_path / "m.onnx", build_model, nodes, [feed("x", FREE)], [feed("y", FREE)], constants
    )
    image = photo(128, 128)
    with open_session(path) as session:
        assert session.has_fixed_size
        assert np.array_equal(session.stylize(image), 255 - image)
        assert session.stylize(photo(60, 84)).shape == (60, 84, 3)


def test_a_size_that_no_probe_tries_counts_when_it_is_given(tmp_path, build_model):
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["r"]),
        helper.make_node("Sub", ["one", "r"], ["y"]),
    ]
    constants = {"shape": np.array([1, 3, 40, 56], np.int64), "one": np.array(1, np.float32)}
    path = save(
        tmp_path / "m.onnx", build_model, nodes, [feed("x", FREE)], [feed("y", FREE)], constants
    )
    with pytest.raises(CardMismatch):
        open_session(path)
    image = photo(40, 56)
    with open_session(path, size=(40, 56), range="0..1") as session:
        assert np.array_equal(session.stylize(image), 255 - image)


def test_means_of_photographs_tell_blue_first_and_bytes(tmp_path, build_model):
    """It subtracts Caffe's means of blue, green and red; its answer is blue first as well."""
    means = np.array([103.939, 116.779, 123.68], np.float32).reshape(1, 3, 1, 1)
    nodes = [
        helper.make_node("Sub", ["x", "means"], ["s"]),
        helper.make_node("Conv", ["s", "kernel", "bias"], ["c"]),
        helper.make_node("Clip", ["c", "zero", "top"], ["y"]),
    ]
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    for channel, gain in enumerate((-1.0, 1.0, 1.0)):  # blue is turned into its negative
        kernel[channel, channel] = gain
    bias = means.ravel() * [-1, 1, 1] + [255, 0, 0]
    constants = {
        "means": means,
        "kernel": kernel,
        "bias": bias.astype(np.float32),
        "zero": np.array(0, np.float32),
        "top": np.array(255, np.float32),
    }
    path = save(
        tmp_path / "m.onnx", build_model, nodes, [feed("x", FREE)], [feed("y", FREE)], constants
    )
    image = photo()
    expected = image.copy()
    expected[..., 2] = 255 - image[..., 2]
    with open_session(path) as session:
        port = session.card.port("image")
        assert (port.high, port.colors) == (255.0, "BGR")
        assert np.abs(session.stylize(image).astype(int) - expected).max() <= 1
        assert "Sub 103.9" in session.notes[0]


def test_ranges_in_and_out_are_given_apart(tmp_path, build_model):
    path = negative(tmp_path / "n.onnx", build_model, range_="0..1")
    with open_session(path, input_range="0..1", output_range="-1..1") as session:
        port, answer = session.card.port("image"), session.card.outputs[0]
        assert (port.low, port.high, answer.low, answer.high) == (0.0, 1.0, -1.0, 1.0)


def test_a_range_with_a_minus_is_no_flag(capsys):
    from runtime.image import build_parser
    from runtime.model.flags import parse_styles

    words = ["a.png", "b.png", "--model", "m", "--range", "-1..1", "--style", "3:0.5,12:0.5"]
    args = build_parser().parse_args(words)
    assert args.range == "-1..1"
    assert parse_styles(args.style[0]) == [("3", 0.5), ("12", 0.5)]
    assert parse_styles("a,b.jpg:0.7") == [("a,b.jpg", 0.7)]
