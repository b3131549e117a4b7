"""Opening a model stays within a time and within the memory of the machine."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runtime.errors import CardMismatch
from runtime.model import limits
from runtime.model.session import open_session

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
    with pytest.raises(CardMismatch, match="was not open within 1 s; --probe-timeout SECONDS"):
        open_session(path, probe_timeout=1.0, range="0..1")


def test_the_thread_that_opens_it_gives_up(tmp_path):
    """Nothing goes on behind the refusal, which may come in the middle of a show."""
    import onnxruntime

    if not hasattr(onnxruntime.SessionOptions, "set_load_cancellation_flag"):
        pytest.skip("this ONNX Runtime cannot be told to give up: 1.21 can")
    path = worked_out(tmp_path / "late.onnx", 20_000, 256)
    with pytest.raises(CardMismatch, match="was not open"):
        open_session(path, probe_timeout=0.3, range="0..1")
    for thread in threading.enumerate():
        if thread.name == "impasto-opening":
            thread.join(30)
            assert not thread.is_alive()


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
    assert "was not open within 1 s" in run.stderr and run.stderr.count("\n") == 1


def test_what_takes_the_memory_of_the_machine_is_refused(monkeypatch):
    """The work takes 9 of 10 bytes that were free, as the system says it."""
    held, end = [0], threading.Event()
    monkeypatch.setattr(limits, "used", lambda: 100 + held[0])
    monkeypatch.setattr(limits, "available", lambda: limits.GIGABYTE - held[0])

    def grow():
        while not end.wait(0.01):
            held[0] = min(held[0] + limits.GIGABYTE // 20, limits.GIGABYTE * 9 // 10)

    with pytest.raises(limits.TooMuchMemory, match=r"takes more memory than there is"):
        limits.kept(grow, Path("m.onnx"), float("inf"))
    end.set()


def test_memory_that_others_take_is_not_held_against_a_model(monkeypatch):
    free = iter([limits.GIGABYTE, *[0] * 1000])
    monkeypatch.setattr(limits, "available", lambda: next(free))
    assert limits.kept(lambda: threading.Event().wait(0.3), Path("m.onnx")) is False


def test_what_the_work_raises_is_raised():
    def fail():
        raise KeyError("x")

    with pytest.raises(KeyError):
        limits.kept(fail, Path("m.onnx"))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the system does not say it")
def test_what_this_process_holds():
    before = limits.used()
    block = np.ones(8 << 20)
    assert 60e6 < limits.used() - before < 80e6 and block.all()
