"""What is lost of one small clip, and what counts as a loss."""

import pytest

from tests.fidelity import damage, video

pytest.importorskip("onnx")


def test_one_clip(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(video, "TAGS", {"bt709-full": (1, 2)})
    monkeypatch.setattr(video, "SYNTHETIC_FRAMES", 4)
    clips = tmp_path / "clips"
    clips.mkdir()
    video.write_tagged(clips / "a.mp4", "bt709-full", 5, size=(320, 240))
    assert video.main(["--clips", str(clips), "--quiet"]) == 0
    assert "| a.mp4 | 5 = 5 | 0 | 0 | none | " in capsys.readouterr().out
    model = video.build_identity(tmp_path / "identity.onnx")
    metrics = video.fidelity(clips / "a.mp4", model, tmp_path)["metrics"]
    assert metrics["psnr_db"] >= 40 and metrics["tags_identical"] == 1


def test_losses_are_failures():
    good = {"frames_in": 3, "frames_out": 3, "psnr_db": 41, "time_error_ticks": 0}
    assert video.is_lossless(good)
    for worse in (
        {"frames_out": 2},
        {"psnr_db": 39},
        {"time_error_ticks": 2},
        {"audio_packets_in": 4, "audio_packets_identical": 3},
        {"kills": 10, "resumed_identical": 9},
        {"peak_growth_percent": 6},
    ):
        assert not video.is_lossless({**good, **worse})


def test_decibels_of_known_errors():
    assert video.decibels(0) == 99
    assert video.decibels(255.0**2) == 0
    assert video.decibels(6.5025) == pytest.approx(40)


def test_memory_of_any_size(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "MEMORY_FRAMES", (4, 34))
    model = video.build_identity(tmp_path / "bytes.onnx", plain=True)
    row = video.peak_memory(model, tmp_path, (128, 72), ("--preset", "ultrafast"))
    assert row["id"] == "memory 128x72"
    assert 50 < row["metrics"]["peak_4_frames_mib"] < 1000
    assert video.count_frames(tmp_path / "34.mp4") == 34


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
    assert "| H.264 in Matroska | 2 of 2 | 2 of 2 |" in video.tables([row])
    assert not video.is_lossless({**row["metrics"], "false_alarms": 1})
