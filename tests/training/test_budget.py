"""Time in, steps out; and a run that ends in a model file."""

import json
import time
from types import SimpleNamespace

import pytest

from runtime.errors import UsageError
from training.budget import USABLE, parse_budget, plan_steps
from training.checkpoint import load_checkpoint
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


def test_a_run_with_a_budget_ends_in_a_model(tmp_path, photo_folder, painting, random_weights):
    words = ["--recipe", "starry", "--quiet", "--threads", 1, "--device", "cpu", "--budget", "1s"]
    words += ["--content", photo_folder, "--style", painting, "--weights", random_weights]
    words += ["--output", tmp_path / "run", "--export", tmp_path / "mine.onnx"]
    for setting in (
        "network={name = 'lean', width = 8, blocks = 1}",
        "data.short_side=80",
        "data.crop=64",
        "style.size=48",
        "batch=1",
    ):
        words += ["--set", setting]
    assert main([str(word) for word in words]) == 0
    steps = load_checkpoint(tmp_path / "run" / "last.safetensors").recipe["steps"]
    assert 1 <= steps < 40_000
    assert (tmp_path / "mine.onnx").is_file()
    assert json.loads((tmp_path / "mine.json").read_text())["verdict"] == "passed"
