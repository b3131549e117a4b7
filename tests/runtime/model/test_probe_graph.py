"""The ends of graphs of every convention, read without running them."""

import numpy as np
import onnx
import pytest
from onnx import helper

from runtime.model.probe_graph import Ends, read_ends
from runtime.onnxfile import OnnxFile


@pytest.fixture
def ends(tmp_path, build_model):
    """read_ends of `before` - a convolution that is no end - `after`, chains of (op, constant)."""

    def read(before=(), after=(), words="") -> Ends:
        nodes, weights, at = [], {"k": np.ones((3, 3, 1, 1), np.float32)}, "x"

        def chain(steps):
            nonlocal at
            for op, *values in steps:
                number = len(nodes)
                names = [f"c{number}_{k}" for k in range(len(values))]
                weights.update(
                    {n: np.array(v, np.float32) for n, v in zip(names, values, strict=True)}
                )
                nodes.append(helper.make_node(op, [at, *names], [f"v{number}"]))
                at = f"v{number}"

        chain(before)
        nodes.append(helper.make_node("Conv", [at, "k"], ["conv"]))
        at = "conv"
        chain(after)
        nodes.append(helper.make_node("Identity", [at], ["y"]))
        make = helper.make_tensor_value_info
        path = build_model(
            tmp_path / "g.onnx",
            nodes,
            [make("x", 1, [1, 3, "H", "W"])],
            [make("y", 1, [1, 3, "H", "W"])],
            weights,
            opset=13,
        )
        if words:
            model = onnx.load(path)
            model.graph.input[0].doc_string = words
            onnx.save(model, path)
        return read_ends(OnnxFile.parse(path.read_bytes()), "x", "y")

    return read


CAFFE = np.array([103.939, 116.779, 123.68]).reshape(1, 3, 1, 1)
IMAGENET = np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ([("Sigmoid",)], "0..1"),
        ([("Tanh",)], "-1..1"),
        ([("Sigmoid",), ("Mul", 255.0)], "0..255"),
        ([("Tanh",), ("Mul", 0.5), ("Add", 0.5)], "0..1"),
        ([("Tanh",), ("Add", 1.0), ("Div", 2.0)], "0..1"),
        ([("Tanh",), ("Mul", 127.5), ("Add", 127.5)], "0..255"),
        ([("Tanh",), ("Mul", 150.0), ("Add", 127.5)], "0..255"),  # Johnson et al. 2016
        ([("Clip", 0.0, 255.0)], "0..255"),
        ([("Clip", -1.0, 1.0)], "-1..1"),
        ([("Clip", 0.0, 6.0)], None),  # ReLU6 is no picture's range
        ([("Relu",)], None),
        ([], None),
    ],
)
def test_what_ends_tell(ends, after, expected):
    assert ends(after=after).output_range == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([("Sub", CAFFE)], ("0..255", "BGR")),
        ([("Sub", CAFFE[:, ::-1])], ("0..255", "RGB")),
        ([("Add", -CAFFE)], ("0..255", "BGR")),
        ([("Sub", IMAGENET), ("Div", IMAGENET / 2)], ("0..1", "RGB")),
        ([("Sub", IMAGENET[:, ::-1])], ("0..1", "BGR")),
        ([("Div", 255.0)], ("0..255", None)),
        ([("Mul", 1 / 255)], ("0..255", None)),
        ([("Sub", 127.5), ("Div", 127.5)], ("0..255", None)),
        ([("Mul", 255.0)], ("0..1", None)),
        ([("Mul", 2.0), ("Sub", 1.0)], ("0..1", None)),
        ([("Mul", 0.5), ("Add", 0.5)], ("-1..1", None)),
        ([("Add", 1.0), ("Div", 2.0)], ("-1..1", None)),
        ([("Mul", 127.5), ("Add", 127.5)], ("-1..1", None)),
        ([("Mul", 1.5)], (None, None)),
        ([], (None, None)),
    ],
)
def test_what_beginnings_tell(ends, before, expected):
    found = ends(before=before)
    assert (found.input_range, found.colors) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Image in BGR format", (None, "BGR")),
        ("RGB image, values in [0, 255]", ("0..255", "RGB")),
        ("pixels from -1 to 1", ("-1..1", None)),
        ("float, 0.0-1.0 rgb", ("0..1", "RGB")),
        ("a picture", (None, None)),
    ],
)
def test_what_words_tell(ends, words, expected):
    found = ends(words=words)
    assert (found.input_range, found.colors) == expected


def test_arithmetic_outweighs_words(ends):
    assert ends(before=[("Div", 255.0)], words="values 0..1").input_range == "0..255"
