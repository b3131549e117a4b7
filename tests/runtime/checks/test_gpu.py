"""The GPU's self-test: what it says is what the device did; without one, one line and exit 3."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from runtime import doctor
from runtime.checks import gpu, gpu_ways
from runtime.engines import _cache, _cuda, _provider_choice
from runtime.engines.tensorrt import library as tensorrt_library
from runtime.errors import GATE_REFUSED, UNAVAILABLE, EngineUnavailable
from tests.runtime.engines import fake_cuda_runtime
from tests.runtime.engines import fake_gpu as fake

MODEL = Path(__file__).resolve().parents[3] / "models" / "starry-fast-fp32.onnx"
SIZES = ((64, 48), (96, 64))


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a GPU that exists in memory only, and without TensorRT."""
    driver = fake.Driver()
    runtime = fake_cuda_runtime.FakeCudaRuntime(lambda: driver)
    runtime.gpu = driver
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setattr(_cuda, "_load", lambda: driver)
    monkeypatch.setattr(tensorrt_library, "installed", list)
    monkeypatch.setattr(gpu, "COMPARED", (64, 48))
    monkeypatch.setattr(gpu, "SIZES", SIZES)
    monkeypatch.setattr(gpu.self_test, "__defaults__", ("cuda", SIZES, 0.01))
    monkeypatch.setenv(_cache.VARIABLE, str(tmp_path / "cache"))
    for name in ("IMPASTO_GPU_PLAIN", "IMPASTO_CUDA_GRAPHS"):
        monkeypatch.delenv(name, raising=False)
    _provider_choice._why_not.cache_clear()
    yield runtime
    _provider_choice._why_not.cache_clear()
    assert driver.misuses == [] and driver.left() == {}


def test_what_a_device_does_is_told(monkeypatch):
    """The CPU stands in for the GPU: it paints as itself."""
    monkeypatch.setattr(gpu, "COMPARED", (64, 48))
    page = gpu.self_test(MODEL, "cpu", SIZES, 0.01)
    (way,) = page.facts["ways"]
    assert page.alike and way["psnr_db"] is None  # the same bytes
    assert way["way"] == way["device"] == "cpu" and way["graphs"] == 0
    assert [one["size"] for one in way["sizes"]] == ["64x48", "96x64"]
    for one in way["sizes"]:
        assert one["samples"] >= 1
        assert one["fps"] == pytest.approx(1000 / one["mean_ms"], rel=0.01)
    assert page.facts["gpu"] is None and len(page.facts["sha256"]) == 64
    assert "h264_nvenc" in page.facts["encoders"] and "nvdec (cuda)" in page.facts["decoders"]
    assert "64x48" in "\n".join(page.lines)
    json.dumps(page.facts)


def test_every_way_is_tried_and_what_is_missing_is_said(machine):
    page = gpu.self_test(MODEL)
    found = {way["way"]: way for way in page.facts["ways"]}
    assert list(found) == [
        *("cuda fp32 plain", "cuda fp32 stream", "cuda fp32 graphs"),
        *("tensorrt stream", "tensorrt graphs"),
    ]
    graphs = {name: way.get("graphs") for name, way in found.items()}
    assert graphs["cuda fp32 plain"] == graphs["cuda fp32 stream"] == 0
    assert graphs["cuda fp32 graphs"] == 2, "one for each size"
    assert "TensorRT is not installed" in found["tensorrt graphs"]["error"]
    assert all(found[name]["psnr_db"] is None for name in list(found)[:3]) and page.alike
    assert page.facts["gpu"]["name"] == "NVIDIA Fake 4090"
    text = "\n".join(page.lines)
    assert "starry-fast-fp16.onnx is not there" in text and "2 graphs" in text
    assert machine.sessions[0].get("user_compute_stream") is None, "plain is plain"


def test_a_half_file_beside_it_is_tried(machine, tmp_path):
    for name in ("a-fp32.onnx", "a-fp16.onnx"):
        (tmp_path / name).write_bytes(MODEL.read_bytes())
    page = gpu.self_test(tmp_path / "a-fp32.onnx")
    names = [way["way"] for way in page.facts["ways"]]
    assert [name for name in names if "fp16" in name] == [
        *("cuda fp16 plain", "cuda fp16 stream", "cuda fp16 graphs")
    ]
    assert page.facts["half"] == "a-fp16.onnx"


def test_the_report_is_written_and_the_switches_are_as_before(
    machine, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("IMPASTO_CUDA_GRAPHS", "0")
    path = tmp_path / "gpu.json"
    command = ["--gpu", "--model", str(MODEL), "--report", str(path)]
    assert doctor.main(command) == 0
    facts = json.loads(path.read_text())
    assert len(facts["ways"]) == 5 and facts["versions"]["numpy"] == np.__version__
    assert str(path) in capsys.readouterr().err
    import os

    assert os.environ["IMPASTO_CUDA_GRAPHS"] == "0" and "IMPASTO_GPU_PLAIN" not in os.environ
    assert doctor.main(command) != 0  # it is there
    assert "--overwrite" in capsys.readouterr().err


def test_a_way_that_paints_another_picture_fails_the_test(machine, monkeypatch):
    from runtime.model.session import StyleSession

    stylize = StyleSession.stylize

    def wrong(self, image, **conditions):
        return stylize(self, image, **conditions) // 2

    def spoiled(model, device, switches):
        for session in opened(model, device, switches):
            if switches == gpu_ways.SWITCHES["graphs"]:
                session.stylize = wrong.__get__(session)
            yield session

    opened = gpu_ways._opened
    monkeypatch.setattr(gpu_ways, "_opened", spoiled)
    assert doctor.main(["--gpu", "--model", str(MODEL)]) == GATE_REFUSED


def test_a_library_that_raises_anything_is_a_line(machine, monkeypatch):
    def broken(*_):
        raise MemoryError("no more\nof it")

    monkeypatch.setattr(tensorrt_library, "installed", broken)
    page = gpu.self_test(MODEL)
    assert page.facts["ways"][-1]["error"] == "no more of it"
    machine.providers = ("CPUExecutionProvider",)
    with pytest.raises(EngineUnavailable, match=r"no way to cuda works.*onnxruntime-gpu"):
        gpu.self_test(MODEL)


def test_an_engine_is_built_for_the_sizes_that_are_timed(machine, monkeypatch, tmp_path):
    from runtime.engines.tensorrt import builder

    asked = []

    def build(graph, plan, request, library, tell):
        asked.append((graph, request))
        plan.write_bytes(b"engine")

    monkeypatch.setattr(builder, "build_plan", build)
    monkeypatch.setattr(tensorrt_library, "installed", lambda: ["TensorRT"])
    monkeypatch.setattr(tensorrt_library, "load", lambda label: None)
    plan = tmp_path / "a.engine"
    gpu_ways._build(MODEL, plan, ((1280, 720), (3840, 2160)))
    ((graph, request),) = asked
    assert graph == MODEL and request.precision == "fp32"
    assert request.shapes == {
        "image": ((1, 3, 64, 64), (1, 3, 720, 1280), (1, 3, 2160, 3840)),
    }
    assert (tmp_path / "a.engine.card.json").is_file()


def test_likeness_by_hand():
    picture = np.zeros((4, 4, 3), np.uint8)
    assert gpu.likeness(picture, picture) == float("inf")
    assert gpu.likeness(picture, picture + 255) == pytest.approx(0)
    assert gpu.likeness(picture, picture + 3) == pytest.approx(38.59, abs=0.01)


def test_without_a_gpu_one_line_says_so(capsys, tmp_path):
    try:
        _cuda.Cuda().close()
    except EngineUnavailable:
        path = tmp_path / "gpu.json"
        command = ["--gpu", "--model", str(MODEL), "--report", str(path)]
        assert doctor.main(command) == UNAVAILABLE and not path.exists()
        error = capsys.readouterr().err.strip().splitlines()
        assert "there is nothing to try: no NVIDIA" in error[-1]
    else:
        pytest.skip("a GPU is here")


def test_a_report_of_nothing_is_refused(capsys):
    assert doctor.main(["--report", "gpu.json"]) == 2
    assert "--gpu" in capsys.readouterr().err
