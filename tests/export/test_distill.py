import json

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from export.distill import main, parse_student, student_recipe
from runtime.errors import UsageError
from training.backbones import Backbone
from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import Recipe, recipe_from_dict
from training.methods import perceptual


class Eye(Backbone):
    """A tiny fixed loss network."""

    layers = ("a", "b")

    def __init__(self, *_, **__):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3, 2)

    def forward(self, images, wanted):
        first = torch.relu(self.one(images))
        found = {"a": first, "b": torch.relu(self.two(first))}
        return {name: found[name] for name in wanted}


@pytest.fixture(autouse=True)
def small_eye(monkeypatch):
    monkeypatch.setattr(perceptual, "open_backbone", lambda *a: Eye().requires_grad_(False))


@pytest.fixture
def teacher(checkpoint, photos_folder, tmp_path):
    painting = tmp_path / "painting.png"
    cv2.imwrite(str(painting), cv2.resize(data.coffee(), (96, 64))[..., ::-1])
    loaded = load_checkpoint(checkpoint)
    table = Recipe(name="toy", precision="fp32", ema=0.0).to_dict()
    table["style"] |= {"image": str(painting), "size": 48}
    table["data"] |= {"content": str(photos_folder), "short_side": 96, "crop": 48, "zoom": 1.2}
    table["backbone"] |= {"style_layers": ("a", "b"), "content_layers": ("b",)}
    table["objective"] = {"style": 1.0, "content": 0.1, "motion": 1.0}
    loaded.recipe.clear()
    loaded.recipe.update(json.loads(json.dumps(table)))
    path = tmp_path / "teacher" / "last.safetensors"
    save_checkpoint(loaded, path)
    return path


def test_names_of_students():
    assert parse_student("lean-c32n2r4") == {"name": "lean", "width": 32, "blocks": 2, "scale": 4}
    with pytest.raises(UsageError, match="lean-c48n3r4"):
        parse_student("small")


def test_the_student_takes_over_the_teachers_recipe(teacher):
    recipe = student_recipe(teacher, "lean-c16n1r4", ["steps=7", "options.output=2.0"])
    assert (recipe.name, recipe.method, recipe.steps) == ("toy-lean-c16n1r4", "distill", 7)
    assert recipe.network["width"] == 16 and recipe.style.size == 48
    assert recipe.options["output"] == 2.0 and recipe.options["teacher"] == str(teacher)


def test_a_student_surrounds_the_picture_as_its_teacher_does(teacher):
    assert student_recipe(teacher, "lean-c16n1r4", []).network["margin"] == 16  # what zeros reach
    loaded = load_checkpoint(teacher)
    loaded.network.update(padding="replicate", margin=0)
    save_checkpoint(loaded, teacher)
    recipe = student_recipe(teacher, "lean-c16n1r4", [])
    assert (recipe.network["padding"], recipe.network["margin"]) == ("replicate", 0)
    assert recipe.options["start"] == str(teacher)


def run(teacher, output, *more):
    given = ["--teacher", str(teacher.parent), "--student", "lean-c16n1r4", "--quiet"]
    return main([*given, "--output", str(output), "--device", "cpu", *more])


def test_a_student_comes_nearer_to_its_teacher(teacher, tmp_path):
    weights = ["options.output=20.0", "objective.style=0.0", "objective.motion=0.0"]
    sets = [part for setting in ["steps=100", *weights] for part in ("--set", setting)]
    assert run(teacher, tmp_path / "run", *sets) == 0
    lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert lines[-1]["teacher"] < 0.9 * lines[0]["teacher"]


def test_resume_equals_an_unbroken_run(teacher, tmp_path):
    def trained(name, *stops):
        for index, steps in enumerate(stops):
            more = ["--resume"] if index else []
            from training.engine import Engine

            recipe = student_recipe(teacher, "lean-c16n1r4", ["steps=6"])
            from runtime.plugins import load
            from training import methods
            from training.methods import Assets

            method = load(methods, "distill")(recipe, Assets())
            engine = Engine(method, tmp_path / name, quiet=True)
            if more:
                engine.resume()
            engine.run(stop=steps)
        return load_checkpoint(tmp_path / name / "last.safetensors").group("generator")

    whole, parts = trained("whole", 6), trained("parts", 3, 6)
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_nothing_is_overwritten_and_bad_requests_are_one_line(teacher, tmp_path, capsys):
    assert run(teacher, tmp_path / "run", "--set", "steps=2") == 0
    assert run(teacher, tmp_path / "run", "--set", "steps=2") == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["--teacher", str(tmp_path / "absent"), "--student", "lean-c16n1r4"]) == 2
    assert main(["--teacher", str(teacher), "--student", "tiny"]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_distilling_needs_a_teacher(teacher):
    from training.methods import Assets
    from training.methods.distill import Distill

    recipe = student_recipe(teacher, "lean-c16n1r4", [])
    table = recipe.to_dict() | {"options": {}}
    with pytest.raises(UsageError, match="needs a teacher"):
        Distill(recipe_from_dict(json.loads(json.dumps(table))), Assets())
    assert np.isfinite(recipe.optimizer.lr)
