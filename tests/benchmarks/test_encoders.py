"""Encoders: every case is measured, slower presets and better qualities do what they promise."""

import json

import numpy as np

from benchmarks import encoders
from tests.benchmarks.conftest import tiny_onnx


def test_presets_are_measured_on_painted_frames(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(encoders, "CASES", (("ultrafast", 9), ("superfast", 9), ("superfast", 40)))
    model = tiny_onnx(tmp_path / "tiny.onnx")
    flags = ["--model", str(model), "--input", "synthetic:64x48@30x5", "--threads", "1"]
    assert encoders.main([*flags, "--rounds", "1", "--json", "-q"]) == 0
    data = json.loads(capsys.readouterr().out)
    first, default, poor = (row["metrics"] for row in data["rows"])
    assert first["cpu_ms"] > 0 and default["psnr_db"] > 30
    assert poor["psnr_db"] < default["psnr_db"]
    assert poor["kib_per_frame"] < default["kib_per_frame"]
    assert len(data["rows"][0]["labels"]["sha256"]) == 64
    assert "superfast" in encoders.table_of(data)


def test_likeness_of_the_same_is_high():
    frames = [np.full((48, 64, 3), 40 * k, np.uint8) for k in range(3)]
    coded = encoders.encode(frames, encoders.Case("ultrafast", 1, 1))
    assert encoders.likeness(frames, coded) > 45
    assert encoders.likeness([frame + 8 for frame in frames], coded) < 35
