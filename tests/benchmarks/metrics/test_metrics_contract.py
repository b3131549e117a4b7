"""Every metric file: direction, unit, and a value that says the right thing about a known case."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from benchmarks import metrics
from benchmarks.metrics import Metric
from runtime import plugins

NAMES = plugins.names(metrics)
SHAPE = (200, 220, 3)


def picture(seed=0):
    noise = np.random.default_rng(seed).normal(0, 1, SHAPE).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(0.5 + 0.18 * soft / soft.std(), 0, 1)


def noisy(base, sigma=0.05, seed=1):
    return np.clip(base + np.random.default_rng(seed).normal(0, sigma, base.shape), 0, 1)


def rest(t, u):
    """No motion, everything visible."""
    return np.zeros((*SHAPE[:2], 2), np.float32), np.ones(SHAPE[:2], bool)


def pan_of(base, count=8):
    return [np.roll(base, (t, 2 * t), (0, 1)) for t in range(count)]


def good_and_bad(takes: str) -> tuple[tuple, tuple]:
    """Arguments of a metric for a result that should score well and for one that should not."""
    base = picture()
    shaky = [noisy(base, seed=t) for t in range(8)]
    everywhere: Callable = lambda t: np.ones(SHAPE[:2], bool)  # noqa: E731
    photo = np.uint8(base * 255)

    def glued(image):
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        return np.clip(image + (((x // 4 + y // 4) % 2) * 60 - 30)[..., None], 0, 255)

    return {
        "clip": (([base] * 8, rest), (shaky, rest)),
        "clips": (([base] * 8, [base] * 8, rest), (shaky, [base] * 8, rest)),
        "frames": (([base] * 8,), ([base * g for g in (1, 0.9, 1, 0.8, 1, 0.9)],)),
        "sequences": (
            (pan_of(base), pan_of(base)),
            ([cv2.blur(base, (9, 9)) * 0.8] * 8, pan_of(base)),
        ),
        "pair": ((base, base), (noisy(base), base)),
        "picture": ((base,), (glued(photo) / 255,)),
        "stylizer": ((lambda image: image, photo), (glued, photo)),
        "uncovered": (([base] * 3, [base] * 3, everywhere), (shaky, [base] * 8, everywhere)),
    }[takes]


@pytest.mark.parametrize("name", NAMES)
class TestEveryMetric:
    def test_is_described(self, name):
        metric = plugins.load(metrics, name)
        assert isinstance(metric, Metric)
        assert metric.unit and metric.better in ("lower", "higher")
        assert metric.compute.__name__ == name and len(metric.compute.__doc__ or "") > 40

    def test_good_beats_bad(self, name):
        metric = plugins.load(metrics, name)
        good, bad = (metric.compute(*arguments) for arguments in good_and_bad(metric.takes))
        assert np.isfinite([good, bad]).all()
        if name == "lag":
            good, bad = abs(good), abs(bad)
        if name in ("border_difference", "border_artifact"):  # a grid has no frame
            assert good == 0.0
            return
        assert good < bad if metric.better == "lower" else good > bad
