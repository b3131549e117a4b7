"""The bundled segmentation network, and how TensorFlow's padding is written in ONNX."""

import json
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from export.import_segmentation import Graph, Layer, card_of, read, rebuild, same_pads
from runtime.errors import StyleError
from runtime.model import zoo

MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.mark.parametrize(
    ("kernel", "stride", "pads"),
    [
        ((1, 1), (1, 1), [0, 0, 0, 0]),
        ((3, 3), (1, 1), [1, 1, 1, 1]),
        ((3, 3), (2, 2), [0, 0, 1, 1]),  # 8 rows: the last window of the fourth ends in row 9
        ((5, 5), (2, 2), [1, 1, 2, 2]),
    ],
)
def test_padding(kernel, stride, pads):
    assert same_pads(kernel, stride) == pads


def graph(kind, shapes, constants, **facts):
    """A graph of one layer: tensor 0 in, the last one out, constants between."""
    layer = Layer(kind, list(range(len(shapes) - 1)), [len(shapes) - 1], **facts)
    return Graph([layer], constants, dict(enumerate(shapes)), 0, len(shapes) - 1)


def run(made, picture):
    session = ort.InferenceSession(made)
    return session.run(None, {"image": picture})[0]


def test_a_convolution_with_a_stride_against_one_by_hand():
    """One kernel of ones over 4x4 ones, stride 2: windows hold 9, 6, 6 and 4 of them."""
    weights = {1: np.ones((1, 3, 3, 3), np.float16) / 3, 2: np.array([0.5], np.float16)}
    shapes = [(1, 4, 4, 3), (1, 3, 3, 3), (1,), (1, 2, 2, 1)]
    net = graph("CONV_2D", shapes, weights, stride=(2, 2))
    card = card_of(net, "test", "none", "", "")
    found = run(rebuild(net, card), np.ones((1, 3, 4, 4), np.float32))
    assert np.allclose(found[0, 0, :2, :2], [[9.5, 6.5], [6.5, 4.5]], atol=1e-2)


def test_an_unknown_layer_is_named():
    net = graph("LSTM", [(1, 4, 4, 3), (1, 4, 4, 1)], {})
    with pytest.raises(StyleError, match="layer LSTM is not converted"):
        rebuild(net, card_of(net, "test", "none", "", ""))


@pytest.mark.parametrize(
    ("shapes", "constants"),
    [
        ([(1, 4, 4, 3), (1, 3, 3, 3), (1,), (1, 2, 2, 1)], {}),  # no weights
        ([(1, 4, 4, 3), (1, 3, 3, 3), (1, 2, 2, 1)], {1: np.ones((1, 3, 3, 3))}),  # no bias
        ([(1, 4, 4, 3), (9,), (1,), (1, 2, 2, 1)], {1: np.ones(9), 2: np.ones(1)}),
    ],
)
def test_a_damaged_layer_is_named(shapes, constants):
    net = graph("CONV_2D", shapes, constants)
    with pytest.raises(StyleError, match="layer CONV_2D is damaged"):
        rebuild(net, card_of(net, "test", "none", "", ""))


def test_bytes_that_are_no_file_are_one_error(tmp_path):
    pytest.importorskip("tflite", reason="needs tflite (pip install tflite)")
    rng = np.random.default_rng(0)
    for size in (0, 1, 7, 8, 40, 400) * 50:
        with pytest.raises(StyleError):
            read(rng.bytes(size))


def test_the_bundled_file_says_what_it_is():
    card = zoo.read_card(MODELS / "person.onnx")
    record = json.loads((MODELS / "person.json").read_text("utf-8"))
    assert card is not None and not zoo.is_style(card)
    assert card.license == record["license"] == "Apache-2.0"
    assert card.checkpoint_sha256 == record["source"]["sha256"]
    assert "@mediapipe/selfie_segmentation" in card.style["source"]
