"""The doctor: what it finds is tried, not believed; rivals, damage and absence are told apart."""

import builtins
import json
import subprocess
import sys
import types

import numpy as np
import onnx
import pytest

from runtime import doctor, engines, plugins
from runtime.checks import machine
from runtime.engines import _cuda, _starts
from runtime.errors import DONE, UNAVAILABLE, EngineUnavailable
from runtime.sources._v4l2 import Camera, Mode


def names(found, status=None):
    return {c.name for c in found if status is None or c.status == status}


def test_a_healthy_install_is_healthy(capfd):
    assert doctor.main([]) == DONE
    out, err = capfd.readouterr()
    for word in ("packages", "engine", "encoders", "cameras", "CPU: runs a test model"):
        assert word in out
    assert "broken" not in out
    assert err == ""  # the encoders' banners are swallowed


def test_json_is_one_object(capfd):
    assert doctor.main(["--json"]) == DONE
    found = json.loads(capfd.readouterr().out)
    assert found["ok"] is True
    assert found["cores"] >= 1
    entry = next(check for check in found["checks"] if check["name"] == "h264")
    assert entry["status"] in ("ok", "optional")
    assert {"group", "name", "status", "detail", "mend"} == set(entry)
    assert all(check["mend"] for check in found["checks"] if check["status"] != "ok")


@pytest.mark.parametrize(
    ("installed", "broken"),
    [
        ({"onnxruntime", "opencv-python-headless"}, set()),
        ({"onnxruntime", "onnxruntime-gpu"}, {"onnxruntime wheels"}),
        (
            {"onnxruntime-gpu", "opencv-python", "opencv-python-headless"},
            {"cv2 wheels"},
        ),
    ],
)
def test_wheels_that_overwrite_each_other(installed, broken):
    found = list(machine.check_rivals(lambda: installed))
    assert names(found, "broken") == broken
    for check in found:
        if check.status == "broken":
            assert "pip uninstall -y" in check.mend


def test_a_missing_library_is_broken_with_its_pip_line(monkeypatch):
    real = builtins.__import__

    def refuse(name, *rest):
        if name == "onnxruntime":
            raise ImportError("No module named onnxruntime")
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(builtins, "__import__", refuse)
    found = {check.name: check for check in machine.check_packages()}
    assert found["ONNX Runtime"].status == "broken"
    assert "pip install onnxruntime" in found["ONNX Runtime"].mend
    assert found["numpy"].status == "ok"


def test_what_breaks_while_it_is_asked_is_a_finding(monkeypatch):
    def check_engine():
        raise RuntimeError("libcuda is cursed")
        yield

    monkeypatch.setattr(machine, "check_engine", check_engine)
    monkeypatch.setattr(machine, "check_encoders", lambda: iter(()))
    found = [check for check in machine.run_checks() if check.group == "engine"]
    assert "libcuda is cursed" in found[0].detail
    monkeypatch.setattr(machine, "run_checks", lambda: found)
    assert doctor.main([]) == UNAVAILABLE


def test_damaged_onnxruntime_is_told_from_a_missing_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))
    (found,) = machine.check_engine()
    assert found.status == "broken"
    assert "overwrote" in found.detail


class FakeRuntime:
    """An onnxruntime whose CUDA provider is listed and does what the test says."""

    class SessionOptions:
        log_severity_level = 2

    def __init__(self, behavior):
        self.behavior = behavior

    def get_available_providers(self):
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, model, options, providers):
        print("*************** EP Error ***************")
        if self.behavior == "raises":
            raise RuntimeError("CUDA failure 35: driver too old")
        active = "CPUExecutionProvider" if self.behavior == "falls back" else providers[0][0]
        wrong = self.behavior == "computes nonsense"
        return types.SimpleNamespace(
            get_providers=lambda: [active],
            run=lambda _, feeds: [feeds["x"] if wrong else np.maximum(feeds["x"], 0)],
        )


@pytest.mark.parametrize(
    ("behavior", "words"),
    [
        ("works", None),
        ("falls back", "fell back to CPU"),
        ("raises", "driver too old"),
        ("computes nonsense", "wrong results"),
    ],
)
def test_a_provider_is_what_it_does(behavior, words, capsys):
    reason = _starts.why_not(FakeRuntime(behavior), "CUDAExecutionProvider")
    assert (reason is None) if words is None else words in reason
    assert capsys.readouterr().out == ""  # the banner is swallowed


@pytest.mark.parametrize("reason", ["", "no NVIDIA driver"])
def test_an_engine_for_gpus_only_is_missing_without_one(monkeypatch, reason):
    class Gpu:
        def __init__(self):
            if reason:
                raise EngineUnavailable(reason)

        def close(self):
            pass

    monkeypatch.setattr(_cuda, "Cuda", Gpu)
    monkeypatch.setattr(plugins, "names", lambda _: ["tensorrt"])
    monkeypatch.setattr(engines, "why_not", lambda _: "")
    monkeypatch.setattr(engines, "library_of", lambda _: "numpy")
    (found,) = machine.check_engines()
    assert found.status == ("optional" if reason else "ok")
    assert reason in found.detail


def test_the_probe_model_is_valid_onnx():
    model = onnx.load_from_string(_starts.probe_model())
    onnx.checker.check_model(model, full_check=True)
    import onnxruntime as ort

    assert _starts.why_not(ort, "CPUExecutionProvider") is None
    assert "not part of" in (_starts.why_not(ort, "NoSuchExecutionProvider") or "")


def test_cameras_with_their_modes(monkeypatch):
    cameras = [
        Camera(0, "HD Cam", (Mode("MJPG", 1280, 720, 30.0), Mode("YUYV", 640, 480, 30.0))),
        Camera(1, "/dev/video1", problem="no permission: sudo usermod -aG video $USER"),
    ]
    monkeypatch.setattr("runtime.sources._v4l2.list_cameras", lambda: cameras)
    monkeypatch.setattr(sys, "platform", "linux")
    good, bad = machine.check_cameras()
    assert good.detail == "HD Cam: MJPG 1280x720@30, YUYV 640x480@30"
    assert bad.status == "broken"
    assert "usermod" in bad.mend


def test_help_needs_no_heavy_library():
    code = (
        "import sys; sys.modules.update(cv2=None, onnxruntime=None, av=None)\n"
        "from runtime import doctor\n"
        "doctor.main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "python -m runtime.doctor" in done.stdout
