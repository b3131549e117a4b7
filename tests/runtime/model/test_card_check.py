"""Cards beside graphs that another program changed: the graph counts, or the file is refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime import open_session
from runtime.card import KEY, ModelCard, Port
from runtime.errors import CardMismatch
from runtime.model.folding import Folding
from runtime.onnxfile import OnnxFile, read_onnx

MODELS = Path(__file__).parents[3] / "models"
FREE = ("N", 3, "H", "W")


def negative(path, build_model, card, shape=FREE, kind=TensorProto.FLOAT):
    """1 - x with this card, whatever it says."""
    value = {TensorProto.FLOAT: np.float32, TensorProto.FLOAT16: np.float16}[kind]
    make = helper.make_tensor_value_info
    build_model(
        path,
        [helper.make_node("Sub", ["one", "x"], ["y"])],
        [make("x", kind, list(shape))],
        [make("y", kind, list(shape))],
        {"one": np.array(1, value)},
    )
    model = onnx.load(path)
    helper.set_model_props(model, {KEY: card.to_json()})
    onnx.save(model, path)
    return path


def card(shape=FREE, *, dtype="float32", layout="NCHW", inputs=("x",), outputs=("y",)):
    ports = [
        tuple(Port(name, shape=shape, dtype=dtype, layout=layout) for name in names)
        for names in (inputs, outputs)
    ]
    return ModelCard("m", "test", *ports)


def picture(height=64, width=96):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("said", "shape", "kind"),
    [
        (card(), FREE, TensorProto.FLOAT16),
        (card(), (1, 3, 64, 96), TensorProto.FLOAT),
        (card(), ("N", "H", "W", 3), TensorProto.FLOAT),
        (card((1, 3, 32, 32)), (1, 3, 64, 96), TensorProto.FLOAT),
    ],
    ids=["half precision", "a fixed size", "channels last", "another size"],
)
def test_the_graph_counts_and_that_is_said(tmp_path, build_model, said, shape, kind):
    path = negative(tmp_path / "m.onnx", build_model, said, shape, kind)
    image = picture()
    with open_session(path) as session:
        assert np.abs(session.stylize(image).astype(int) - (255 - image.astype(int))).max() <= 1
        assert len(session.notes) == 2 and "the graph counts" in session.notes[0]


@pytest.mark.parametrize(
    ("said", "word"),
    [
        (card(dtype="uint8"), "its card says uint8"),
        (card(inputs=("picture",)), "inputs the graph does not have: picture"),
        (card(outputs=("painted",)), "outputs the graph does not have: painted"),
        (card(inputs=()), "it has no inputs, or no outputs"),
    ],
)
def test_a_contradiction_is_refused(tmp_path, build_model, said, word):
    path = negative(tmp_path / "m.onnx", build_model, said)
    with pytest.raises(CardMismatch, match=word):
        open_session(path)


def with_outside(model: onnx.ModelProto, path) -> None:
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)


def test_a_folded_model_with_its_weights_in_a_file_of_their_own(tmp_path):
    whole = MODELS / "starry-fast.onnx"
    path = tmp_path / "starry.onnx"
    with_outside(onnx.load(whole), path)
    image = picture()
    with open_session(whole) as one, open_session(path) as other:
        assert np.array_equal(one.stylize(image), other.stylize(image))


def test_a_folded_model_whose_vectors_were_renamed_is_refused(tmp_path):
    """As optimizers do that name constants anew."""
    model = onnx.load(MODELS / "starry-fast.onnx")
    folding = Folding.from_metadata({entry.key: entry.value for entry in model.metadata_props})
    assert folding is not None
    plain = folding.with_vectors(model.SerializeToString())
    renamed = onnx.load_from_string(plain)
    name = f"{folding.layers[0].name}.bias"
    for tensor in renamed.graph.initializer:
        tensor.name = "other" if tensor.name == name else tensor.name
    for node in renamed.graph.node:
        node.input[:] = ["other" if read == name else read for read in node.input]
    onnx.save(renamed, tmp_path / "m.onnx")
    with pytest.raises(CardMismatch, match=f"no {name}"):
        open_session(tmp_path / "m.onnx")


def test_reading_brings_everything_inside(tmp_path):
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    make = helper.make_tensor_value_info
    node = helper.make_node("Add", ["x", "w"], ["y"])
    graph = helper.make_graph(
        [node],
        "g",
        [make("x", 1, [3, 4])],
        [make("y", 1, [3, 4])],
        [numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path / "m.onnx"
    with_outside(helper.make_model(graph), path)
    whole = read_onnx(path)
    stored = OnnxFile.parse(whole).constant("w")
    assert stored is not None and np.array_equal(stored, weight)
    onnx.checker.check_model(onnx.load_from_string(whole))
    (tmp_path / "weights.bin").write_bytes(b"\0" * 7)
    with pytest.raises(CardMismatch, match="cut off"):
        read_onnx(path)
