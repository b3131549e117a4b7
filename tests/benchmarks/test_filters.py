"""Filters beside their teachers, painted clips beside their keyframe: answers known beforehand."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import filters, keyframes
from runtime.frame import Frame
from runtime.sinks import open_sink
from runtime.sources import SourceInfo

MODEL = Path(__file__).resolve().parents[2] / "models" / "scream-fast.onnx"


def test_a_model_is_its_own_best_student(tmp_path, photo_folder):
    words = ["--filter", f"{MODEL}={MODEL}", "--name", "itself", "--photos", photo_folder]
    words += ["--count", 2, "--size", "64x64", "--duration", 1, "--iterations", 1]
    words += ["--json", tmp_path / "filters.json", "--quiet"]
    assert filters.main([str(word) for word in words]) == 0
    (row,) = json.loads((tmp_path / "filters.json").read_text())["rows"]
    assert row["labels"]["teacher"] == "itself" and row["labels"]["model"] == "scream-fast"
    found = row["metrics"]
    assert found["psnr_db"] == pytest.approx(100) and found["worst_psnr_db"] == pytest.approx(100)
    assert 5 < found["photo_psnr_db"] < 25
    assert found["faster"] == pytest.approx(
        found["teacher_cpu_p50_ms"] / found["filter_cpu_p50_ms"]
    )


def write_clip(path, frames):
    height, width = frames[0].shape[:2]
    sink = open_sink(path, SourceInfo("", width, height, Fraction(10)))
    for number, frame in enumerate(frames):
        sink.write(Frame(np.ascontiguousarray(frame), Fraction(number, 10), number))
    sink.close()


@pytest.fixture
def clip(tmp_path, photo):
    """Four frames: a window that moves by 3 px a frame."""
    frames = [photo[60:188, 80 + 3 * at : 240 + 3 * at] for at in range(4)]
    write_clip(tmp_path / "cat.mkv", frames)
    return frames


def test_a_clip_that_follows_its_key(tmp_path, clip, random_weights, monkeypatch):
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(random_weights))
    Image.fromarray(255 - clip[1]).save(tmp_path / "key_001.png")
    write_clip(tmp_path / "negative.mkv", [255 - frame for frame in clip])
    write_clip(tmp_path / "gray.mkv", [np.full_like(frame, 128) for frame in clip])
    words = ["--clip", tmp_path / "cat.mkv", "--key", tmp_path / "key_001.png", "--every", 1]
    words += ["--painted", f"negative={tmp_path / 'negative.mkv'}"]
    words += ["--painted", f"gray={tmp_path / 'gray.mkv'}", "--json", tmp_path / "out.json"]
    assert keyframes.main([str(word) for word in words]) == 0
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    found = {row["labels"]["painter"]: row["metrics"] for row in rows}
    assert found["negative"]["key_psnr_db"] > 25 > 20 > found["nobody"]["key_psnr_db"]
    assert found["gray"]["key_psnr_db"] < 20
    assert found["negative"]["style"] < 0.1 < found["gray"]["style"]
    assert found["gray"]["warping_error"] < 0.01


@pytest.mark.parametrize(
    ("painted", "said"),
    [("cat.mkv", "is not NAME=CLIP"), ("one=short.mkv", "another size or number of frames")],
)
def test_bad_clips(painted, said, tmp_path, clip, random_weights, monkeypatch, capsys):
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(random_weights))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(clip[1]).save("key_001.png")
    write_clip(tmp_path / "short.mkv", clip[:2])
    assert keyframes.main(["--clip", "cat.mkv", "--key", "key_001.png", "--painted", painted]) == 2
    assert said in capsys.readouterr().err
