"""Opening a model stays within a time and within the memory of the machine."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.card import ModelCard, Port
from runtime.errors import CardMismatch
from runtime.model import background, loops
from runtime.model.session import open_session
from tests.hostile import seeds

ROOT = Path(__file__).resolve().parents[3]


def worked_out(path, steps, side=1024):
    """A graph of a few kB whose constants are products of matrices, each of 2 side^3 operations."""
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("ConstantOfShape", ["side"], ["m0"]),
        *(helper.make_node("MatMul", [f"m{k}", "m0"], [f"m{k + 1}"]) for k in range(steps)),
        helper.make_node("ReduceMax", [f"m{steps}"], ["one"], keepdims=0),
        helper.make_node("Add", ["image", "one"], ["styled"]),
    ]
    ends = [value(name, TensorProto.FLOAT, ["N", 3, "H", "W"]) for name in ("image", "styled")]
    stored = [numpy_helper.from_array(np.array([side, side]), "side")]
    graph = helper.make_graph(nodes, "test", ends[:1], ends[1:], stored)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_a_model_that_opens_late_is_refused_in_time(tmp_path):
    """ONNX Runtime works out constants while it opens a file, here for hours."""
    path = worked_out(tmp_path / "late.onnx", 20_000)
    with pytest.raises(
        CardMismatch, match="no answer to a small picture within 2 s; --probe-timeout"
    ):
        open_session(path, probe_timeout=2.0, range="0..1")


def test_only_models_that_work_much_out_are_tried_in_a_process(tmp_path):
    assert loops.works_out(worked_out(tmp_path / "late.onnx", 2))
    for path in (ROOT / "models").glob("*.onnx"):
        shutil.copy(path, tmp_path)  # elsewhere: those in place are not looked at
        assert not loops.works_out(tmp_path / path.name), path.name


def test_a_model_that_opens_late_by_size_alone_is_not_waited_for():
    end = threading.Event()
    with pytest.raises(CardMismatch, match=r"was not open within 0\.1 s"):
        background.kept(end.wait, Path("m.onnx"), 0.1)
    end.set()


@pytest.mark.parametrize(
    ("engine", "device"),
    [("onnxruntime", "auto"), ("onnxruntime", "cuda"), ("openvino", "gpu"), ("tensorrt", "cuda")],
)
def test_a_gpu_waits_for_models_with_a_card_alone(tmp_path, monkeypatch, engine, device):
    """What opens late compiles, or never ends; without a card nobody says that it is worth it."""
    end = threading.Event()
    monkeypatch.setattr("runtime.engines.onnxruntime.lists_gpu", lambda: True)
    path = tmp_path / "foreign.onnx"
    path.write_bytes(seeds.model())
    with pytest.raises(CardMismatch, match=r"was not open within 0\.1 s; --probe-timeout"):
        loops.opened(lambda: end.wait(60), path, engine, device, 0.1)
    end.set()
    path.write_bytes(
        seeds.model(ModelCard("own", "x", (Port("image"),), (Port("styled"),)).to_json())
    )
    late = threading.Event()
    assert loops.opened(lambda: late.wait(0.3), path, engine, device, 0.1) is False


def test_the_command_refuses_it_in_a_line(tmp_path):
    path = worked_out(tmp_path / "late.onnx", 20_000)
    photo = ROOT / "runtime" / "photographs" / "chelsea.jpg"
    words = [photo, tmp_path / "out.png", "--model", path, "--probe-timeout", "1"]
    run = subprocess.run(
        [sys.executable, "-m", "runtime.image", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert (
        "gave no answer to a small picture within 1 s" in run.stderr and run.stderr.count("\n") == 1
    )


def test_what_takes_the_memory_of_the_machine_is_refused(monkeypatch):
    """The work takes 9 of 10 bytes that were free, as the system says it."""
    held, end = [0], threading.Event()
    monkeypatch.setattr(background, "used", lambda: 100 + held[0])
    monkeypatch.setattr(background, "available", lambda: background.GIGABYTE - held[0])

    def grow():
        while not end.wait(0.01):
            held[0] = min(held[0] + background.GIGABYTE // 20, background.GIGABYTE * 9 // 10)

    with pytest.raises(background.TooMuchMemory, match=r"takes more memory than there is"):
        background.kept(grow, Path("m.onnx"), float("inf"))
    end.set()


def test_memory_that_others_take_is_not_held_against_a_model(monkeypatch):
    free = iter([background.GIGABYTE, *[0] * 1000])
    monkeypatch.setattr(background, "available", lambda: next(free))
    assert background.kept(lambda: threading.Event().wait(0.3), Path("m.onnx"), 60.0) is False


def test_what_the_work_raises_is_raised():
    def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        background.kept(fail, Path("m.onnx"), 60.0)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say it")
def test_what_this_process_holds():
    before = background.used()
    block = np.ones(8 << 20)
    assert 60e6 < background.used() - before < 80e6 and block.all()
