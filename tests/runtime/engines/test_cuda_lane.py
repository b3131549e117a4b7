"""ONNX Runtime's way to a GPU, on a GPU that exists in memory only: the real models' pictures, the
contract of streams, page-locked memory and CUDA graphs, and what happens where they fail."""

import inspect
import sys
import threading

import numpy as np
import pytest

from runtime.engines import _cache, _cuda, _provider_choice
from runtime.engines._cuda_lane import GRAPHS, SIZES
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from tests.runtime.engines import fake_cuda_runtime
from tests.runtime.engines import fake_gpu as fake


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a GPU; `machine.runtime` may be replaced before an engine is opened."""

    class Machine:
        driver = fake.Driver()

        def use(self, **facts):
            self.runtime = fake_cuda_runtime.FakeCudaRuntime(lambda: self.driver, **facts)
            monkeypatch.setitem(sys.modules, "onnxruntime", self.runtime)
            _provider_choice._why_not.cache_clear()

    here = Machine()
    here.use()
    monkeypatch.setattr(_cuda, "_load", lambda: here.driver)
    monkeypatch.setenv(_cache.VARIABLE, str(tmp_path / "cache"))
    for name in ("IMPASTO_GPU_PLAIN", "IMPASTO_CUDA_GRAPHS"):
        monkeypatch.delenv(name, raising=False)
    yield here
    _provider_choice._why_not.cache_clear()
    assert here.driver.misuses == []
    assert here.driver.left() == {}


@pytest.fixture
def engine(machine, invert_model):
    opened = OnnxRuntimeEngine.open(invert_model, "cuda")
    yield opened
    opened.close()


def noise(size, seed=0):
    return np.random.default_rng(seed).random((1, 3, *size), np.float32)


def check(engine, size, seed=0):
    x = noise(size, seed)
    assert np.allclose(engine.run({"image": x})["styled"], 1 - x, atol=1e-6)


def test_from_the_third_picture_of_a_size_on_a_graph_is_launched(machine, engine):
    assert engine.device == "cuda:0" and engine.note == ""
    told = machine.runtime.sessions[-1]
    assert told["enable_cuda_graph"] == "1" and int(told["user_compute_stream"]) in (
        machine.driver.streams
    )
    for number in range(6):
        check(engine, (16, 24), number)
    assert machine.runtime.recorded == 1
    assert machine.runtime.launched == 1 + 4, "once to compare, then one a picture"
    machine.driver.calls.clear()
    check(engine, (16, 24), 9)
    assert [name for name in machine.driver.calls if name != "cuCtxSetCurrent"] == [
        "cuMemcpyHtoDAsync_v2",
        "cuMemcpyDtoHAsync_v2",
        "cuStreamSynchronize",
    ]


def test_answers_are_the_callers_own(engine):
    first = engine.run({"image": noise((8, 8), 1)})["styled"]
    kept = first.copy()
    for number in range(4):
        check(engine, (8, 8), number)
    assert np.array_equal(first, kept)


def test_arrays_of_any_order_in_memory(engine):
    x = noise((16, 24))
    for _ in range(4):
        assert np.allclose(
            engine.run({"image": x[..., ::-1]})["styled"], 1 - x[..., ::-1], atol=1e-6
        )


def test_sizes_take_turns_and_the_oldest_goes(machine, engine):
    sizes = [(8 * k, 8 * k + 8) for k in range(1, SIZES + 3)]
    for seed in range(3):
        for size in sizes[:SIZES]:
            check(engine, size, seed)
    assert machine.runtime.recorded == SIZES
    for size in sizes[SIZES:]:
        for seed in range(3):
            check(engine, size, seed)
    assert machine.runtime.recorded == SIZES + 2
    assert len(machine.driver.memory) == 2 * SIZES
    check(engine, sizes[0])
    check(engine, sizes[0])
    assert machine.runtime.recorded == SIZES + 3, "its memory is another one, so its graph is"


def test_a_session_records_a_limited_number_of_graphs(machine, engine):
    for k in range(1, GRAPHS + 4):
        for seed in range(3):
            check(engine, (8, 8 * k), seed)
    assert machine.runtime.recorded == GRAPHS


def test_another_thread_records_its_own(machine, engine):
    for seed in range(3):
        check(engine, (8, 8), seed)
    failed = []

    def paint():
        try:
            for seed in range(3):
                check(engine, (8, 8), seed)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=paint)
    thread.start()
    thread.join()
    assert failed == [] and machine.runtime.recorded == 2


def test_models_that_cannot_be_recorded_are_painted_without(machine, invert_model):
    machine.use(refuses_graphs=True)
    engine = OnnxRuntimeEngine.open(invert_model, "cuda")
    assert "without CUDA graphs" in engine.note and "control flow" in engine.note
    assert "\n" not in engine.note
    assert "enable_cuda_graph" not in machine.runtime.sessions[-1]
    for seed in range(4):
        check(engine, (8, 8), seed)
    assert machine.runtime.recorded == 0
    engine.close()


def test_a_graph_that_paints_something_else_is_not_used(machine, engine):
    machine.runtime.spoils = True
    for seed in range(5):
        check(engine, (16, 16), seed)
    assert machine.runtime.recorded == 1 and machine.runtime.launched == 0
    check(engine, (24, 24))
    check(engine, (24, 24))
    assert machine.runtime.recorded == 1, "nor any other of this session"


@pytest.mark.parametrize("function", ["cuMemAlloc_v2", "cuMemAllocHost_v2", "cuMemcpyHtoDAsync_v2"])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_what_the_driver_refuses_is_left_to_onnx_runtime(machine, engine, capsys, function, after):
    for seed in range(after):
        check(engine, (16, 16), seed)
    machine.driver.broken[function] = 2
    check(engine, (24, 16), 7)
    machine.driver.broken.clear()
    check(engine, (16, 16), 8)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and f"refused {function}" in said[0]
    assert machine.driver.memory == machine.driver.pinned == {}


def test_no_driver_of_its_own(machine, invert_model, monkeypatch):
    """As in a container that brings ONNX Runtime's libraries and hides the driver's."""

    def absent():
        raise _cuda.EngineUnavailable("no NVIDIA driver here")

    monkeypatch.setattr(_cuda, "_load", absent)
    engine = OnnxRuntimeEngine.open(invert_model, "cuda")
    assert engine.note == "copies are left to ONNX Runtime: no NVIDIA driver here"
    for seed in range(3):
        check(engine, (8, 8), seed)
    engine.close()


@pytest.mark.parametrize(
    ("variable", "value", "option"),
    [("IMPASTO_GPU_PLAIN", "1", None), ("IMPASTO_CUDA_GRAPHS", "0", "user_compute_stream")],
)
def test_switches(machine, invert_model, monkeypatch, variable, value, option):
    monkeypatch.setenv(variable, value)
    engine = OnnxRuntimeEngine.open(invert_model, "cuda")
    told = machine.runtime.sessions[-1]
    assert "enable_cuda_graph" not in told and ("user_compute_stream" in told) == (
        option is not None
    )
    for seed in range(3):
        check(engine, (8, 8), seed)
    assert machine.runtime.recorded == 0 and engine.note == ""
    engine.close()


def test_a_session_that_fails_leaves_no_copy_under_way(machine, engine):
    check(engine, (16, 16))

    def fails(*_):
        raise RuntimeError("out of memory")

    engine._session.run_with_iobinding = fails
    with pytest.raises(Exception, match="not enough memory"):
        engine.run({"image": noise((16, 16))})
    assert all(works == [] for works in machine.driver.streams.values())


def test_auto_takes_the_gpu(machine, invert_model):
    engine = OnnxRuntimeEngine.open(invert_model)
    assert engine.device == "cuda:0"
    check(engine, (8, 8))
    engine.close()
    machine.use(providers=("CPUExecutionProvider",))
    engine = OnnxRuntimeEngine.open(invert_model)
    assert engine.device == "cpu"
    engine.close()


@pytest.mark.parametrize(
    "name", ["bind_cpu_input", "bind_input", "bind_output", "copy_outputs_to_cpu"]
)
def test_the_fake_takes_what_the_real_one_takes(name):
    import onnxruntime

    real, ours = (
        inspect.signature(getattr(kind, name)).parameters
        for kind in (onnxruntime.IOBinding, fake_cuda_runtime.Binding)
    )
    assert len(ours) == len(real)
    for (word, entry), (fake_word, fake_entry) in zip(real.items(), ours.items(), strict=True):
        assert (
            word in ("arr_on_cpu",) or word == fake_word
        ) and entry.default == fake_entry.default


def test_the_real_binding_takes_addresses(invert_model):
    """On the CPU, where memory has addresses, too."""
    import onnxruntime

    session = onnxruntime.InferenceSession(invert_model, providers=["CPUExecutionProvider"])
    binding, x = session.io_binding(), noise((8, 16))
    y = np.empty_like(x)
    for bind, name, array in ((binding.bind_input, "image", x), (binding.bind_output, "styled", y)):
        bind(name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", "-1")
    session.run_with_iobinding(binding, options)
    assert np.allclose(y, 1 - x, atol=1e-6)
    # Bound once without memory, as for the first picture, a name can be bound again with it.
    binding.bind_output("styled", "cpu", 0)
    session.run_with_iobinding(binding, options)
    (made,) = binding.copy_outputs_to_cpu()
    y[:] = 0
    binding.bind_output("styled", "cpu", 0, y.dtype.type, y.shape, y.ctypes.data)
    session.run_with_iobinding(binding, options)
    assert np.array_equal(made, y)


def test_a_damaged_file_gives_the_gpu_back(machine, tmp_path):
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(Exception, match=r"bad\.onnx"):
        OnnxRuntimeEngine.open(path, "cuda")
