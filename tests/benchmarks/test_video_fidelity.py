"""The fidelity benchmark on one small clip: a valid result file, and what counts as a loss."""

import pytest

from benchmarks import damage, video_fidelity
from benchmarks.measuring import results
from benchmarks.report import tables

pytest.importorskip("onnx")


def test_one_clip(tmp_path, monkeypatch):
    monkeypatch.setattr(video_fidelity, "TAGS", {"bt709-full": (1, 2)})
    monkeypatch.setattr(video_fidelity, "SYNTHETIC_FRAMES", 4)
    clips = tmp_path / "clips"
    clips.mkdir()
    video_fidelity.write_tagged(clips / "a.mp4", "bt709-full", 5, size=(320, 240))
    path = tmp_path / "result.json"
    assert video_fidelity.main(["--clips", str(clips), "--json", str(path), "--quiet"]) == 0
    rows = {row["id"]: row["metrics"] for row in results.read(path)["rows"]}
    assert rows["a.mp4"]["frames_in"] == rows["a.mp4"]["frames_out"] == 5
    assert rows["a.mp4"]["psnr_db"] >= 40
    assert rows["a.mp4"]["tags_identical"] == 1


def test_losses_are_failures():
    good = {"frames_in": 3, "frames_out": 3, "psnr_db": 41, "time_error_ticks": 0}
    assert video_fidelity.is_lossless(good)
    for worse in (
        {"frames_out": 2},
        {"psnr_db": 39},
        {"time_error_ticks": 2},
        {"audio_packets_in": 4, "audio_packets_identical": 3},
        {"kills": 10, "resumed_identical": 9},
        {"peak_growth_percent": 6},
    ):
        assert not video_fidelity.is_lossless({**good, **worse})


def test_decibels_of_known_errors():
    assert video_fidelity.decibels(0) == 99
    assert video_fidelity.decibels(255.0**2) == 0
    assert video_fidelity.decibels(6.5025) == pytest.approx(40)


def test_memory_of_any_size(tmp_path, monkeypatch):
    monkeypatch.setattr(video_fidelity, "MEMORY_FRAMES", (4, 34))
    model = video_fidelity.build_identity(tmp_path / "bytes.onnx", plain=True)
    row = video_fidelity.peak_memory(model, tmp_path, (128, 72), ("--preset", "ultrafast"))
    assert row["id"] == "memory 128x72"
    assert 50 < row["metrics"]["peak_4_frames_mib"] < 1000
    assert video_fidelity.count_frames(tmp_path / "34.mp4") == 34


def test_damage_is_made_and_counted(tmp_path):
    row = damage.damage_row("H.264 in Matroska", tmp_path, 2)
    assert row["metrics"] == {
        "trials": 2,
        "false_alarms": 0,
        "zeros_visible": 2,
        "zeros_counted": 2,
        "noise_visible": 2,
        "noise_counted": 2,
    }
    document = {"kind": "video_fidelity", "rows": [row]}
    assert "| H.264 in Matroska | 2 of 2 | 2 of 2 |" in tables.table(document)
    assert not video_fidelity.is_lossless({**row["metrics"], "false_alarms": 1})
