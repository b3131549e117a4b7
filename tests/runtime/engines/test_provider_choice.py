"""Provider truth with an ONNX Runtime that claims more than it can: what is asked for, what starts,
what is said, and what an engine's cache is named after."""

import sys
import types

import numpy as np
import pytest

from runtime.card import FOLDING_KEY
from runtime.engines import TensorInfo, _cache, _provider_choice
from runtime.engines._cuda import Gpu
from runtime.engines._provider_choice import CPU, CUDA, TENSORRT, cache_key, choose
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.errors import EngineUnavailable, UsageError

GPU = Gpu(0, "NVIDIA RTX 4090", "8.9", "13.0")
FIXED, FREE = (1, 3, 8, 8), (1, 3, "H", "W")


class FakeRuntime(types.ModuleType):
    """Lists the providers of the GPU wheel; those in `starting` work, the others fall back."""

    __version__ = "1.99.0"

    def __init__(self, starting=(), shape=FREE, refusing=()):
        super().__init__("onnxruntime")
        self.starting, self.shape, self.refusing = {CPU, *starting}, shape, refusing
        self.asked, self.metadata = [], {}

    class SessionOptions:
        log_severity_level = intra_op_num_threads = 0

        def add_session_config_entry(self, key, value):
            pass

    def set_default_logger_severity(self, level):
        pass

    def get_available_providers(self):
        return [TENSORRT, CUDA, CPU]

    def InferenceSession(self, source, options=None, providers=()):
        probing = isinstance(source, bytes)
        names = [name if isinstance(name, str) else name[0] for name in providers]
        if not probing:
            self.asked.append(providers)
            if names[0] in self.refusing:
                raise RuntimeError("unsupported operator")
        active = [name for name in names if name in self.starting] or [CPU]
        value = types.SimpleNamespace(name="image", shape=self.shape, type="tensor(float)")
        meta = types.SimpleNamespace(custom_metadata_map=self.metadata)
        return types.SimpleNamespace(
            get_providers=lambda: active,
            get_inputs=lambda: [value],
            get_outputs=lambda: [value],
            get_modelmeta=lambda: meta,
            run=lambda _, feeds: [np.maximum(feeds["x"], 0)],
        )


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Opens a model on a fake runtime; gives runtime and engine."""
    monkeypatch.setenv(_cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv("IMPASTO_GPU_PLAIN", "1")  # what a GPU is used with: test_cuda_lane.py
    monkeypatch.setattr(_provider_choice, "_gpu", lambda number: GPU)
    monkeypatch.setattr(_provider_choice, "_version", lambda: "10.9")
    model = tmp_path / "a.onnx"
    model.write_bytes(b"model")

    def go(device="auto", **facts):
        fake = FakeRuntime(**facts)
        monkeypatch.setitem(sys.modules, "onnxruntime", fake)
        return fake, OnnxRuntimeEngine.open(model, device)

    return go


def first(providers):
    return providers[0] if isinstance(providers[0], str) else providers[0][0]


def test_auto_without_a_gpu_takes_the_cpu_and_says_why(opened):
    fake, engine = opened()
    assert [first(asked) for asked in fake.asked] == [CPU]  # nothing doomed was even tried
    assert engine.device == "cpu"
    assert "fell back" in engine.note and "running on the CPU" in engine.note


def test_auto_takes_cuda_where_it_starts(opened):
    fake, engine = opened(starting=(CUDA,))
    assert (engine.device, engine.note) == ("cuda:0", "")
    assert [first(asked) for asked in fake.asked] == [CUDA]


def test_auto_takes_tensorrt_for_one_size_announces_the_build_and_keeps_it(
    opened, tmp_path, capsys
):
    fake, engine = opened(starting=(CUDA, TENSORRT), shape=FIXED)
    assert engine.device == "cuda:0" and "TensorRT" in engine.note
    assert first(fake.asked[-1]) == TENSORRT
    options = fake.asked[-1][0][1]
    assert options["trt_engine_cache_enable"] is True
    assert "building a TensorRT engine for NVIDIA RTX 4090" in capsys.readouterr().err
    (folder,) = (tmp_path / "cache" / "onnxruntime").iterdir()
    assert options["trt_engine_cache_path"] == str(folder)
    (folder / "kept.engine").write_bytes(b"engine")
    opened(starting=(CUDA, TENSORRT), shape=FIXED)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "facts",
    [
        {"starting": (CUDA, TENSORRT), "shape": FREE},  # it would build again at each size
        {"starting": (CUDA,), "shape": FIXED},  # it does not start
    ],
)
def test_tensorrt_is_not_tried_where_it_does_not_start_or_suit(opened, facts):
    fake, engine = opened(**facts)
    assert engine.device == "cuda:0" and "TensorRT" not in engine.note
    assert [first(asked) for asked in fake.asked] == [CUDA]


def test_a_graph_that_tensorrt_refuses_stays_on_cuda(opened):
    _, engine = opened(starting=(CUDA, TENSORRT), shape=FIXED, refusing=(TENSORRT,))
    assert engine.device == "cuda:0"
    assert "unsupported operator" in engine.note and "running on CUDA" in engine.note


def test_models_folded_for_each_scene_are_not_built_for_each_scene():
    fake = FakeRuntime(starting=(CUDA, TENSORRT))
    info = TensorInfo("image", FIXED, "uint8")
    assert _provider_choice.tensorrt(fake, 0, [info], {FOLDING_KEY: "{}"}, "0" * 64) is None


def test_an_explicit_cuda_that_falls_back_is_an_error(opened):
    with pytest.raises(EngineUnavailable, match="fell back") as caught:
        opened("cuda")
    assert caught.value.exit_code == 3
    fake, engine = opened("cuda", starting=(CUDA, TENSORRT), shape=FIXED)
    assert [first(asked) for asked in fake.asked] == [CUDA]  # what was asked for, no more
    assert engine.device == "cuda:0"


def test_devices():
    with pytest.raises(UsageError, match="unknown"):
        choose(FakeRuntime(), "tpu")
    assert choose(FakeRuntime(starting=(CUDA,)), "cpu") == ([CPU], "")


def test_the_key_of_a_kept_engine_changes_with_everything_it_depends_on():
    base = ("a" * 64, GPU, "10.9", "1.99.0")
    other = (
        ("b" * 64, Gpu(0, "NVIDIA L4", "8.9", "13.0"), "10.10", "2.0.0"),
        ("b" * 64, Gpu(0, GPU.name, "9.0", "13.0"), "10.10", "2.0.0"),
        ("b" * 64, Gpu(0, GPU.name, "8.9", "13.1"), "10.10", "2.0.0"),
    )
    keys = {cache_key(*base)}
    for row in other:
        for place in range(4):
            keys.add(cache_key(*base[:place], row[place], *base[place + 1 :]))
    assert len(keys) == 1 + 3 + 3  # digest, two versions; three other GPUs
    assert all("/" not in key and " " not in key for key in keys)


def test_an_engine_that_cannot_be_named_is_not_kept(monkeypatch, capsys):
    monkeypatch.setattr(_provider_choice, "_gpu", lambda number: None)
    assert _provider_choice._options(FakeRuntime(), 1, "0" * 64) == {"device_id": 1}
    assert "cannot be kept" in capsys.readouterr().err
