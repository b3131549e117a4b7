"""Iteration equivalents by hand, kept curves, nulls, and the command on a tiny problem."""

import json
import math
from pathlib import Path

import pytest
import torch

from benchmarks.measuring import results
from benchmarks.quality import __main__ as quality
from benchmarks.quality import curves, frontier, table
from benchmarks.quality.rows import bootstrap_interval, sentences
from training import networks
from training.checkpoint import Checkpoint, save_checkpoint
from training.config import load_recipe

POINTS = [(0, 8.0), (1, 4.0), (2, 5.0), (3, 1.0)]


@pytest.mark.parametrize(
    ("value", "iterations", "reached"),
    [
        (9.0, 0, True),
        (8.0, 0, True),
        (math.sqrt(32), 0.5, True),  # halfway between 8 and 4 in the logarithm
        (4.0, 1, True),
        (2.0, 2, True),  # between (1, 4) and (3, 1): the worse point at 2 does not count
        (0.5, 3, False),
    ],
)
def test_iterations_by_hand(value, iterations, reached):
    found, ok = curves.iterations_to_reach(POINTS, value)
    assert found == pytest.approx(iterations)
    assert ok is reached


def test_mean_curve_uses_shared_iterations():
    assert curves.mean_points([POINTS, [(0, 2.0), (3, 3.0), (4, 1.0)]]) == [(0, 5.0), (3, 2.0)]


def test_interval_holds_the_mean_and_shrinks():
    few, many = [1.0, 2.0, 3.0], [1.0, 2.0, 3.0] * 30
    low, high = bootstrap_interval(few, 0)
    assert 1 <= low < 2 < high <= 3
    narrow = bootstrap_interval(many, 0)
    assert narrow[1] - narrow[0] < high - low
    assert bootstrap_interval([4.0], 0) == (4.0, 4.0)


@pytest.fixture
def checkpoint(tmp_path, painting):
    torch.manual_seed(0)
    generator = networks.build("lean", width=8, blocks=1)
    recipe = load_recipe(
        "starry",
        [
            f'style.image="{painting}"',
            "style.size=48",
            "backbone.style_layers=['relu1_1', 'relu2_1']",
            "backbone.content_layers=['relu2_1']",
        ],
    )
    tensors = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    path = tmp_path / "tiny.safetensors"
    network = {"name": "lean", **generator.config}
    save_checkpoint(Checkpoint(network, recipe.to_dict(), 0, tensors), path)
    return path


def arguments(checkpoint, photo_folder, random_weights, tmp_path, *more):
    words = ["--models", checkpoint, "--content", photo_folder, "--photos", 2, "--sizes", 48]
    words += ["--evaluations", 6, "--evaluators", "vgg19_low", "--weights", random_weights]
    return [str(w) for w in [*words, "--cache", tmp_path / "curves", "--quiet", *more]]


def test_the_command_keeps_its_curves(
    checkpoint, photo_folder, random_weights, tmp_path, monkeypatch, capsys
):
    output = tmp_path / "quality.json"
    words = arguments(checkpoint, photo_folder, random_weights, tmp_path)
    assert quality.main([*words, "--json", str(output)]) == 0
    data = results.read(output)
    summary = [r for r in data["rows"] if r["labels"]["what"] == "equivalents"]
    assert len(summary) == 4  # two starts, two loss networks
    assert len([r for r in data["rows"] if r["labels"]["what"] == "photo"]) == 8
    assert all(r["metrics"]["photos"] == 2 for r in summary)
    assert len(list((tmp_path / "curves").glob("*.json"))) == 4
    assert "L-BFGS iterations" in capsys.readouterr().out
    # A second run computes no curve and finds the same.
    from training import optimize

    monkeypatch.setattr(optimize, "optimize_image", None)
    assert quality.main([*words, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["rows"] == data["rows"]


def test_the_frontier_by_hand():
    points = [(4.0, 1.0), (1.0, 16.0)]
    assert frontier.excess(points, (4.0, 1.0)) == pytest.approx(1)
    assert frontier.excess(points, (6.0, 12.0)) == pytest.approx(3)  # 3 times (2, 4), halfway
    assert frontier.excess(points, (1.0, 2.0)) == pytest.approx(0.5)  # better than the line
    assert frontier.excess(points, (100.0, 1.0)) is None


def test_pareto_weighs_style_and_only_style(
    checkpoint, photo_folder, random_weights, tmp_path, capsys
):
    more = ("--inits", "content", "--evaluations", 40)
    words = arguments(checkpoint, photo_folder, random_weights, tmp_path, *more)
    target = tmp_path / "pareto.json"
    assert quality.main([*words, "--pareto", "0.01,10", "--json", str(target)]) == 0
    rows = [r for r in results.read(target)["rows"] if r["labels"]["what"] == "frontier"]
    low, high = (row["metrics"] for row in rows)
    assert high["style"] < low["style"] and high["content"] > low["content"]
    assert "| the model |" in table.pareto(results.read(target))
    assert "content and style are" in capsys.readouterr().out
    assert quality.main([*words, "--pareto", "0"]) == 2


def test_a_curve_without_an_evaluator_is_computed_again(
    checkpoint, photo_folder, random_weights, tmp_path
):
    words = arguments(checkpoint, photo_folder, random_weights, tmp_path)
    assert quality.main([*words, "--inits", "content"]) == 0
    assert quality.main([*words, "--inits", "content", "--evaluators", "squeezenet"]) == 0
    kept = [json.loads(p.read_text()) for p in (tmp_path / "curves").glob("*.json")]
    assert all(list(k["looks"]) == ["squeezenet"] for k in kept)


def test_stand_ins_order_the_nulls(checkpoint, photo_folder, random_weights, tmp_path, capsys):
    from safetensors.torch import save_file

    from training.pairs import likeness

    channels = (64, 128, 256, 384, 384, 512, 512)
    heads = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate(channels)}
    weights = tmp_path / "weights"
    weights.mkdir()
    for path in random_weights.glob("*.safetensors"):
        (weights / path.name).write_bytes(path.read_bytes())
    save_file(heads, weights / likeness.LPIPS_FILE)
    words = arguments(checkpoint, photo_folder, weights, tmp_path, "--inits", "content")
    tiny = Path(__file__).resolve().parents[2] / "training" / "clip" / "tiny"
    assert quality.main([*words, "--clip", str(tiny)]) == 2  # and no words
    told = ["--clip", str(tiny), "--text", "blue"]
    assert quality.main([*words, *told]) == 2  # and nothing to put it among
    capsys.readouterr()
    assert quality.main([*words, "--stand-ins", *told, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    (found,) = (r["metrics"] for r in rows if r["labels"]["what"] == "stand-ins")
    assert found["photo_lpips_squeezenet"] == 0
    assert found["painting_lpips_squeezenet"] > found["photo_lpips_squeezenet"]
    assert found["painting_kid_squeezenet"] < found["photo_kid_squeezenet"]
    assert found["painting_histogram"] < found["photo_histogram"]
    assert found["painting_clip_score"] > found["photo_clip_score"]  # it is a blue painting


def test_a_photo_as_answer_is_where_the_curve_starts(photo_folder, painting, random_weights):
    problem = curves.Problem(
        *(str(painting), 48, "vgg19_16x", ("relu1_1", "relu2_1"), ("relu2_1",)),
        *((("style", 5.0), ("content", 1.0)), 48, str(random_weights)),
    )
    photo = curves.load_square(sorted(photo_folder.iterdir())[0], 48)
    terms = curves.compute_terms(problem, photo, photo)
    assert terms["content"] == 0
    picture = curves.load_square(painting, 48)
    own = curves.compute_terms(problem, picture, photo)
    assert own["style"] < terms["style"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--content", "nowhere"], 2, "no folder of photos"),
        (["--inits", "photo"], 2, "allowed are content, noise"),
        (["--style", "nothing.jpg"], 2, "no picture"),
        (["--models", "nothing.safetensors"], 2, "no checkpoint"),
        (["--models", "a/mine.onnx,b/mine.onnx"], 2, '--models names "mine" twice'),
        (["--sizes", "8"], 2, "--sizes has 8, at least 32 px are needed"),
        (["--proxy-metrics", "--photos", "1"], 2, "2 photos or more are needed, not 1"),
    ],
)
def test_bad_input(
    words, code, message, checkpoint, photo_folder, random_weights, tmp_path, capsys
):
    assert quality.main(arguments(checkpoint, photo_folder, random_weights, tmp_path, *words)) == (
        code
    )
    assert message in capsys.readouterr().err


def test_sentences_say_when_a_value_is_a_lower_bound():
    metrics = {
        "iterations_mean": 90.0,
        "iterations_low": 80.0,
        "iterations_high": 95.0,
        "photos": 4,
        "beyond_curve": 1,
        "iterations_of_mean_curve": 119.0,
        "mean_curve_reached": 0,
    }
    labels = {"what": "equivalents", "model": "m", "size": 256, "backbone": "b", "init": "noise"}
    (line,) = sentences([{"labels": labels, "metrics": metrics}])
    assert "at least (1 of 4 photos" in line and "119.0 or more" in line
