"""python -m runtime.image --views: two views of a still get the same paint."""

import json

import numpy as np
import pytest
from PIL import Image

from runtime import image
from runtime.errors import UsageError
from runtime.pictures.reading import Picture, read_rgb
from runtime.stabilizers._views import agree
from runtime.stills.views import Views

SHIFT = 7


@pytest.fixture
def scene(photo):
    """Left and right view of a wall."""
    return photo[60:220, 40:300].copy(), photo[60:220, 40 + SHIFT : 300 + SHIFT].copy()


@pytest.fixture
def command(invert_model, capsys):
    def run(*words: object) -> tuple[int, str, str]:
        flags = ["--model", str(invert_model), "--device", "cpu"]
        code = image.main([*flags, *(str(word) for word in words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_two_files_are_painted_alike(tmp_path, scene, command):
    left, right = (save(tmp_path / f"{n}.png", p) for n, p in zip("lr", scene, strict=True))
    out = tmp_path / "out"
    code, told, _ = command(left, right, "--output", f"{out}/", "--views", "pairs", "--json")
    assert code == 0 and json.loads(told)["frames_out"] == 2
    painted = [255 - each for each in scene]
    assert np.array_equal(read_rgb(out / "l.png"), painted[0])
    assert np.array_equal(read_rgb(out / "r.png"), agree(*scene, *painted))


@pytest.mark.parametrize("layout, axis", [("side-by-side", 1), ("top-bottom", 0)])
def test_one_file_that_holds_both(tmp_path, scene, command, layout, axis):
    source, target = save(tmp_path / "in.png", np.concatenate(scene, axis)), tmp_path / "out.png"
    assert command(source, target, "--views", layout)[0] == 0
    painted = [255 - each for each in scene]
    expected = np.concatenate([painted[0], agree(*scene, *painted)], axis)
    assert np.array_equal(read_rgb(target), expected)


def test_sixteen_bits_stay_sixteen(scene):
    pictures = [Picture(each.astype(np.uint16) * 257) for each in scene]
    noise = np.random.default_rng(0).integers(0, 65536, (2, *scene[0].shape)).astype(np.uint16)
    views = Views("pairs")
    first = Picture(noise[0])
    assert views.together(pictures[0], first) is first
    shown = views.together(pictures[1], Picture(noise[1])).pixels
    assert shown.dtype == np.uint16
    eight = agree(*scene, *(each.astype(np.float32) for each in noise))
    assert np.abs(shown.astype(int) - np.clip(eight, 0, 65535)).max() <= 0.5
    assert (shown != noise[1]).mean() > 0.5


def test_a_pair_that_fails_costs_no_other(tmp_path, scene, command):
    names = ["bad.png", "b.png", "c.png", "d.png"]
    for name, pixels in zip(names[1:], [scene[1], *scene], strict=True):
        save(tmp_path / name, pixels)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    words = [*(tmp_path / name for name in names), "--output", f"{out}/", "--views", "pairs"]
    code, told, err = command(*words, "--json")
    assert code == 1 and json.loads(told)["failed"] == 2 and "bad.png" in err
    assert sorted(path.name for path in out.iterdir()) == ["c.png", "d.png"]
    painted = [255 - each for each in scene]
    assert np.array_equal(read_rgb(out / "d.png"), agree(*scene, *painted))


def test_what_cannot_be_a_pair(tmp_path, scene, command):
    left = save(tmp_path / "l.png", scene[0])
    small = save(tmp_path / "s.png", scene[1][:, :-2])
    out = f"{tmp_path / 'out'}/"
    code, _, err = command(left, "--output", out, "--views", "pairs")
    assert code == 2 and "a left and a right view in turn, given are 1" in err
    assert not (tmp_path / "out").exists()
    code, _, err = command(left, small, "--output", out, "--views", "pairs")
    assert code == 2 and "the right view is 258x160, the left one 260x160" in err
    broken = tmp_path / "b.png"
    broken.write_bytes(b"no picture")
    code, _, err = command(left, broken, "--output", out, "--views", "pairs")
    assert code == 2 and "b.png" in err
    whole = save(tmp_path / "r.png", scene[1])
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    code, _, err = command(left, broken, "--output", out, "--views", "pairs")
    assert code == 2 and "b.png" in err
    assert [*(tmp_path / "out").iterdir()] == []  # no left view without its right one
    code, _, err = command(left, small, "--output", out, "--views", "pairs", "--size", "40x30")
    assert code == 0, err
    code, _, err = command(left, small, "--output", out, "--views", "pairs", "--skip-existing")
    assert code == 2 and "leave --skip-existing out" in err
    odd = save(tmp_path / "odd.png", scene[0][:, :-1])
    code, _, err = command(odd, tmp_path / "o.png", "--views", "side-by-side")
    assert code == 2 and "259x160 has not; cut a column off" in err


def test_animations_and_giants_are_refused(scene):
    frame = Picture(scene[0], duration_ms=40.0)
    with pytest.raises(UsageError, match="takes stills"):
        Views("pairs").together(frame, frame)
    wide = Picture(np.zeros((1, 2**15, 3), np.uint8))
    with pytest.raises(UsageError, match="sides up to 32767 px"):
        Views("side-by-side").together(wide, wide)
