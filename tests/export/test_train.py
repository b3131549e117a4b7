"""Training that ends in a model file."""

import json

from export.train import main
from training.checkpoint import load_checkpoint


def test_a_run_with_a_budget_ends_in_a_model(tmp_path, photo_folder, painting, random_weights):
    words = ["--recipe", "starry", "--quiet", "--threads", 1, "--device", "cpu", "--budget", "1s"]
    words += ["--content", photo_folder, "--style", painting, "--weights", random_weights]
    words += ["--output", tmp_path / "run", "--export", tmp_path / "mine.onnx"]
    for setting in (
        "network={name = 'lean', width = 8, blocks = 1}",
        "data.short_side=80",
        "data.crop=64",
        "style.size=48",
        "objective.coarse=0.0",  # of a painting this small nothing is left at a quarter
        "batch=1",
    ):
        words += ["--set", setting]
    assert main([str(word) for word in words]) == 0
    steps = load_checkpoint(tmp_path / "run" / "last.safetensors").recipe["steps"]
    assert 1 <= steps < 40_000
    assert (tmp_path / "mine.onnx").is_file()
    assert json.loads((tmp_path / "mine.json").read_text())["verdict"] == "passed"
