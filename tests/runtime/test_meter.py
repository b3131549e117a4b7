"""Meter: known percentiles, counters, constant memory, threads."""

import threading

import pytest

from runtime import meter as meters
from runtime.meter import Meter


def test_percentiles_of_known_samples():
    meter = Meter()
    for value in range(1, 102):
        meter.add("style", float(value))
    assert meter.percentiles("style") == {"p50": 51.0, "p95": 96.0, "p99": 100.0}
    assert meter.percentiles("never") == {}


def test_timer_and_counts_appear_in_the_summary():
    meter = Meter()
    with meter("decode"):
        pass
    meter.count("dropped", 3)
    summary = meter.summary()
    assert summary["counts"] == {"dropped": 3}
    assert summary["stages_ms"]["decode"]["count"] == 1
    assert summary["stages_ms"]["decode"]["p50"] >= 0


def test_means_with_the_start_apart(monkeypatch):
    monkeypatch.setattr(meters, "START_S", 0.0)
    late = Meter()
    monkeypatch.setattr(meters, "START_S", 60.0)
    early = Meter()
    for meter in (late, early):
        meter.add("style", 1.0, 0.5)
        meter.add("style", 3.0, 1.5)
    assert early.means("style") == {"mean": 2.0, "cpu_mean": 1.0}
    found = late.summary()["stages_ms"]["style"]
    assert (found["settled_mean"], found["settled_cpu_mean"], found["settled_count"]) == (2, 1, 2)
    assert found["settled_s"] >= 0
    assert late.means("never") == {}


def test_a_block_s_processor_time_is_its_threads_own():
    meter = Meter()
    with meter("style"):
        sum(range(200_000))
    found = meter.means("style")
    assert 0 < found["cpu_mean"] <= found["mean"] + 1


def test_block_that_raises_is_no_sample():
    meter = Meter()
    with pytest.raises(RuntimeError), meter("style"):
        raise RuntimeError
    assert meter.summary()["stages_ms"] == {}


def test_old_samples_are_overwritten(monkeypatch):
    monkeypatch.setattr(meters, "WINDOW", 4)
    meter = Meter()
    for value in (100.0, 100.0, 1.0, 1.0, 1.0, 1.0):
        meter.add("style", value)
    assert meter.percentiles("style")["p99"] == 1.0
    assert meter.summary()["stages_ms"]["style"]["count"] == 6


def test_threads_lose_nothing():
    meter = Meter()

    def work() -> None:
        for _ in range(500):
            meter.add("style", 1.0)
            meter.count("frames")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.counts == {"frames": 2000}
    assert meter.summary()["stages_ms"]["style"]["count"] == 2000
