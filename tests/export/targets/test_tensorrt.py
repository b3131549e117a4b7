"""The real TensorRT-RTX library reads our graphs and builds engines of them, without a GPU."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import export.artifact as flow
from export.__main__ import main
from export.source import load_source
from export.targets import Options
from export.targets import tensorrt as tensorrt_target
from runtime.card import ModelCard, beside
from runtime.checksum import sha256
from runtime.engines.tensorrt import library
from runtime.engines.tensorrt.builder import PlanRequest, build_plan, capabilities, find_gpu
from runtime.engines.tensorrt.library import RTX
from runtime.engines.tensorrt.plan import graph_path, read_facts
from runtime.errors import EngineUnavailable, StyleError, UsageError
from runtime.model.session import open_session

try:
    LIBRARY = library.load(RTX)
except EngineUnavailable as absent:
    pytest.skip(str(absent), allow_module_level=True)

# Ada; any that is not this machine's would do.
CAPABILITY = "8.9"


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(flow, "SIZES", ((96, 64), (65, 51)))
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


def words(checkpoint, path, photos, *more):
    given = ["--checkpoint", checkpoint, "--target", "tensorrt", "--output", path, "--photos"]
    given += [photos, "--option", f"gpu={CAPABILITY}", "--option", "library=tensorrt-rtx"]
    return [str(word) for word in [*given, *more, "--json", "--quiet"]]


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_an_engine_is_built_without_a_gpu(checkpoint, photos_folder, tmp_path, capsys, precision):
    path = tmp_path / "toy.engine"
    assert main(words(checkpoint, path, photos_folder, "--precision", precision)) == 0
    report = json.loads(capsys.readouterr().out)
    facts = read_facts(path)
    assert (facts.library, facts.version) == (RTX, LIBRARY.version)
    assert facts.compute_capability == (CAPABILITY,) and facts.precision == precision
    assert facts.model_sha256 == sha256(graph_path(path))
    assert facts.plan_sha256 == sha256(path)
    assert facts.sizes() == "64x64 to 1920x1920"
    # The file is what the library wrote: its own header, none of our text.
    data = path.read_bytes()
    assert b"impasto" not in data and len(data) > 10_000
    card = ModelCard.from_json(beside(path).read_text())
    assert (card.target, card.precision, card.minimum) == ("tensorrt", precision, 64)
    assert f"{CAPABILITY}), {RTX}" in report["steps"][-1]
    assert "toy.engine.onnx by onnxruntime on cpu" in report["checks"][0]
    if find_gpu() is None:
        assert "built, and not run" in report["checks"][1]
    assert len(report["files"]) == 4
    check_the_graph(graph_path(path), precision)


def check_the_graph(path, precision):
    """The graph says the precision, in the form TensorRT reads."""
    graph = onnx.load(path).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv" and precision == "fp16":
            assert types[node.input[1]] == onnx.TensorProto.FLOAT16
        if node.op_type == "DequantizeLinear":
            assert types[node.input[2]] == onnx.TensorProto.INT8, "no int32 bias"
            zeros = next(t for t in graph.initializer if t.name == node.input[2])
            assert not onnx.numpy_helper.to_array(zeros).any(), "symmetric"
    found = [node.op_type for node in graph.node]
    quantized = found.count("Conv") if precision == "int8" else 0
    assert found.count("QuantizeLinear") == quantized and found.count("Conv") == 4
    with open_session(path) as session:  # and it is a model of its own
        assert session.card.precision == precision


@pytest.mark.parametrize(
    ("name", "config"), [("johnson", {"width": 8}), ("resnet_cycle", {"width": 8})]
)
def test_other_networks(new_checkpoint, photos_folder, tmp_path, name, config):
    source = new_checkpoint(tmp_path / "net.safetensors", name, blocks=1, **config)
    path = tmp_path / "net.engine"
    assert main(words(source, path, photos_folder, "--size", "96x64")) == 0
    assert read_facts(path).shapes == {}, "one size needs no profile"


def test_what_the_parser_refuses_is_quoted(tmp_path):
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"this is no graph")
    plan = tmp_path / "x.engine"
    with pytest.raises(StyleError) as caught:
        build_plan(graph, plan, PlanRequest("fp32", {}, CAPABILITY), LIBRARY, print)
    assert "TensorRT-RTX cannot read the graph" in str(caught.value)
    assert "\n" not in str(caught.value) and not plan.exists()


def test_an_int32_bias_is_what_the_parser_refuses(tmp_path):
    """Why int8 graphs for TensorRT are written differently from those for ONNX Runtime."""
    stored = {
        "w": np.ones((3, 3, 1, 1), np.int8),
        "ws": np.ones(3, np.float32),
        "wz": np.zeros(3, np.int8),
        "b": np.ones(3, np.int32),
        "bz": np.zeros(3, np.int32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["kernel"], axis=0),
        helper.make_node("DequantizeLinear", ["b", "ws", "bz"], ["shift"], axis=0),
        helper.make_node("Conv", ["image", "kernel", "shift"], ["styled"], kernel_shape=[1, 1]),
    ]
    value = [1, 3, 8, 8]
    graph = helper.make_graph(
        nodes,
        "bias",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, value)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, value)],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path = tmp_path / "bias.onnx"
    onnx.save(model, path)
    with pytest.raises(StyleError, match="cannot read the graph"):
        build_plan(path, tmp_path / "x.engine", PlanRequest("int8", {}, CAPABILITY), LIBRARY, print)


def test_capabilities():
    known = capabilities(LIBRARY)
    assert {"7.5", "8.6", "8.9", "12.0"} <= set(known)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"gpu": "9.0"}, "builds for 7.5"),
        ({"library": "other"}, "allowed are tensorrt, tensorrt-rtx"),
        ({"sizes": "64x64"}, "three sizes"),
        ({"sizes": "64x64,big,1x1"}, "not WIDTHxHEIGHT"),
        ({"sizes": "64x64,1280x720,640x480"}, "at least as large"),
    ],
)
def test_wrong_options(checkpoint, photos_folder, tmp_path, capsys, options, says):
    given = [f"--option={key}={value}" for key, value in options.items()]
    path = tmp_path / "x.engine"
    base = ["--checkpoint", str(checkpoint), "--target", "tensorrt", "--precision", "fp32"]
    assert main([*base, "--photos", str(photos_folder), "--output", str(path), *given]) == 2
    assert says in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))


def test_sizes_are_what_the_network_accepts(checkpoint):
    card = load_source(checkpoint, "toy").card
    found = tensorrt_target.profile(card, Options(extra={"sizes": "1x1,101x51,333x333"}))
    assert found == {"image": ((1, 3, 4, 4), (1, 3, 52, 104), (1, 3, 336, 336))}
    with pytest.raises(UsageError, match="one size"):
        tensorrt_target.profile(card, Options(size=(64, 64), extra={"sizes": "1x1,2x2,3x3"}))


def test_execution(checkpoint, photos_folder, tmp_path, capsys):
    gpu = find_gpu()
    if gpu is None:
        pytest.skip("runs engines: needs an NVIDIA GPU and its driver")
    if gpu.capability not in capabilities(LIBRARY):
        pytest.skip(f"TensorRT-RTX does not build for this GPU ({gpu.name}, {gpu.capability})")
    path = tmp_path / "toy.engine"
    given = words(checkpoint, path, photos_folder, "--option", f"gpu={gpu.capability}")
    assert main(given) == 0
    report = json.loads(capsys.readouterr().out)
    assert "toy.engine by tensorrt on cuda:0" in report["checks"][1]
