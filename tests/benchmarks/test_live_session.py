"""The scripted session: what it looks for is found where it is; a minute of it shows none."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import live_session as session
from runtime.keys import action_named
from runtime.pictures.reading import read_rgb

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT.parent / "shared" / "data" / "video" / "webcam_gesture.mkv"


@pytest.fixture(scope="module")
def photo():
    return read_rgb(ROOT / "runtime" / "photographs" / "coffee.jpg")[:192, :256]


def test_every_line_of_the_script_is_an_action():
    assert [action_named(action) for _, action in session.SCRIPT]
    moments = [moment for moment, _ in session.SCRIPT]
    assert moments == sorted(moments) and moments[-1] < session.LENGTH_S


def test_a_still_picture_and_small_changes_of_light_have_no_faults(photo):
    frames = [cv2.convertScaleAbs(photo, alpha=1 + 0.01 * (k % 3)) for k in range(40)]
    seen = session.judge(frames, [photo])
    assert seen.faults == [] and seen.edges > 0.9


def test_squares_are_found(photo):
    """A tenth of all 16-px squares gets a new offset in each frame."""
    random = np.random.default_rng(0)
    offsets, frames = np.zeros((12, 16)), []
    for _ in range(session.WINDOW + 2):
        new = random.random(offsets.shape) < 0.1
        offsets[new] = random.normal(0, 10, int(new.sum()))
        square = np.kron(offsets, np.ones((16, 16)))[:, :, None]
        frames.append(np.clip(photo + square, 0, 255).astype(np.uint8))
    assert any("squares" in line for line in session.judge(frames, [photo]).faults)


def test_blur_is_found(photo):
    small = cv2.resize(photo, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    mush = cv2.resize(small, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    assert any("blur" in line for line in session.judge([mush], [photo]).faults)


@pytest.mark.parametrize(("level", "faults"), [(240, 1), (90, 1), (0, 0)])
def test_bars_are_found_unless_they_are_black(photo, level, faults):
    barred = photo.copy()
    barred[:, :5] = level
    assert [line for line in session.judge([barred], [photo]).faults if "bar" in line] == (
        ["frame 0: a left bar"] * faults
    )


def test_a_wall_that_changes_color_by_itself_is_found(photo):
    camera = [photo] * 4
    frames = [cv2.add(photo, (0, 0, 0) if k < 60 else (40, 40, 0)) for k in range(80)]
    found = session.washes(frames, camera, [0])
    assert len(found.faults) == session.SPAN and "frames 45 to 60" in found.faults[0]
    assert round(found.wash) == 40
    assert session.washes(frames, camera, [0, 59]).faults == []  # it was asked for
    moving = [cv2.add(photo, (k, k, k)) for k in range(80)]
    assert session.washes(moving, moving, [0]).faults == []  # so does the camera


def test_a_clip_off_its_codecs_grid_is_a_part_of_it(photo, tmp_path):
    cv2.imwrite(str(tmp_path / "1.png"), photo)
    target = session.off_grid(str(tmp_path), tmp_path / "clip.mkv")
    with session.open_source(str(target)) as source:
        (frame,) = [frame.image for frame in source]
    assert np.array_equal(frame, photo[4:, 4:, ::-1])


def test_every_frame_of_the_clip_is_painted_and_recorded(tmp_path):
    """However slow the machine: two seconds of the synthetic picture, with all of the script."""
    clip = session.off_grid("synthetic:100x68@15x4", tmp_path / "clip.mkv")
    record = tmp_path / "session.mkv"
    assert session.play(clip, ["starry-fast", "scream-fast"], record, 2.0) == (30, 0)
    with session.open_source(record) as source:
        times = [frame.time for frame in source]
    assert len(times) == 30
    assert [float(time) for time in times] == pytest.approx([k / 15 for k in range(30)], abs=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_minute_of_a_show_has_no_faults(tmp_path):
    if not CLIP.is_file():
        pytest.skip("needs webcam_gesture.mkv of the shared clips")
    record = tmp_path / "session.mp4"
    assert session.main(["--source", str(CLIP), "--record", str(record)]) == 0
