"""Stereo error: by hand on a made pair, on the motorcycle, and the command."""

import json

import numpy as np
import pytest

from benchmarks.temporal import stereo
from benchmarks.temporal.__main__ import main


def made(photo: np.ndarray, shift: int = 6) -> stereo.Pair:
    left, right = photo[:120, :200], photo[:120, shift : 200 + shift]
    disparity = np.full(left.shape[:2], float(shift), np.float32)
    return stereo.Pair(left.copy(), right.copy(), disparity)


def test_the_same_paint_has_no_error(photo):
    pair = made(photo)
    assert stereo.stereo_error(pair.left, pair.right, pair) < 1e-6
    darker = stereo.stereo_error(pair.left, pair.right // 2 * 2, pair)
    assert darker < 0.01
    flat = np.zeros_like(pair.left)
    assert stereo.stereo_error(flat + 51, flat, pair) == pytest.approx(0.2)


def test_what_is_in_front_hides_what_is_behind():
    disparity = np.full((4, 20), 2.0, np.float32)
    disparity[:, 10:14] = 6.0  # comes to 4..7 of the right view, and hides 6..9 of the left one
    seen = stereo.seen_by_both(disparity)
    assert seen[:, 10:14].all() and not seen[:, 6:10].any()
    assert not seen[:, :2].any(), "they leave the right view"
    assert seen[:, 15:].all()
    disparity[0, 12] = np.nan
    assert not stereo.seen_by_both(disparity)[0, 12]


def test_painting_alike_lowers_the_error(photo):
    """A painter whose strokes hold on to the screen paints every point twice."""
    pair = made(photo)
    strokes = np.random.default_rng(0).integers(-40, 40, pair.left.shape[:2])[..., None]

    def stylize(image):
        return np.clip(image.astype(int) + strokes, 0, 255).astype(np.uint8)

    found = stereo.measure(pair, stylize)
    assert found["photos"]["stereo_error"] < 1e-6
    assert found["views"]["stereo_error"] < 0.6 * found["off"]["stereo_error"]


def test_the_command(tmp_path, capsys):
    target = tmp_path / "stereo.json"
    assert main(["--model", "starry-fast", "--stereo", "--json", str(target), "--quiet"]) == 0
    data = json.loads(target.read_text())
    rows = {row["labels"]["views"]: row["metrics"] for row in data["rows"]}
    assert rows["photos"]["stereo_error"] < rows["views"]["stereo_error"]
    assert rows["views"]["stereo_error"] < 0.9 * rows["off"]["stereo_error"]
    assert 0.8 < rows["off"]["seen"] < 0.9
    assert "starry" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "160x90"], "leave --size out"),
        (["--degenerate"], "leave --degenerate out"),
        (["--check"], "leave --check out"),
        (["--model", "models/starry-fast.onnx"], '--model names "starry-fast" twice'),
    ],
)
def test_flags_of_clips_say_nothing_of_views(words, message, capsys):
    assert main(["--model", "starry-fast", "--stereo", *words]) == 2
    assert message in capsys.readouterr().err
