"""The GPU's self-test: what it says is what the device did; without one, one line and exit 3."""

import json
from pathlib import Path

import numpy as np
import pytest

from runtime import doctor
from runtime.checks import gpu
from runtime.errors import UNAVAILABLE

MODEL = Path(__file__).resolve().parents[3] / "models" / "starry-fast-fp32.onnx"


def test_what_a_device_does_is_told():
    """The CPU stands in for the GPU: it paints as itself."""
    page = gpu.self_test(MODEL, "cpu", ((64, 48), (96, 64)), 0.01)
    assert page.alike and page.facts["psnr_db"] is None  # the same bytes
    assert [one["size"] for one in page.facts["sizes"]] == ["64x48", "96x64"]
    for one in page.facts["sizes"]:
        assert one["samples"] >= 1
        assert one["fps"] == pytest.approx(1000 / one["mean_ms"], rel=0.01)
    assert page.facts["gpu"] is None and len(page.facts["sha256"]) == 64
    assert "h264_nvenc" in page.facts["encoders"]
    assert "64x48" in "\n".join(page.lines)
    json.dumps(page.facts)


def test_likeness_by_hand():
    picture = np.zeros((4, 4, 3), np.uint8)
    assert gpu.likeness(picture, picture) == float("inf")
    assert gpu.likeness(picture, picture + 255) == pytest.approx(0)
    assert gpu.likeness(picture, picture + 3) == pytest.approx(38.59, abs=0.01)


def test_without_a_gpu_one_line_says_so(capsys):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("ONNX Runtime has CUDA here")
    assert doctor.main(["--gpu", "--model", str(MODEL)]) == UNAVAILABLE
    error = capsys.readouterr().err.strip().splitlines()
    assert "onnxruntime-gpu" in error[-1]
