import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import export.artifact as flow
from export.__main__ import main
from export.fp16 import convert
from export.fp16.casts import narrow
from export.fp16.rescale import HIGHEST, LOWEST, channel_factors, rescale
from export.int8 import ranges
from runtime.card import KEY, ModelCard, Port
from runtime.model.formats import open_model
from training.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
    monkeypatch.setattr(flow, "SIZES", ((96, 64), (65, 51)))


@pytest.fixture(scope="module")
def photos():
    from skimage import data

    return [data.chelsea(), data.coffee()]


def small_graph(gains=1.0, gamma=None, channels=4):
    """conv 3x3 -> instance norm -> relu -> conv 3x3, plus the input: float32, weights by hand."""
    rng = np.random.default_rng(2)
    first = (rng.standard_normal((channels, 3, 3, 3)) * 0.3).astype(np.float32)
    gains = np.broadcast_to(np.float32(gains), channels)
    shape = [1, 3, "height", "width"]
    stored = {
        "a.weight": first * gains[:, None, None, None],
        "a.bias": rng.standard_normal(channels).astype(np.float32) * gains,
        "n.weight": np.ones(channels, np.float32) if gamma is None else np.float32(gamma),
        "n.bias": rng.standard_normal(channels).astype(np.float32),
        "b.weight": (rng.standard_normal((3, channels, 3, 3)) * 0.1).astype(np.float32),
        "b.bias": np.zeros(3, np.float32),
    }
    conv = {"kernel_shape": [3, 3], "pads": [1] * 4}
    nodes = [
        helper.make_node("Conv", ["image", "a.weight", "a.bias"], ["a"], name="conv_a", **conv),
        helper.make_node("InstanceNormalization", ["a", "n.weight", "n.bias"], ["n"], name="norm"),
        helper.make_node("Relu", ["n"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "b.weight", "b.bias"], ["b"], name="conv_b", **conv),
        helper.make_node("Add", ["b", "image"], ["styled"], name="add"),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


CARD = ModelCard("small", "perceptual", (Port("image", shape=(1, 3, "h", "w")),), (Port("styled"),))


def run(model, photo):
    onnx.checker.check_model(model, full_check=True)
    engine = open_model(model.SerializeToString(), device="cpu")
    x = photo[:96, :128].transpose(2, 0, 1)[None].astype(np.float32) / 255
    return engine.run({"image": x})["styled"]


def psnr(a, b):
    return -10 * np.log10(np.mean((a.astype(np.float64) - b) ** 2))


def copy(model):
    other = onnx.ModelProto()
    other.CopyFrom(model)
    return other


@pytest.mark.parametrize("gains", [2.0**20, 3e-7, [1.0, 2.0**-30, 2.0**14, 5e9]])
def test_rescaling_changes_no_bit_of_the_picture(photos, gains):
    model = small_graph(gains)
    before = run(model, photos[0])
    (changed,) = rescale(model, ranges.largest(model, CARD, photos))
    assert changed.node == "conv_a"
    assert bool(changed.divisor) == (np.ndim(gains) > 0), "one factor needs no division"
    assert np.array_equal(run(model, photos[0]), before)
    peaks = ranges.largest(model, CARD, photos)["a"]
    assert peaks.max() <= HIGHEST and peaks.min() >= LOWEST


def test_a_shared_normalization_epsilon_keeps_flat_channels_exact(photos):
    """Epsilon counts where the deviation is near its root; a wrong one would show here."""
    model = small_graph(2.0**20)
    flat = np.full_like(photos[0], 128)
    before = run(model, flat)
    rescale(model, ranges.largest(model, CARD, photos))
    assert np.array_equal(run(model, flat), before)


def test_what_fits_is_left_alone(photos):
    model = small_graph()
    stored = model.SerializeToString()
    assert rescale(model, ranges.largest(model, CARD, photos)) == []
    assert model.SerializeToString() == stored


def test_factors():
    ones = np.ones(3)
    assert channel_factors(np.array([1.0, 4.0, 9.0]), ones) is None
    assert np.array_equal(channel_factors(np.array([8e3, 8e3, 4e3]), ones), [2.0**-10] * 3)
    mixed = channel_factors(np.array([8.0, 8 * 2.0**30, 0.0]), ones)
    assert np.array_equal(mixed, [1.0, 2.0**-30, 1.0]), "a dead channel has no factor"


@pytest.mark.parametrize("gains", [2.0**20, [1.0, 2.0**-30, 2.0**14, 5e9]])
def test_activations_that_overflow_without_the_pass(photos, gains):
    model = small_graph(gains)
    exact = run(model, photos[0])
    naive = copy(model)
    narrow(naive, {"norm"})
    difference = run(naive, photos[0]) - exact
    assert not np.isfinite(difference).all() or psnr(run(naive, photos[0]), exact) < 40
    _, facts = convert.make_safe(model, CARD, photos)
    assert psnr(run(model, photos[0]), exact) > 55
    row = facts["ranges"][0]
    assert row["layer"] == "a" and row["largest"] > 65504 and row["of_65504"] < 1 / 60
    assert row["over_smallest_normal"] > 1 and row["rescaled"][0] <= 2.0**-10


def test_what_cannot_be_rescaled_stays_float32(photos):
    """A normalization of a huge scale: its values exceed float16, and no normalization follows."""
    model = small_graph(gamma=[3e5, 1, 1, 1])
    exact = run(model, photos[0])
    peak = np.abs(exact).max()
    naive = copy(model)
    narrow(naive, {"norm"})
    assert not np.isfinite(run(naive, photos[0])).all()
    steps, facts = convert.make_safe(model, CARD, photos)
    assert psnr(run(model, photos[0]) / peak, exact / peak) > 55
    assert "conv_b" in " ".join(steps)
    assert next(r for r in facts["ranges"] if r["layer"] == "b")["kept"] == "float32"


def test_no_value_between_islands_passes_through_float16(photos):
    model = small_graph()
    narrow(model, {"conv_a", "norm", "relu"})
    assert [node.op_type for node in model.graph.node].count("Cast") == 3
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert types["a.weight"] == TensorProto.FLOAT and types["b.weight.half"] == TensorProto.FLOAT16
    assert "b.weight" not in types
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT


def test_shapes_are_read_without_a_cast():
    shape = [1, 3, "height", "width"]
    nodes = [
        helper.make_node("Shape", ["image"], ["size"], name="shape"),
        helper.make_node("Relu", ["image"], ["r"], name="relu"),
        helper.make_node("Reshape", ["r", "size"], ["styled"], name="reshape"),
    ]
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    narrow(model)
    assert [n.op_type for n in model.graph.node] == ["Shape", "Cast", "Relu", "Reshape", "Cast"]
    onnx.checker.check_model(model, full_check=True)


def arguments(checkpoint, path, photos):
    given = ["--checkpoint", str(checkpoint), "--output", str(path), "--precision", "fp16"]
    return [*given, "--photos", str(photos), "--quiet"]


def test_fp16_with_float_normalizations(checkpoint, photos_folder, tmp_path):
    path = tmp_path / "toy-fp16.onnx"
    assert main(arguments(checkpoint, path, photos_folder)) == 0
    model = onnx.load(path)
    card = ModelCard.from_json({e.key: e.value for e in model.metadata_props}[KEY])
    assert card.precision == "fp16" and card.inputs[0].dtype == "float32"
    types = {t.name: t.data_type for t in model.graph.initializer}
    operations = {node.op_type: node for node in model.graph.node}
    assert types[operations["Conv"].input[1]] == TensorProto.FLOAT16
    assert types[operations["InstanceNormalization"].input[1]] == TensorProto.FLOAT
    report = json.loads(path.with_suffix(".json").read_text())
    assert all(entry["psnr_db"] >= 55 for entry in report["parity"]["sizes"])
    layers = [row["layer"] for row in report["ranges"]]
    assert layers[0] == "stem" and "trunk.0.conv1" in layers and "head" in layers


def test_a_trained_network_whose_scale_drifted(checkpoint, photos_folder, tmp_path):
    """A normalization hides any scale from training; half precision does not."""
    loaded = load_checkpoint(checkpoint)
    stem = loaded.tensors["generator.stem.weight"]
    drift = torch.logspace(-3, 7, len(stem))[:, None, None, None]
    loaded.tensors["generator.stem.weight"] = stem * drift
    huge = tmp_path / "huge.safetensors"
    save_checkpoint(loaded, huge)
    path = tmp_path / "huge.onnx"
    assert main(arguments(huge, path, photos_folder)) == 0
    report = json.loads(path.with_suffix(".json").read_text())
    assert all(entry["psnr_db"] >= 55 for entry in report["parity"]["sizes"])
    assert any("rescaled" in step for step in report["steps"])
    assert report["ranges"][0]["largest"] > 65504


def test_too_coarse_is_refused(checkpoint, photos_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("export.fp16.convert.narrow", lambda model, islands: _spoil(model))
    path = tmp_path / "toy.onnx"
    assert main(arguments(checkpoint, path, photos_folder)) == 4
    assert "does not match its source" in capsys.readouterr().err
    assert not path.exists() and path.with_name("toy.onnx.rejected").exists()


def _spoil(model):
    """One bias off by a hundredth."""
    bias = next(t for t in model.graph.initializer if t.name.endswith("head.bias"))
    bias.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(0.01), bias.name)
    )
