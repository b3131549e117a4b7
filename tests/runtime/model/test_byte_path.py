"""Conversion on the GPU gives what conversion on the CPU gives: the graph's operations on the real
ONNX Runtime, and a session on a GPU that exists in memory only."""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtime.card import ModelCard, Port
from runtime.engines import _cache, _cuda, _provider_choice
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.errors import StyleError
from runtime.model import arrays
from runtime.model.gpu import byte_path
from runtime.model.gpu.byte_path import BytePath, with_bytes
from runtime.model.session import open_session
from tests.runtime.engines import fake_cuda_runtime
from tests.runtime.engines import fake_gpu as fake

MODELS = Path(__file__).resolve().parents[3] / "models"
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


def picture(height=12, width=20, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def square_graph(port, opset=17):
    """y = x |x| of the port's kind: no picture is its own answer, and values leave no range."""
    info = [
        helper.make_tensor_value_info(name, TYPES[port.dtype], list(port.shape))
        for name in ("image", "styled")
    ]
    nodes = [
        helper.make_node("Abs", ["image"], ["size"]),
        helper.make_node("Mul", ["image", "size"], ["styled"]),
    ]
    graph = helper.make_graph(nodes, "square", info[:1], info[1:])
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def card_for(port):
    return ModelCard("square", "foreign", (port,), (replace(port, name="styled"),))


@pytest.mark.parametrize(
    ("layout", "colors", "limits", "dtype"),
    list(
        itertools.product(
            ("NCHW", "NHWC"), ("RGB", "BGR"), ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)), TYPES
        )
    ),
)
def test_operations_of_the_graph_do_what_the_cpu_does(layout, colors, limits, dtype):
    if dtype == "float16" and limits[1] == 255.0:
        pytest.skip("a square of 255 is no float16")
    axes = ("N", 3, "H", "W") if layout == "NCHW" else ("N", "H", "W", 3)
    port = Port("image", "image", axes, dtype, layout, colors, *limits)
    data, card = square_graph(port), card_for(port)
    graph, given, made = with_bytes(data, card)
    onnx.checker.check_model(onnx.load_from_string(graph), full_check=True)
    engine, plain = (OnnxRuntimeEngine.open(d, "cpu", 1) for d in (graph, data))
    (info,), x = engine.inputs, picture()
    assert (info.name, info.dtype, info.shape) == ("impasto/image", "uint8", ("N", "H", "W", 3))
    path = BytePath(engine, given, made)
    (result,) = plain.run({"image": arrays.to_tensor(x, port)}).values()
    expected = arrays.to_image(result, card.outputs[0])
    assert path.agrees(x, {}, expected)
    # Half-way between two levels, float32 and OpenCV's double may round to different ones: coarse
    # values, as those of float16, lie there often.
    apart = np.abs(path.paint(x, {})[0].astype(int) - expected)
    assert apart.max() <= (1 if limits[0] or dtype == "float16" else 0)
    assert len(np.unique(expected)) > 10
    path.close()
    plain.close()


@pytest.mark.parametrize("name", ["starry-fast-fp32", "monet-fp32"])
def test_shipped_models_paint_the_same_bytes(name):
    with open_session(MODELS / f"{name}.onnx", device="cpu", threads=1) as session:
        graph, given, made = with_bytes(session.model_path.read_bytes(), session.card)
        path = BytePath(OnnxRuntimeEngine.open(graph, "cpu", 1), given, made)
        x = picture(64, 96)
        assert np.array_equal(path.paint(x, {})[0], session.stylize(x))
        path.close()


def test_graphs_that_are_too_old_and_none_at_all():
    port = Port("image", "image", ("N", 3, "H", "W"))
    with pytest.raises(StyleError, match="opset 10"):
        with_bytes(square_graph(port, 10), card_for(port))
    with pytest.raises(StyleError):
        with_bytes(b"no graph", card_for(port))


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a GPU."""
    driver = fake.Driver()
    runtime = fake_cuda_runtime.FakeCudaRuntime(lambda: driver)
    runtime.gpu = driver
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(_cuda, "_load", lambda: driver)
    monkeypatch.setenv(_cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv("IMPASTO_GPU_PLAIN", raising=False)
    _provider_choice._why_not.cache_clear()
    yield runtime
    _provider_choice._why_not.cache_clear()
    assert driver.misuses == [] and driver.left() == {}


@pytest.fixture
def expected():
    """Four pictures as the CPU paints them."""
    with open_session(MODELS / "starry-fast-fp32.onnx", device="cpu", threads=1) as session:
        return [session.stylize(picture(30, 42, seed)) for seed in range(4)]


def paint(session):
    return [session.stylize(picture(30, 42, seed)) for seed in range(4)]


def test_a_session_on_a_gpu_takes_bytes_from_its_second_picture_on(expected, machine, capsys):
    with open_session(MODELS / "starry-fast-fp32.onnx", device="cuda", threads=1) as session:
        assert session.device == "cuda:0" and session.card.port("image").dtype == "float32"
        assert all(map(np.array_equal, paint(session), expected))
        assert len(machine.sessions) == 2 and machine.recorded == 1
        machine.gpu.calls.clear()
        session.stylize(picture(30, 42))
        assert machine.gpu.calls.count("cuMemcpyHtoDAsync_v2") == 1
        # Floats are not rounded: they go the other way.
        x = picture(32, 44).astype(np.float32) / 255
        assert len(np.unique(session.stylize_float(x))) > 256
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fails", [False, True])
def test_a_way_that_paints_another_picture_is_dropped_with_a_line(
    expected, machine, capsys, monkeypatch, fails
):
    run = OnnxRuntimeEngine.run

    def wrong(self, feeds, outputs=None):
        results = run(self, feeds, outputs)
        if "impasto/image" in feeds:
            if fails:
                raise StyleError("no kernel for this")
            return {name: value // 2 for name, value in results.items()}
        return results

    monkeypatch.setattr(OnnxRuntimeEngine, "run", wrong)
    with open_session(MODELS / "starry-fast-fp32.onnx", device="cuda", threads=1) as session:
        assert all(map(np.array_equal, paint(session), expected))
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "converted on the CPU" in line


def test_no_bytes_on_request_on_the_cpu_and_where_a_graph_has_them(machine, monkeypatch):
    def session_of(name, device):
        with open_session(MODELS / f"{name}.onnx", device=device, threads=1) as session:
            return session._bytes

    assert session_of("starry-fast-fp32", "cuda") is not None
    assert session_of("starry-fast-fp32", "cpu") is None
    monkeypatch.setenv("IMPASTO_GPU_PLAIN", "1")
    assert session_of("starry-fast-fp32", "cuda") is None
    monkeypatch.delenv("IMPASTO_GPU_PLAIN")
    port = Port("image", "image", ("N", "H", "W", 3), "uint8", "NHWC", "RGB", 0.0, 255.0)
    assert not byte_path._suits(card_for(port))
