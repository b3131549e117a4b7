"""Costs of live features: every case runs, numbers survive compression, a picture arrives."""

import cv2
import numpy as np
import pytest

from benchmarks import live_features
from benchmarks.live_features import BITS, by_jpeg, cases, number_of, numbered, table_of
from benchmarks.measuring import results

from .conftest import tiny_onnx


def test_every_case_runs(tmp_path):
    model = tiny_onnx(tmp_path / "tiny.onnx", recipe={"style": "none"})
    found = {case.name: case.call()["total"] for case in cases(str(model), str(model), (96, 64))}
    assert list(found) == [
        "style",
        "stabilize",
        "mask",
        "mix",
        "enlarge",
        "a style for the rest",
        "fade",
    ]
    assert all(value >= 0 for value in found.values())


@pytest.mark.parametrize("number", [0, 1, 682, 2**BITS - 1])
def test_numbers_survive_strong_compression(number):
    picture = np.random.default_rng(0).integers(0, 256, (120, 320, 3), np.uint8)
    _, data = cv2.imencode(".jpg", numbered(picture, number), [cv2.IMWRITE_JPEG_QUALITY, 20])
    assert number_of(cv2.imdecode(data, cv2.IMREAD_COLOR)) == number


def test_pictures_arrive_by_the_stream():
    times = by_jpeg((320, 96), 0.6)
    assert times and all(time >= 0 for time in times)


def test_the_table_shows_costs_and_arrivals():
    rows = [
        results.row({"feature": "mask", "size": "8x8"}, {"total_p50_ms": 3.0, "x_style": 0.5}),
        results.row({"feature": "arrival by x", "size": "8x8"}, {"arrival_p50_ms": 7.0}),
    ]
    text = table_of(results.document(live_features.__name__.split(".")[-1], rows))
    assert "| mask | 8x8 | 3.00 | 0.50 |" in text
    assert "7.00" in text
