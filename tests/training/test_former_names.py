"""Recipes and checkpoints with the names of former versions are understood."""

import pytest
import torch

from runtime.errors import UsageError
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.config import apply_setting, load_recipe, recipe_from_dict


def test_terms_and_options_of_former_recipes():
    table = {
        "objective": {"style": 1.0, "lock": 120.0, "grid": 0.7},
        "data": {"seeds": 0.3},
        "options": {"judge": {"width": 8}, "judge_rate": 0.1},
    }
    recipe = recipe_from_dict(table)
    assert recipe.objective == {"style": 1.0, "periodicity": 120.0, "phase_roughness": 0.7}
    assert recipe.options == {"discriminator": {"width": 8}, "discriminator_rate": 0.1}
    assert recipe.data.noise == 0.3
    assert "lock" in table["objective"], "what was given stays as it is"


def test_a_setting_with_the_former_name_changes_the_present_one():
    assert load_recipe("starry").objective["periodicity"] > 0
    assert load_recipe("starry", ["objective.lock=0.0"]).objective["periodicity"] == 0
    assert load_recipe("starry", ["data.seeds=0.1"]).data.noise == 0.1
    assert load_recipe("starry", ["seeds=0.1"]).data.noise == 0.1


def test_other_names_are_refused():
    with pytest.raises(UsageError, match="options"):
        apply_setting({"options": 1}, "options.judge=1")


def test_weights_of_former_discriminators(tmp_path):
    names = ("judge_first.a", "judge.a", "optimizer.judges.0.step", "optimizer.judge.0.step")
    tensors = {name: torch.zeros(1) for name in (*names, "generator.judge.a")}
    save_checkpoint(Checkpoint({"name": "lean"}, {}, 1, tensors), tmp_path / "last.safetensors")
    found = load_checkpoint(tmp_path / "last.safetensors")
    assert set(found.tensors) == {
        "discriminator_first.a",
        "discriminator.a",
        "optimizer.discriminators.0.step",
        "optimizer.discriminator.0.step",
        "generator.judge.a",
    }
