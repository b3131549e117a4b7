"""Two views: where both eyes see a point, both get the same paint."""

import numpy as np
import pytest

from runtime import video
from runtime.clips.options import ClipOptions
from runtime.errors import UsageError
from runtime.stabilizers._views import agree, agree_in_frame, halves

SHIFT = 7


def scene(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Left and right view of a wall: the right one shows what is SHIFT px further right."""
    return photo[60:220, 40:300].copy(), photo[60:220, 40 + SHIFT : 300 + SHIFT].copy()


def noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_the_left_views_strokes_are_moved_by_the_disparity(photo):
    left, right = scene(photo)
    painted = [noise(seed, left.shape) for seed in (0, 1)]
    shown = agree(left, right, *painted)
    inner = shown[20:-20, 20 : -20 - SHIFT].astype(int)
    moved = painted[0][20:-20, 20 + SHIFT : -20].astype(int)
    # Where the wall has texture, motion is exact to a fraction of a pixel; noise is the worst case.
    assert np.median(np.abs(inner - moved)) < 20
    own = painted[1][20:-20, 20 : -20 - SHIFT].astype(int)
    assert np.median(np.abs(inner - own)) > 50


def test_what_one_eye_sees_alone_keeps_its_own_paint(photo):
    left, right = scene(photo)
    right[60:110, 100:170] = noise(3, (50, 70, 3))
    painted = [np.full_like(left, 40), np.full_like(left, 200)]
    shown = agree(left, right, *painted)
    assert (shown[70:100, 112:158] == 200).mean() > 0.95
    assert (shown[20:50, 60:200] == 40).mean() > 0.9
    assert (shown[:, -1] == 200).all(), "the right border is outside of the left view"


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_strength_and_tiny_pictures(photo, strength):
    left, right = scene(photo)
    painted = [np.full_like(left, 0), np.full_like(left, 100)]
    shown = agree(left, right, *painted, strength)
    assert (shown == 100).all() == (strength == 0)
    small = np.zeros((16, 16, 3), np.uint8)
    assert agree(small, small, small, small + 9, strength).max() == 9


@pytest.mark.parametrize("layout", ["side-by-side", "top-bottom"])
def test_frames_that_hold_both(photo, layout):
    left, right = scene(photo)
    axis = 1 if layout == "side-by-side" else 0
    frame = np.concatenate([left, right], axis)
    painted = np.concatenate([np.full_like(left, 40), np.full_like(left, 200)], axis)
    shown = halves(agree_in_frame(frame, painted, layout), layout)
    assert (shown[0] == 40).all() and np.median(shown[1]) == 40


def test_frames_that_hold_none():
    with pytest.raises(UsageError, match="63x40 has not"):
        halves(np.zeros((40, 63, 3), np.uint8), "side-by-side")
    with pytest.raises(UsageError, match="allowed are side-by-side, top-bottom"):
        halves(np.zeros((40, 64, 3), np.uint8), "over-under")
    with pytest.raises(UsageError, match="allowed are side-by-side, top-bottom"):
        ClipOptions(views="over-under")


def test_the_command_paints_both_alike(tmp_path, make_clip, invert_model):
    source, target = make_clip("in.mp4", frames=4, size=(192, 96)), tmp_path / "out.mp4"
    words = [str(source), str(target), "--model", str(invert_model), "--device", "cpu", "--quiet"]
    assert video.main([*words, "--views", "side-by-side"]) == 0
    assert target.is_file()


def test_clips_that_hold_none_leave_nothing(tmp_path, invert_model, capsys):
    from PIL import Image as Picture

    frames = [Picture.new("RGB", (63, 40), (k, 9, 9)) for k in (0, 99)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=100)
    words = [str(tmp_path / "in.gif"), str(tmp_path / "out.gif"), "--model", str(invert_model)]
    before = sorted(tmp_path.iterdir())
    assert video.main([*words, "--device", "cpu", "--quiet", "--views", "side-by-side"]) == 2
    assert "63x40 has not; cut a column off" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before
