"""Time in, steps out."""

import time
from types import SimpleNamespace

import pytest

from runtime.errors import UsageError
from training.budget import USABLE, parse_budget, plan_steps
from training.train import main


def test_budgets_are_read():
    assert [parse_budget(text) for text in ("90s", "10m", "1.5h")] == [90, 600, 5400]
    for text in ("10", "0m", "ten minutes", "-5m"):
        with pytest.raises(UsageError, match="write 90s, 10m or"):
            parse_budget(text)


def test_steps_follow_from_measured_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    seen = []

    def step(number):
        seen.append(number)
        now[0] += 0.5

    method = SimpleNamespace(recipe=SimpleNamespace(steps=1000), step=step)
    assert plan_steps(method, 100) == int(USABLE * 100 / 0.5)
    assert seen[0] == 500
    assert plan_steps(method, 0.01) == 1


def test_training_does_not_export(tmp_path, capsys):
    words = ["--recipe", "starry", "--export", str(tmp_path / "mine.onnx")]
    assert main(words) == 2
    assert "python -m export.train" in capsys.readouterr().err
