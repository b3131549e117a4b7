"""Long live runs in short: complete rows, and slopes of known lines."""

import json

import pytest

from benchmarks import soak


def note(s, latency, memory):
    return {"s": s, "fps": 30.0, "latency_p50_ms": latency, "latency_p95_ms": 9.0, "rss_mb": memory}


def test_drift_of_known_lines():
    start = [note(10.0, 500.0, 90.0)]  # the beginning does not count
    rising = [note(60.0 + 10 * k, 20.0 + 0.5 * k, 300.0 + 2.0 * k) for k in range(6)]
    found = soak.drift(start + rising)
    assert found["memory_growth_mb_per_min"] == pytest.approx(12.0)
    assert found["latency_drift_ms_per_min"] == pytest.approx(3.0)
    assert (found["memory_mb"], found["memory_end_mb"]) == (300.0, 310.0)


def test_short_runs_have_no_drift():
    assert set(soak.drift([]).values()) == {None}


def test_a_live_run(tiny_model, capsys):
    flags = ["--models", str(tiny_model), "--sources", "synthetic:64x48", "--frames", "20"]
    assert soak.main([*flags, "--json", "-q"]) == 0
    data = json.loads(capsys.readouterr().out)
    (row,) = data["rows"]
    assert row["id"] == "tiny/synthetic:64x48/on"
    metrics = row["metrics"]
    assert metrics["frames_out"] == 20 and metrics["latency_p50_ms"] > 0
    assert metrics["style_p50_ms"] > 0 and metrics["target_fps"] == 30
    assert metrics["memory_growth_mb_per_min"] is None  # too short to say
    assert "tiny | synthetic:64x48 | 64x48" in soak.table_of(data)


def test_length_must_be_something(tiny_model, capsys):
    assert soak.main(["--models", str(tiny_model), "--seconds", "0"]) == 2
    assert "above 0" in capsys.readouterr().err
