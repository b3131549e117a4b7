"""Recipes without the paths of the machine that trained by them."""

import pytest

from training.portable import portable_recipe


@pytest.mark.parametrize(
    "given", ["/home/ann/runs/starry/last.safetensors", "C:\\runs\\last.safetensors"]
)
def test_the_last_part_of_an_absolute_path_is_left(given: str) -> None:
    recipe = {"name": "x", "options": {"original": given, "teacher": [given, "grade"]}}
    found = portable_recipe(recipe)
    assert found["options"] == {
        "original": "last.safetensors",
        "teacher": ["last.safetensors", "grade"],
    }


def test_everything_else_stays_as_it_was() -> None:
    recipe = {
        "steps": 3,
        "style": {"image": "a/b.jpg", "title": "The Scream / Skrik", "license": "/"},
        "options": {"original": "runs/starry/last.safetensors", "ranges": {"stem": [0.0, 1.5]}},
        "none": None,
    }
    assert portable_recipe(recipe) == recipe


def test_the_recipe_itself_is_not_changed() -> None:
    recipe = {"options": {"start": "/a/b"}}
    portable_recipe(recipe)
    assert recipe == {"options": {"start": "/a/b"}}
