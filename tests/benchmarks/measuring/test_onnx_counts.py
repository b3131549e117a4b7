"""Counts agree with those by hand."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.measuring import onnx_counts
from benchmarks.measuring.calibration import Calibration, conv_model, gemm_model, peaks
from runtime.card import ModelCard, Port
from runtime.model.session import open_session
from tests.benchmarks.conftest import TINY_MACS_PER_PIXEL, TINY_PARAMETERS


@pytest.mark.parametrize("make", [gemm_model, conv_model])
def test_the_graphs_of_the_calibration_are_valid_onnx(make):
    onnx.checker.check_model(onnx.load_model_from_string(make()), full_check=True)


def test_calibration_reads_positive_numbers():
    heat = Calibration()
    readings = [heat(), heat()]
    heat.close()
    assert set(readings[0]) == {"gemm_gflops", "conv_gops", "copy_gbs"}
    assert all(value > 0 for reading in readings for value in reading.values())
    assert peaks(readings)["conv_gops"] == max(reading["conv_gops"] for reading in readings)


def test_the_two_loads_count_what_they_claim():
    model = onnx.load_model_from_string(conv_model())
    sizes = {t.name: numpy_helper.to_array(t).shape for t in model.graph.initializer}
    assert sizes["w"] == (128, 128, 3, 3) and len(model.graph.node) == 4


def test_tiny_model_counts(tiny_model):
    assert onnx_counts.count_parameters(tiny_model) == TINY_PARAMETERS
    with open_session(tiny_model) as session:
        counter = onnx_counts.MacCounter(tiny_model, session.card)
    assert counter.at(720, 1280) == TINY_MACS_PER_PIXEL * 720 * 1280
    assert counter.at(100, 52) == TINY_MACS_PER_PIXEL * 100 * 52


def test_what_a_file_measures_for_other_runtimes_is_not_counted():
    """The default model normalizes by itself; ours folds constants in its place."""
    path = Path(__file__).resolve().parents[3] / "models" / "starry.onnx"
    with open_session(path) as session:
        network = session.card.network
        counter = onnx_counts.MacCounter(path, session.card)
    assert (network["margin"], network["scale"]) == (0, 4)
    width, cells = network["width"], 320 * 192 // 16
    by_hand = 9 * (2 * 48 * width + 2 * network["blocks"] * width**2) * cells
    assert counter.at(192, 320) == by_hand


def padded_onnx(path, margin):
    """conv 3x3 behind a margin: the count is no multiple of the pixels."""
    weight = numpy_helper.from_array(np.ones((3, 3, 3, 3), np.float32), "w")
    edges = numpy_helper.from_array(np.array([0, 0, margin, margin] * 2, np.int64), "edges")
    nodes = [
        helper.make_node("Pad", ["image", "edges"], ["p"], mode="edge"),
        helper.make_node("Conv", ["p", "w"], ["styled"]),
    ]
    shape = ["N", 3, "H", "W"]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("image", "styled")]
    made = helper.make_graph(nodes, "padded", info[:1], info[1:], [weight, edges])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return ModelCard("padded", "perceptual", (Port("image"),), (Port("styled"),))


def test_a_margin_is_counted_exactly(tmp_path):
    card = padded_onnx(tmp_path / "padded.onnx", 16)
    counter = onnx_counts.MacCounter(tmp_path / "padded.onnx", card)
    assert counter.at(480, 640) == 81 * (480 + 30) * (640 + 30)


def test_transposed_and_quantized_nodes_are_counted():
    events = [
        event("ConvTranspose", [[1, 8, 10, 10], [8, 4, 3, 3], [4]], [[1, 4, 20, 20]]),
        event("QLinearConv", [[1, 8, 10, 10], [1], [1], [16, 8, 3, 3]], [[1, 16, 10, 10]]),
        event("MatMul", [[5, 7], [7, 11]], [[5, 11]]),
        event("Relu", [[1, 8, 10, 10]], [[1, 8, 10, 10]]),
        {"cat": "Session", "args": {}},
    ]
    by_hand = 8 * 100 * 4 * 9 + 16 * 100 * 8 * 9 + 5 * 11 * 7
    assert onnx_counts.sum_macs(events) == by_hand


def test_hidden_weights_give_no_count():
    # ONNX Runtime drops packed weights from its profile; a wrong number would be worse than none.
    assert onnx_counts.sum_macs([event("Conv", [[1, 3, 8, 8]], [[1, 4, 8, 8]])]) is None


def event(operator, inputs, outputs):
    def shapes(sizes):
        return [{"float": size} for size in sizes]

    facts = {"op_name": operator, "input_type_shape": shapes(inputs)}
    return {"cat": "Node", "args": {**facts, "output_type_shape": shapes(outputs)}}


def test_quantized_weights_are_found_behind_dequantize(tmp_path):
    weight = np.ones((4, 3, 3, 3), np.int8)
    tensors = [
        numpy_helper.from_array(weight, "w8"),
        numpy_helper.from_array(np.ones(4, np.float32), "scale"),
        numpy_helper.from_array(np.zeros(4, np.int8), "zero"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["w8", "scale", "zero"], ["w"], axis=0),
        helper.make_node("Conv", ["image", "w"], ["styled"], pads=[1, 1, 1, 1]),
    ]
    shape = ["N", 3, "H", "W"]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("image", "styled")]
    made = helper.make_graph(nodes, "q", info[:1], info[1:], tensors)
    path = tmp_path / "q.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]), path)
    assert onnx_counts.count_parameters(path) == weight.size
