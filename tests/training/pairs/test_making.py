"""Pairs made by a teacher: once, resumed, with failures; pairs read; pairs that do not overlay."""

import numpy as np
import pytest
from PIL import Image

from runtime.errors import StyleError, UsageError
from training.data.paired import Pairs
from training.pairs import held_out
from training.pairs.alignment import complaint, displaced
from training.pairs.making import View, make_pairs, see

CALLS = """
import numpy as np
from pathlib import Path
log = Path(__file__).with_name("calls.txt")
def negative(picture):
    with log.open("a") as file:
        file.write("x")
    if Path(__file__).with_name("grumpy").exists() and picture.shape[0] > picture.shape[1]:
        raise ValueError("only wide ones")
    return 255 - picture
"""


@pytest.fixture
def teacher(tmp_path, monkeypatch):
    """A module with a teacher that counts, and that refuses tall photos while "grumpy" exists."""
    name = f"teaching_{abs(hash(tmp_path))}"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / f"{name}.py").write_text(CALLS)
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    return f"{name}:negative"


def calls(tmp_path):
    return len((tmp_path / "code" / "calls.txt").read_text())


VIEW = View(short_side=64)


def test_pairs_are_made_once(tmp_path, teacher, photo_folder):
    made = make_pairs(photo_folder, [teacher], tmp_path / "run", VIEW, quiet=True)
    assert not made.failed and calls(tmp_path) == 6
    assert make_pairs(photo_folder, [teacher], tmp_path / "run", VIEW, quiet=True) == made
    assert calls(tmp_path) == 6
    pairs = Pairs(made.folder)
    assert len(pairs.images) == 6
    for before, after in pairs.images:
        np.testing.assert_array_equal(after, 255 - before)
        assert min(before.shape[:2]) == 64
    (made.folder / "after" / "coffee.png").unlink()
    make_pairs(photo_folder, [teacher], tmp_path / "run", VIEW, quiet=True)
    assert calls(tmp_path) == 7
    other = make_pairs(photo_folder, [teacher], tmp_path / "run", View(48, limit=2), quiet=True)
    assert other.folder != made.folder and len(Pairs(other.folder).images) == 2


def test_photos_that_fail_are_counted_and_asked_for_again(tmp_path, teacher, photo_folder):
    (tmp_path / "code" / "grumpy").touch()
    made = make_pairs(photo_folder, [teacher], tmp_path / "run", VIEW, quiet=True)
    assert len(made.failed) == 3
    assert all("ValueError: only wide ones" in why for why in made.failed.values())
    (tmp_path / "code" / "grumpy").unlink()
    again = make_pairs(photo_folder, [teacher], tmp_path / "run", VIEW, quiet=True)
    assert not again.failed and calls(tmp_path) == 9
    assert len(Pairs(again.folder).images) == 6


def test_a_teacher_that_fails_on_all(tmp_path, teacher, photo_folder):
    (tmp_path / "code" / "grumpy").touch()
    tall = tmp_path / "tall"
    tall.mkdir()
    for path in photo_folder.glob("*_tall.jpg"):
        (tall / path.name).write_bytes(path.read_bytes())
    (tall / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(StyleError, match="failed on all of the first 4 photos"):
        make_pairs(tall, [teacher], tmp_path / "run", VIEW, quiet=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no photo in"):
        make_pairs(tmp_path / "empty", [teacher], tmp_path / "run", VIEW)
    with pytest.raises(UsageError, match="no folder of photos"):
        make_pairs(tmp_path / "absent", [teacher], tmp_path / "run", VIEW)


def test_equal_names_in_folders_below(tmp_path, teacher):
    for place in ("a/x.png", "a/x.jpg", "b/x.png"):
        (tmp_path / "photos" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 64), "gray").save(tmp_path / "photos" / place)
    made = make_pairs(tmp_path / "photos", [teacher], tmp_path / "run", VIEW, quiet=True)
    assert sorted(p.name for p in (made.folder / "after").iterdir()) == [
        "a-x-png.png",
        "a-x.png",
        "b-x.png",
    ]


def test_every_second_photo_is_seen_nearer(photo_folder):
    paths = sorted(photo_folder.iterdir())
    plain = [see(path, View(64)) for path in paths]
    near = [see(path, View(64, enlarge=2.0)) for path in paths]
    assert [one.shape for one in plain] == [one.shape for one in near]
    changed = [not np.array_equal(one, two) for one, two in zip(plain, near, strict=True)]
    assert 0 < sum(changed) < len(paths)
    again = [see(path, View(64, enlarge=2.0)) for path in paths]
    assert all(np.array_equal(one, two) for one, two in zip(near, again, strict=True))


def test_pairs_of_all_layouts_and_sizes(tmp_path, photo):
    before, after = photo[:240, :320], 255 - photo[:240, :320]
    for names in (("before", "after"), ("A", "B")):
        for name, picture in zip(names, (before, after), strict=True):
            (tmp_path / names[0] / name).mkdir(parents=True)
            Image.fromarray(picture).save(tmp_path / names[0] / name / "one.png")
        pairs = Pairs(tmp_path / names[0])
        np.testing.assert_array_equal(pairs.images[0][1], after)
    folder = tmp_path / "before"
    Image.fromarray(after).resize((640, 480)).save(folder / "after" / "one.png")
    Image.fromarray(before).save(folder / "before" / "two.png")
    Image.fromarray(after).resize((200, 240)).save(folder / "after" / "two.png")
    Image.fromarray(before).save(folder / "before" / "three.png")
    pairs = Pairs(folder)
    assert pairs.names == ["one"] and pairs.images[0][1].shape == before.shape
    assert {path.stem: why for path, why in pairs.skipped.items()} == {
        "two": "its pair is 200x240 px, this is 320x240 px",
        "three": "it has no partner of its name",
    }


def test_displaced_pairs_are_found(photo):
    before = photo[20:260, 20:340]
    assert complaint(before, 255 - before) == ""
    moved = photo[20:260, 8:328]  # its things lie 12 px further right
    assert complaint(before, moved) == "lies 12 px right of its photo"
    assert complaint(before, photo[30:270, 20:340]) == "lies 10 px up of its photo"
    other = np.random.default_rng(0).integers(0, 255, before.shape).astype(np.uint8)
    assert "not look like" in complaint(before, other)
    found = displaced([(before, 255 - before), (before, moved)], ["good", "bad"])
    assert list(found) == ["bad"]


def test_some_pairs_are_held_out():
    assert held_out.split(3) == []
    assert held_out.split(4) == [2]
    assert held_out.split(40) == [5, 15, 25, 35]
    assert len(held_out.split(1000)) == held_out.MOST
