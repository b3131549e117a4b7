"""Graphs with loops: one that ends is painted with, one that does not is refused in time."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.errors import CardMismatch
from runtime.image import main
from runtime.model import loops
from runtime.model.session import open_session

MODELS = Path(__file__).resolve().parents[3] / "models"


def looping(path, turns):
    """A graph that passes a picture through a loop; None turns for ever."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Mul", ["before", "half"], ["after"]),
        ],
        "body",
        [
            value("turn", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("before", TensorProto.FLOAT, None),
        ],
        [value("on", TensorProto.BOOL, []), value("after", TensorProto.FLOAT, None)],
    )
    stored = {"yes": np.array(True), "half": np.array(0.5, np.float32)}
    if turns is not None:
        stored["turns"] = np.array(turns, np.int64)
    ends = [value(name, TensorProto.FLOAT, ["N", 3, "H", "W"]) for name in ("image", "styled")]
    graph = helper.make_graph(
        [
            helper.make_node(
                "Loop", ["turns" if turns else "", "yes", "image"], ["many"], body=body
            ),
            helper.make_node("Sigmoid", ["many"], ["styled"]),
        ],
        "test",
        ends[:1],
        ends[1:],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_an_endless_loop_is_refused_in_time(tmp_path):
    path = looping(tmp_path / "endless.onnx", None)
    with pytest.raises(CardMismatch, match="gave no answer to a small picture within 3 s"):
        open_session(path, probe_timeout=3.0, range="0..1")


def test_the_command_has_a_flag_for_it(tmp_path, capsys):
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "photo.png")
    path = looping(tmp_path / "endless.onnx", None)
    words = [tmp_path / "photo.png", tmp_path / "out.png", "--model", path, "--probe-timeout", "3"]
    assert main([str(word) for word in words]) == 2
    assert "--probe-timeout SECONDS waits longer" in capsys.readouterr().err


def test_a_loop_that_ends_paints(tmp_path):
    path = looping(tmp_path / "thrice.onnx", 3)
    with open_session(path, range="0..1") as session:
        assert session.stylize(np.full((16, 16, 3), 255, np.uint8)).std() == 0


def slow(path, steps):
    """A graph without a loop: each step multiplies two matrices of 2048x2048, 17 GFLOP, which the
    picture is part of, so that nothing can be worked out before."""
    side = numpy_helper.from_array(np.array([2048, 2048]), "side")
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Expand", ["mean", "side"], ["m0"]),
        *(helper.make_node("MatMul", [f"m{k}", "m0"], [f"m{k + 1}"]) for k in range(steps)),
        helper.make_node("ReduceMean", [f"m{steps}"], ["one"], keepdims=0),
        helper.make_node("Add", ["image", "one"], ["styled"]),
    ]
    ends = [value(name, TensorProto.FLOAT, ["N", 3, "H", "W"]) for name in ("image", "styled")]
    graph = helper.make_graph(nodes, "test", ends[:1], ends[1:], [side])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_a_model_that_answers_late_is_refused_in_time(tmp_path):
    """In a process of its own, because the picture that it has goes on until that ends."""
    photo = MODELS.parent / "runtime" / "photographs" / "chelsea.jpg"
    words = [photo, tmp_path / "out.png", "--model", slow(tmp_path / "slow.onnx", 4000)]
    run = subprocess.run(
        [sys.executable, "-m", "runtime.image", *map(str, words), "--probe-timeout", "3"],
        cwd=MODELS.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert "gave no answer to a small picture within 3 s; --probe-timeout" in run.stderr
    assert run.stderr.count("\n") == 1 and not (tmp_path / "out.png").exists()


def test_a_model_that_goes_on_answering_is_not_refused():
    """Each answer has the whole time."""

    class Slow:
        inputs = outputs = ()
        metadata, device, note = {}, "cpu", ""

        def run(self, feeds, outputs=None):
            threading.Event().wait(0.2)
            return feeds

        def close(self):
            pass

    answers = loops.in_time(lambda engine: [engine.run({}) for _ in range(6)], Slow(), MODELS, 0.5)
    assert answers == [{}] * 6


def test_none_of_our_models_starts_a_process():
    assert not [path.name for path in MODELS.glob("*.onnx") if loops.may_loop(path)]
