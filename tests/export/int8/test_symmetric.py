import importlib.util
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from skimage import data

from export.int8.scales import SYMMETRIC_LEVELS, best_cut
from export.int8.symmetric import quantize

spec = importlib.util.spec_from_file_location(
    "test_convert", Path(__file__).resolve().parents[1] / "fp16" / "test_convert.py"
)
half_tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(half_tests)


def test_even_sizes_are_not_cut():
    assert best_cut(np.ones(1000), 5.0) == pytest.approx(5.0, rel=0.02)


def test_one_far_value_in_many_is_cut():
    counts = np.zeros(1000)
    counts[:100], counts[-1] = 10_000, 1
    assert best_cut(counts, 10.0) < 2.0
    # Where they are many, cutting them costs more than rounding all others coarsely.
    counts[-1] = 50_000
    assert best_cut(counts, 10.0) > 9.0


def test_nothing_has_a_range():
    assert best_cut(np.zeros(10), 0.0) == 1.0 and best_cut(np.zeros(10), 3.0) == 1.0


def test_the_error_formula_is_the_error_made():
    rng = np.random.default_rng(0)
    values = np.abs(rng.standard_normal(200_000)) ** 2
    counts = np.histogram(values, 2048, (0, values.max()))[0]
    cut = best_cut(counts, values.max())

    def error(limit):
        scale = limit / SYMMETRIC_LEVELS
        rounded = np.clip(np.rint(values / scale), -SYMMETRIC_LEVELS, SYMMETRIC_LEVELS) * scale
        return np.mean((values - rounded) ** 2)

    assert error(cut) <= 1.02 * min(
        error(share * values.max()) for share in np.linspace(0.1, 1, 91)
    )


def test_pairs_around_convolutions():
    photos = [data.chelsea(), data.coffee()]
    model = half_tests.small_graph(channels=16)
    exact = half_tests.run(model, photos[0])
    assert quantize(model, half_tests.CARD, photos) == ["conv_a", "conv_b"]
    error = half_tests.run(model, photos[0]) - exact
    assert error.std() < 0.03 * exact.std()
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert stored["a.weight.int8"].dtype == np.int8 and "a.weight" not in stored
    assert np.abs(stored["a.weight.int8"]).max() == SYMMETRIC_LEVELS, "each channel uses all levels"
    assert (np.abs(stored["a.weight.int8"]).reshape(16, -1).max(1) == SYMMETRIC_LEVELS).all()
    assert stored["a.bias"].dtype == np.float32


def test_a_value_read_twice_is_rounded_once():
    model = half_tests.small_graph()
    first = model.graph.node[0]
    twin = onnx.NodeProto()
    twin.CopyFrom(first)
    twin.name, twin.output[0] = "conv_c", "c"
    model.graph.node.insert(1, twin)
    assert len(quantize(model, half_tests.CARD, [data.chelsea()])) == 3
    found = [node.op_type for node in model.graph.node]
    assert found.count("QuantizeLinear") == 2


def test_convolutions_that_stay_float():
    model = half_tests.small_graph()
    done = quantize(model, half_tests.CARD, [data.chelsea()], frozenset({"conv_b"}))
    assert done == ["conv_a"]
    assert "b.weight" in {tensor.name for tensor in model.graph.initializer}
