"""Words as a style, reported: colors by hand, and the command with the tests' CLIP."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.report import registry
from benchmarks.sanity import words

CLIP = Path(__file__).parents[2] / "training/clip/tiny"


def test_colors_stand_out():
    picture = np.zeros((2, 2, 3))
    picture[..., 0], picture[..., 1] = 0.8, 0.2
    assert words.excess(picture, 0) == pytest.approx(0.7)
    assert words.excess(picture, 2) == pytest.approx(-0.5)


def test_every_word_has_its_row(tmp_path, random_weights, capsys):
    Image.new("RGB", (90, 80), (200, 120, 40)).save(tmp_path / "photo.png")
    path = tmp_path / "sanity_words.json"
    run = ["--clip", str(CLIP), "--photo", str(tmp_path / "photo.png"), "--evaluations", "2"]
    assert words.main([*run, "--weights", str(random_weights), "--json", str(path)]) == 0
    data = json.loads(path.read_text())
    assert [row["id"] for row in data["rows"]] == ["red", "green", "blue"]
    assert "| red | 2 |" in registry.BLOCKS["words"][1](data)
    assert "blue: " in capsys.readouterr().err


def test_what_the_optimization_refuses_is_said_once(tmp_path, random_weights, capsys, monkeypatch):
    assert words.main(["--clip", "nowhere", "--weights", str(random_weights)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(tmp_path))
    assert words.main(["--clip", str(CLIP)]) == 3  # its own code, too
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_a_photo_without_colors_takes_those_of_the_words(tmp_path, random_weights):
    path = tmp_path / "words.json"
    run = ["--clip", str(CLIP), "--weights", str(random_weights), "--json", str(path)]
    assert words.main(run) == 0
    assert not any(row["labels"]["missed"] for row in json.loads(path.read_text())["rows"])
