"""The toys of StarGAN, BicycleGAN and MUNIT, and the command at toy size."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.sanity import domains, shapes, translation
from runtime.errors import UsageError


def test_turned_and_inked_pictures_by_hand():
    red = np.full((16, 16, 3), (200, 50, 50), np.uint8)
    assert domains.hue_turned(red)[0, 0].tolist() == [0, 255, 0]  # green, twice as far from gray
    assert (domains.inked(red) == 255).all()  # no edge, no line
    edge = red.copy()
    edge[:, 8:] = 0
    lines = domains.inked(edge)
    assert lines[8, 7:9].max() < 200
    assert lines[8, 0].min() == 255


def test_parts_share_no_picture():
    (first, end), (start, last) = domains.PARTS["training"], domains.PARTS["classifier"]
    assert 0 <= first < end <= start < last


def test_domains_share_no_picture_and_gray_photos_are_only_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(domains, "PARTS", {"training": (0, 1), "classifier": (1, 2)})
    for folder, count in (("content", 6), ("monet", 2)):
        (tmp_path / folder).mkdir()
        for index in range(count):
            color = (128, 128, 128) if folder == "content" and index == 1 else (200, 50, 50)
            Image.new("RGB", (20, 16), color).save(tmp_path / folder / f"{index}.jpg")
    found = domains.sources(tmp_path)
    assert [len(found[name]) for name in domains.NAMES] == [2, 2, 2, 2]
    assert len({path for paths in found.values() for path in paths}) == 8
    assert tmp_path / "content" / "1.jpg" in found["ink"]


def test_a_filling_stays_inside_of_its_outline():
    for canvas, mask in shapes.outlines(5, 0):
        made = shapes.filled(canvas, mask, shapes.BLUE)
        changed = (made != canvas).any(2)
        assert changed.any()
        assert mask[changed].all()
        assert (canvas[changed] == 255).all()
        assert (made[changed] == shapes.BLUE).all()


def test_the_command_solves_what_needs_no_data(tmp_path):
    path = tmp_path / "translation.json"
    words = ["--problems", "bicyclegan", "--steps", "2", "--output", str(tmp_path / "runs")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(translation, "UNSEEN", 2)
        assert translation.main([*words, "--json", str(path), "--quiet"]) == 0
    (row,) = json.loads(path.read_text())["rows"]
    assert set(row["metrics"]) == {"rarer_mode", "l1", "lpips_between", "monotone"}
    assert (tmp_path / "runs" / "bicyclegan" / "pictures.png").is_file()
    assert translation.main([*words, "--problems", "stargan", "--quiet"]) == 2
    with pytest.raises(UsageError, match="needs --data"):
        translation.stargan(None, tmp_path, 1)


@pytest.mark.parametrize("problem", ["munit", "unit"])
def test_hues_and_content_are_measured(tmp_path, problem):
    path = tmp_path / "translation.json"
    words = ["--problems", problem, "--steps", "1", "--output", str(tmp_path / "runs"), "--quiet"]
    assert translation.main([*words, "--json", str(path)]) == 0
    (row,) = json.loads(path.read_text())["rows"]
    assert set(row["metrics"]) == {"hue_error", "likeness"}


def test_pictures_of_one_hue(tmp_path):
    shapes.write_hues(tmp_path, 3, 0, 30.0)
    pictures = [np.asarray(Image.open(p)) / 255 for p in (tmp_path / "tinted").glob("*.png")]
    assert np.allclose(shapes.mean_hue(np.stack(pictures)), 30, atol=1)
