"""The page's benchmark: every case paints in a real browser, what is still boils less."""

import numpy as np
import pytest

from benchmarks import page
from benchmarks.measuring import chromium, results
from runtime.errors import EngineUnavailable


def test_stills_differ_by_noise_only():
    first, second, *_ = stills = page.noisy_stills((64, 48))
    assert len(stills) == page.STILL and first.shape == (48, 64, 3)
    difference = (first.astype(float) - second).std()
    assert difference == pytest.approx(page.NOISE * np.sqrt(2), rel=0.1)


def test_the_table_shows_times_and_flicker():
    labels = {"model": "toy", "precision": "int8", "size": "8x8", "threads": 1}
    metrics = {"total_p50_ms": 3.0, "faster_than_fp32": 2.0, "flicker": 1.5}
    text = page.table_of(results.document("page", [results.row(labels, metrics)]))
    assert "| toy | int8 | 8x8 | 1 | 3.00 |" in text


def test_without_a_browser_it_is_said(monkeypatch):
    monkeypatch.setattr(chromium, "find", lambda: None)
    with pytest.raises(EngineUnavailable, match="no Chromium"):
        page.run(page.build_parser().parse_args([]))


def test_cases_paint_in_the_page():
    program = chromium.find()
    if program is None:
        pytest.skip("no Chromium here (Debian: apt-get install chromium)")
    from export.site import engine_files
    from runtime.model import store

    if engine_files.missing():
        pytest.skip(engine_files.missing())
    with page.shown([store.resolve("starry-fast")], program) as browser:
        cases = page.open_cases(browser, ["starry-fast"], [1])
        assert [case.name for case in cases] == ["starry-fast/fp32/1", "starry-fast/int8/1"]
        page.give(browser, page.noisy_stills((64, 48)))
        assert all(case.call()["total"] > 0 for case in cases)
        found = page.flicker(browser, "starry-fast/int8/1", (64, 48))
    assert found["flicker_steadied"] < 0.5 * found["flicker"]
