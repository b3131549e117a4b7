"""Engine files: loading, mismatch, rebuilding and running, on a GPU that exists in memory only.
The real builder is tested in tests/export/targets/test_tensorrt.py."""

import ctypes
import importlib.util
import threading
from pathlib import Path

import numpy as np
import pytest

from runtime.engines import _cuda
from runtime.engines._cuda import Cuda, Gpu
from runtime.engines.tensorrt import TensorrtEngine, builder
from runtime.engines.tensorrt import library as tensorrt_library
from runtime.engines.tensorrt import plan as tensorrt_plan
from runtime.engines.tensorrt.builder import PlanRequest, build_plan, make_monitor
from runtime.engines.tensorrt.plan import PlanFacts, mismatch, read_facts
from runtime.errors import CardMismatch, EngineUnavailable, StyleError, UsageError
from runtime.model import formats

spec = importlib.util.spec_from_file_location("fake_gpu", Path(__file__).parent / "fake_gpu.py")
fake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fake)

SHAPES = {"image": ((1, 3, 8, 8), (1, 3, 32, 48), (1, 3, 64, 64))}
REQUEST = PlanRequest("fp16", SHAPES)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a GPU and TensorRT; `machine.library` may be replaced."""

    class Machine:
        driver = fake.Driver()
        library = fake.library()

    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("IMPASTO_REBUILD", raising=False)
    monkeypatch.setattr(_cuda, "_load", lambda: Machine.driver)
    monkeypatch.setattr(tensorrt_library, "installed", lambda: [Machine.library.label])

    def load(label):
        if label != Machine.library.label:
            raise EngineUnavailable(f"{label} is not installed: pip install it")
        return Machine.library

    monkeypatch.setattr(tensorrt_library, "load", load)
    yield Machine
    assert Machine.driver.misuses == []


@pytest.fixture
def plan(machine, tmp_path):
    """An engine file with its facts, built on that machine."""
    path = tmp_path / "models" / "toy.engine"
    path.parent.mkdir()
    graph = tensorrt_plan.graph_path(path)
    graph.write_bytes(b"good graph")
    build_plan(graph, path, REQUEST, machine.library, lambda text: None)
    return path


def test_pictures_go_through_the_gpu(machine, plan):
    engine = TensorrtEngine.open(plan)
    assert engine.device == "cuda:0" and engine.note == "" and engine.metadata == {}
    (image,), (styled,) = engine.inputs, engine.outputs
    assert (image.name, image.shape, image.dtype) == ("image", (1, 3, "", ""), "float32")
    assert styled.name == "styled"
    for height, width in ((8, 8), (64, 40), (16, 16)):
        x = np.random.default_rng(0).random((1, 3, height, width), np.float32)
        found = engine.run({"image": x})
        assert np.array_equal(found["styled"], 1 - x)
        # What is not contiguous, and not float32, is made so.
        assert np.array_equal(engine.run({"image": x[..., ::-1]})["styled"], 1 - x[..., ::-1])
    assert len(machine.driver.memory) == len(machine.driver.pinned) == 4, "two sizes are kept"
    engine.close()
    engine.close()
    assert machine.driver.left() == {}
    with pytest.raises(ValueError, match="closed"):
        engine.run({"image": x})


def test_any_thread_may_run_it(machine, plan):
    engine = TensorrtEngine.open(plan)
    machine.driver.calls.clear()
    x = np.zeros((1, 3, 8, 8), np.float32)
    found = []
    thread = threading.Thread(target=lambda: found.append(engine.run({"image": x})))
    thread.start()
    thread.join()
    assert machine.driver.calls[0] == "cuCtxSetCurrent"
    assert (found[0]["styled"] == 1).all()
    engine.close()


def noise(size, seed=0):
    return np.random.default_rng(seed).random((1, 3, *size), np.float32)


def test_the_third_picture_of_a_size_is_one_launch(machine, plan):
    """The first settles the context, the second is painted twice and compared, the rest launched.
    What a stage before it changes in the meantime does not matter: pictures are copied."""
    engine = TensorrtEngine.open(plan)
    driver = machine.driver
    for number in range(5):
        driver.calls.clear()
        x = noise((16, 24), number)
        found = engine.run({"image": x})["styled"]
        x[:] = -1
        assert np.array_equal(found, 1 - noise((16, 24), number))
        assert driver.launches == max(0, number)
        if number > 1:
            calls = [name for name in driver.calls if name != "cuCtxSetCurrent"]
            assert calls == ["cuGraphLaunch", "cuStreamSynchronize"]
    assert len(driver.graphs) == 1 and driver.recorded == {}
    engine.close()
    assert driver.left() == {}


def test_sizes_that_take_turns_keep_their_graphs_and_a_third_takes_the_oldest_place(machine, plan):
    engine = TensorrtEngine.open(plan)
    sizes = ((16, 24), (32, 40), (48, 56))

    def paint(size, times):
        for number in range(times):
            x = noise(size, number)
            assert np.array_equal(engine.run({"image": x})["styled"], 1 - x)

    for size in sizes[:2]:
        paint(size, 3)
    before = machine.driver.launches
    for _ in range(3):
        paint(sizes[0], 1)
        paint(sizes[1], 1)
    assert machine.driver.launches == before + 6
    paint(sizes[2], 3)
    assert len(machine.driver.graphs) == 2 and len(machine.driver.memory) == 4
    paint(sizes[0], 3)
    engine.close()
    assert machine.driver.left() == {}


@pytest.mark.parametrize("function", ["cuStreamBeginCapture_v2", "cuGraphInstantiateWithFlags"])
def test_what_cannot_be_recorded_is_painted_without(machine, plan, function):
    engine = TensorrtEngine.open(plan)
    machine.driver.broken[function] = fake.CAPTURE_UNSUPPORTED
    for number in range(4):
        x = noise((16, 16), number)
        assert np.array_equal(engine.run({"image": x})["styled"], 1 - x)
    assert machine.driver.launches == 0
    engine.close()
    assert machine.driver.left() == {}


@pytest.mark.parametrize("fails", [False, True])
def test_a_capture_that_is_spoiled_is_ended_and_forgotten(machine, plan, monkeypatch, fails):
    """By an allocation inside of it, which CUDA forbids; the library may notice itself or not."""
    engine, driver = TensorrtEngine.open(plan), machine.driver
    works = fake.Context.execute_async_v3

    def allocates(self, stream):
        if stream in driver.captures:
            assert driver.cuMemAlloc_v2(None, ctypes.c_size_t(8)) == fake.CAPTURE_UNSUPPORTED
            return not fails and works(self, stream)
        return works(self, stream)

    monkeypatch.setattr(fake.Context, "execute_async_v3", allocates)
    for number in range(4):
        x = noise((16, 16), number)
        assert np.array_equal(engine.run({"image": x})["styled"], 1 - x)
    assert driver.launches == 0 and driver.captures == {}
    engine.close()
    assert driver.left() == {}


def test_a_graph_that_paints_something_else_is_dropped(machine, plan, monkeypatch):
    engine = TensorrtEngine.open(plan)
    driver, launch = machine.driver, machine.driver._cuGraphLaunch

    def wrong(run, stream):
        launch(run, stream)

        def spoil():
            for block in driver.pinned.values():
                np.frombuffer(block, np.float32)[:] += 0.5

        driver.give(stream.value, spoil)

    driver.__dict__["cuGraphLaunch"] = lambda *args: wrong(*args) or 0
    for number in range(4):
        x = noise((16, 16), number)
        assert np.array_equal(engine.run({"image": x})["styled"], 1 - x)
    assert driver.launches == 1 and driver.graphs == {}
    engine.close()


def test_no_graphs_where_the_user_or_the_library_says_no(machine, plan, monkeypatch):
    monkeypatch.setenv("IMPASTO_CUDA_GRAPHS", "0")
    engine = TensorrtEngine.open(plan)
    for number in range(4):
        engine.run({"image": noise((16, 16), number)})
    engine.close()
    monkeypatch.delenv("IMPASTO_CUDA_GRAPHS")
    monkeypatch.setattr(
        fake.Context, "is_stream_capturable", lambda self, stream: False, raising=False
    )
    engine = TensorrtEngine.open(plan)
    for number in range(4):
        engine.run({"image": noise((16, 16), number)})
    engine.close()
    assert machine.driver.launches == 0


@pytest.mark.parametrize("graphs", [True, False])
def test_tensorrt_rtx_records_by_itself(machine, plan, monkeypatch, graphs):
    """It compiles on while it paints, and has a switch for graphs of its own."""
    monkeypatch.setattr(machine, "library", fake.rtx("1.7.1"))
    monkeypatch.setenv("IMPASTO_REBUILD", "1")
    engine = TensorrtEngine.open(plan, graphs=graphs)
    for number in range(4):
        x = noise((16, 16), number)
        assert np.array_equal(engine.run({"image": x})["styled"], 1 - x)
    assert machine.driver.launches == 0
    assert engine._engine.config.cuda_graph_strategy == int(graphs)
    engine.close()
    assert machine.driver.left() == {}


def test_contexts_that_find_no_room_take_that_of_other_sizes(machine, plan, monkeypatch):
    engine = TensorrtEngine.open(plan)
    engine.run({"image": noise((16, 16))})
    monkeypatch.setattr(fake.Context, "most", 1)
    x = noise((32, 32))
    assert np.array_equal(engine.run({"image": x})["styled"], 1 - x)
    assert len(machine.driver.memory) == 2
    engine.close()
    monkeypatch.setattr(fake.Context, "most", 0)
    with pytest.raises(StyleError, match="cannot be set up on NVIDIA Fake 4090"):
        TensorrtEngine.open(plan)
    assert machine.driver.left() == {}


def test_an_engine_that_fails_leaves_no_copy_under_way(machine, plan, monkeypatch):
    engine = TensorrtEngine.open(plan)
    engine.run({"image": noise((16, 16))})
    monkeypatch.setattr(fake.Context, "execute_async_v3", lambda self, stream: False)
    with pytest.raises(StyleError, match="the engine failed"):
        engine.run({"image": noise((16, 16))})
    assert all(works == [] for works in machine.driver.streams.values())
    engine.close()


def test_an_older_driver_paints_without_graphs(machine, plan, monkeypatch):
    monkeypatch.delattr(fake.Driver, "_cuGraphInstantiateWithFlags")
    engine = TensorrtEngine.open(plan)
    for number in range(3):
        x = noise((16, 16), number)
        assert np.array_equal(engine.run({"image": x})["styled"], 1 - x)
    engine.close()
    assert machine.driver.left() == {}


def test_a_size_it_was_not_built_for(machine, plan):
    engine = TensorrtEngine.open(plan)
    with pytest.raises(StyleError) as caught:
        engine.run({"image": np.zeros((1, 3, 128, 128), np.float32)})
    said = str(caught.value)
    assert "[1, 3, 128, 128]" in said and "8x8 to 64x64" in said and "\n" not in said
    with pytest.raises(StyleError, match=r"\[3, 8\]"):
        engine.run({"image": np.zeros((3, 8), np.float32)})
    engine.close()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"driver": fake.Driver("NVIDIA Fake A100", (8, 0))}, "capability 8.0"),
        ({"library": fake.library(version="11.5.0")}, "TensorRT 11.5.0"),
    ],
)
def test_built_for_a_and_this_is_b(machine, plan, monkeypatch, change, says):
    for key, value in change.items():
        setattr(machine, key, value)
    with pytest.raises(CardMismatch) as caught:
        TensorrtEngine.open(plan)
    said = str(caught.value)
    assert "built for NVIDIA Fake 4090 (compute capability 8.9), TensorRT 11.4.0" in said
    assert says in said.split("; this is ")[1] and "IMPASTO_REBUILD=1" in said
    assert "\n" not in said and "toy.engine" in said
    before = plan.read_bytes()
    monkeypatch.setenv("IMPASTO_REBUILD", "1")
    engine = TensorrtEngine.open(plan)
    assert (engine.run({"image": np.ones((1, 3, 8, 8), np.float32)})["styled"] == 0).all()
    engine.close()
    facts = read_facts(plan)
    assert facts.gpu == machine.driver.name and facts.version == machine.library.version
    assert facts.shapes == SHAPES and facts.precision == "fp16"
    assert (plan.read_bytes() == before) == ("driver" in change)
    monkeypatch.delenv("IMPASTO_REBUILD")
    TensorrtEngine.open(plan).close()


def test_the_other_library_is_there(machine, plan, monkeypatch):
    machine.library = fake.library("TensorRT-RTX", "1.7.1")
    with pytest.raises(EngineUnavailable, match="TensorRT is not installed"):
        TensorrtEngine.open(plan)
    monkeypatch.setenv("IMPASTO_REBUILD", "1")
    TensorrtEngine.open(plan).close()
    facts = read_facts(plan)
    assert facts.library == "TensorRT-RTX" and facts.compute_capability == ("8.6", "8.9", "12.0")


def test_rebuilding_needs_the_graph(machine, plan, monkeypatch):
    machine.library = fake.library(version="11.5.0")
    tensorrt_plan.graph_path(plan).unlink()
    with pytest.raises(CardMismatch, match="not beside it"):
        TensorrtEngine.open(plan)
    monkeypatch.setenv("IMPASTO_REBUILD", "1")
    with pytest.raises(CardMismatch, match="cannot be built anew"):
        TensorrtEngine.open(plan)


def test_another_gpu_of_the_same_kind(machine, plan):
    machine.driver = fake.Driver("NVIDIA Fake L4")
    engine = TensorrtEngine.open(plan)
    assert "NVIDIA Fake 4090" in engine.note and "NVIDIA Fake L4" in engine.note
    engine.close()


def test_a_damaged_file(machine, plan):
    plan.write_bytes(b"cut off")
    with pytest.raises(CardMismatch, match="not the file that its facts describe"):
        TensorrtEngine.open(plan)


def test_a_file_the_library_refuses(machine, plan):
    machine.library = fake.library(broken=("load",))
    with pytest.raises(CardMismatch) as caught:
        TensorrtEngine.open(plan)
    assert "wrong version" in str(caught.value)
    assert "cuDevicePrimaryCtxRelease_v2" in machine.driver.calls, "nothing stays open"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "needs"),
        ("words", "damaged"),
        ('{"format": 2}', "format 2"),
        ('{"format": 1}', "damaged"),
        ("[1]", "damaged"),
    ],
)
def test_facts_that_are_not(machine, plan, text, says):
    path = tensorrt_plan.facts_path(plan)
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(CardMismatch, match=says):
        TensorrtEngine.open(plan)


def test_devices(machine, plan):
    with pytest.raises(UsageError, match="abacus"):
        TensorrtEngine.open(plan, "abacus")
    with pytest.raises(EngineUnavailable, match="NVIDIA GPUs only"):
        TensorrtEngine.open(plan, "cpu")
    with pytest.raises(EngineUnavailable, match=r"cuda:1.* 1 NVIDIA GPU"):
        TensorrtEngine.open(plan, "cuda:1")
    with pytest.raises(CardMismatch, match="not graphs"):
        TensorrtEngine.open(b"bytes", "cuda")


def test_no_driver(monkeypatch):
    def absent(name):
        raise OSError(name)

    monkeypatch.setattr(_cuda.ctypes, "CDLL", absent)
    with pytest.raises(EngineUnavailable, match="no NVIDIA driver here"):
        Cuda()
    assert builder.find_gpu() is None


def test_a_driver_without_a_gpu():
    driver = fake.Driver()
    driver.broken["cuInit"] = 100
    with pytest.raises(EngineUnavailable, match="fake error 100"):
        Cuda(library=driver)
    assert Cuda(library=fake.Driver()).gpu == Gpu(0, "NVIDIA Fake 4090", "8.9", "13.2")


def test_out_of_memory_is_one_line(machine, plan):
    engine = TensorrtEngine.open(plan)
    machine.driver.broken["cuMemAlloc_v2"] = 2
    with pytest.raises(StyleError, match=r"cuMemAlloc_v2: fake error 2"):
        engine.run({"image": np.zeros((1, 3, 8, 8), np.float32)})
    machine.driver.broken.clear()
    engine.close()
    assert machine.driver.left() == {}


@pytest.mark.parametrize(("flags", "network"), [((), "network 0"), (("FP16", "INT8"), "network 2")])
def test_precision_comes_from_the_graph(machine, tmp_path, flags, network):
    """TensorRT 10 is asked for strong typing, TensorRT 11 knows nothing else."""
    library = fake.library(version="10.13.3" if flags else "11.4.0", flags=flags)
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"good")
    build_plan(graph, tmp_path / "a.engine", REQUEST, library, lambda text: None)
    log = library.module.log
    assert log[0] == network and "no TF32" in log
    assert f"profile {SHAPES}" in log


def test_timings_are_kept_for_the_next_build(machine, tmp_path):
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"good")
    for _ in range(2):
        build_plan(graph, tmp_path / "a.engine", REQUEST, machine.library, lambda text: None)
    told = [line for line in machine.library.module.log if line.startswith("timing")]
    assert told == ["timing b''", "timing b'k'"]
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["tensorrt-11.4.0-8.9.timing"]
    # TensorRT-RTX measures nothing, and would ask for a GPU.
    library = fake.library("TensorRT-RTX")
    build_plan(graph, tmp_path / "b.engine", REQUEST, library, lambda text: None)
    assert not any(line.startswith("timing") for line in library.module.log)


def test_compiled_kernels_are_kept_for_the_next_start(machine, plan, tmp_path, monkeypatch):
    machine.library = fake.library("TensorRT-RTX", "1.7.1")
    monkeypatch.setenv("IMPASTO_REBUILD", "1")
    TensorrtEngine.open(plan).close()
    (kept,) = (tmp_path / "cache").glob("kernels-*.bin")
    assert kept.read_bytes() == b"k"
    TensorrtEngine.open(plan).close()
    assert kept.read_bytes() == b"kk"
    kept.unlink()
    kept.mkdir()  # cannot be written: only slower
    TensorrtEngine.open(plan).close()


def test_building_for_another_gpu(machine, tmp_path):
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(b"good")
    plan = tmp_path / "a.engine"
    rtx = fake.library("TensorRT-RTX", "1.7.1")
    facts = build_plan(graph, plan, PlanRequest("fp16", {}, "7.5"), rtx, lambda text: None)
    assert facts.compute_capability == ("7.5",) and facts.gpu == ""
    assert "for 75" in rtx.module.log
    with pytest.raises(UsageError, match=r"7\.5, 8\.6, 8\.9, 12\.0"):
        build_plan(graph, plan, PlanRequest("fp16", {}, "9.0"), rtx, lambda text: None)
    with pytest.raises(UsageError, match="only TensorRT-RTX"):
        build_plan(graph, plan, PlanRequest("fp16", {}, "8.9"), machine.library, print)
    machine.driver.broken["cuInit"] = 100
    with pytest.raises(EngineUnavailable, match="TensorRT-RTX builds anywhere"):
        build_plan(graph, plan, REQUEST, machine.library, print)


def test_what_the_library_says_is_quoted(machine, tmp_path):
    graph, plan = tmp_path / "graph.onnx", tmp_path / "a.engine"
    graph.write_bytes(b"bad")
    with pytest.raises(StyleError, match="cannot read the graph: conv: is odd"):
        build_plan(graph, plan, REQUEST, machine.library, print)
    graph.write_bytes(b"good")
    with pytest.raises(StyleError, match="cannot build this graph: no kernel fits"):
        build_plan(graph, plan, REQUEST, fake.library(broken=("build",)), print)
    assert not plan.exists() and not tensorrt_plan.facts_path(plan).exists()


def test_progress_and_interruption(machine, tmp_path, monkeypatch):
    graph, plan = tmp_path / "graph.onnx", tmp_path / "a.engine"
    graph.write_bytes(b"good")
    plan.write_bytes(b"older")
    monkeypatch.setattr(
        builder, "make_monitor", lambda trt, tell: make_monitor(trt, tell, pause=0.0)
    )
    told: list[str] = []
    build_plan(graph, plan, REQUEST, machine.library, told.append)
    assert told[0] == "building: building engine, 25 %" and told[-1].endswith("100 %")
    before = plan.read_bytes()

    def interrupted(text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(graph, plan, REQUEST, machine.library, interrupted)
    assert plan.read_bytes() == before
    assert sorted(p.name for p in tmp_path.glob("*.engine*")) == ["a.engine", "a.engine.json"]


def test_a_library_without_progress(machine):
    module = machine.library.module
    del module.IProgressMonitor
    assert make_monitor(module, print) is None


def test_mismatch_looks_at_version_and_capability():
    facts = PlanFacts("TensorRT", "11.4.0", "13", "A", ("8.9",), "fp16")
    library = fake.library()
    assert mismatch(facts, library, Gpu(0, "B", "8.9", "13.0")) == ""
    assert "compute capability 9.0" in mismatch(facts, library, Gpu(0, "B", "9.0", "13.0"))
    assert "11.3.0" in mismatch(facts, fake.library(version="11.3.0"), Gpu(0, "B", "8.9", "13.0"))


def test_an_engine_file_is_found_by_its_suffix(plan):
    assert formats.choose(plan) == "tensorrt" and formats.is_model(plan)
    graph = tensorrt_plan.graph_path(plan)
    assert graph.is_file() and not formats.is_model(graph), "it is a part of the engine file"
    tensorrt_plan.facts_path(plan).unlink()
    assert not formats.is_model(plan)
