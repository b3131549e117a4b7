"""Graphs lowered to an older operator set compute the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from export.older_opset import lower
from runtime.errors import UsageError


def graph(nodes, constants, result):
    ends = [
        helper.make_tensor_value_info("x", 1, [1, 4, "h", "w"]),
        helper.make_tensor_value_info(result, 1, list("abcd")),
    ]
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    made = helper.make_graph(nodes, "g", ends[:1], ends[1:], stored)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def answer(model, picture):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    data = model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": picture})[0]


INT = np.int64
CASES = {
    "pad axes": (
        [helper.make_node("Pad", ["x", "pads", "", "axes"], ["y"], mode="edge")],
        {"pads": np.array([1, 2, 3, 4], INT), "axes": np.array([2, -1], INT)},
    ),
    "pad all": (
        [helper.make_node("Pad", ["x", "pads"], ["y"], mode="reflect")],
        {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], INT)},
    ),
    "mean": (
        [helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1)],
        {"axes": np.array([2, 3], INT)},
    ),
    "resize": (
        [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode="nearest", antialias=0)],
        {"scales": np.array([1, 1, 2, 2], np.float32)},
    ),
    "split": (
        [
            helper.make_node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2),
            helper.make_node("Sub", ["a", "b"], ["y"]),
        ],
        {},
    ),
    "shape": (
        [
            helper.make_node("Shape", ["x"], ["s"], start=2, end=4),
            helper.make_node("Concat", ["one", "s"], ["t"], axis=0),
            helper.make_node("Reshape", ["x", "t"], ["y"], allowzero=1),
        ],
        {"one": np.array([2, 2], INT)},
    ),
}


@pytest.mark.parametrize("opset", [13, 14, 15, 17])
@pytest.mark.parametrize("case", CASES)
def test_the_same_numbers(case, opset):
    nodes, constants = CASES[case]
    picture = np.random.default_rng(0).random((1, 4, 6, 8), np.float32)
    model = graph(nodes, constants, "y")
    expected = answer(model, picture)
    made = lower(onnx.load_from_string(model.SerializeToString()), opset)
    onnx.checker.check_model(made)
    assert made.opset_import[0].version == opset
    assert np.array_equal(answer(made, picture), expected)


@pytest.mark.parametrize(
    ("node", "constants", "word"),
    [
        (
            helper.make_node("LayerNormalization", ["x", "w"], ["y"], axis=-1),
            {"w": np.ones(8, np.float32)},
            "LayerNormalization needs --opset 18",
        ),
        (
            helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear", antialias=1),
            {"s": np.array([1, 1, 2, 2], np.float32)},
            "Resize with antialias 1",
        ),
    ],
)
def test_what_the_older_set_lacks_is_refused(node, constants, word):
    with pytest.raises(UsageError, match=word):
        lower(graph([node], constants, "y"), 13)
