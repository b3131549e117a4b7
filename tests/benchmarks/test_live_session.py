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
    seen = session.judge(frames, of_the_camera(photo, frames))
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
    faults = session.judge(frames, of_the_camera(photo, frames)).faults
    assert any("squares" in line for line in faults)


def mush_of(picture):
    small = cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def test_blur_is_found(photo):
    faults = session.judge([mush_of(photo)], of_the_camera(photo, [photo])).faults
    assert any("blur" in line for line in faults)


def test_blurred_paint_is_found_though_it_has_more_edges_than_the_camera(photo):
    """A network paints strokes on a plain wall: enlarged from a quarter they are mush."""
    strokes = np.random.default_rng(0).normal(0, 30, photo.shape[:2])
    strokes = cv2.GaussianBlur(strokes, (5, 5), 0)[:, :, None] * 4
    own = np.clip(photo + strokes, 0, 255).astype(np.uint8)
    least = [session.Least(session.edges(mush_of(photo)), session.edges(own))]
    assert session.judge([own], least).faults == []
    assert session.edges(mush_of(own)) > least[0].any
    assert "blur" in session.judge([mush_of(own)], least).faults[0]


def test_a_networks_grain_is_no_edge_and_its_plain_strokes_are_no_blur(photo):
    """`scream-fast` paints 176x144 pixels with half of the camera's edges and a grain of 2 px."""
    plain = cv2.GaussianBlur(photo, (5, 5), 0)
    grain = 6 * (-1.0) ** np.add.outer(np.arange(photo.shape[0]), np.arange(photo.shape[1]))
    grained = np.clip(plain + grain[:, :, None], 0, 255).astype(np.uint8)
    assert session.edges(grained) == pytest.approx(session.edges(plain), rel=0.1)
    (least, *_) = session.expected(1, 30, session.edges(photo), [session.edges(grained)])
    assert session.judge([plain], [least]).faults == []


def test_what_is_expected_follows_the_script():
    """Edges: camera 5; the three styles 4, 9 and 6."""
    least = session.expected(1800, 30, 5.0, [4.0, 9.0, 6.0])
    assert least[3 * 30] == session.Least(4, 4)  # style 1
    assert least[round(6.5 * 30)] == session.Least(4)  # it goes, style 2 comes
    assert least[10 * 30] == session.Least(5, 9)
    assert least[15 * 30] == session.Least(5)  # people alone
    assert least[20 * 30] == session.Least(4)  # style 1 beside it
    assert least[30 * 30] == session.Least(5)  # split
    assert least[round(33.6 * 30)] == session.Least(5, 6)  # style 3
    assert least[49 * 30] == session.Least(4)  # colors of the camera
    assert least[58 * 30] == session.Least(4)  # all of them


def of_the_camera(photo, frames):
    return [session.Least(session.edges(photo))] * len(frames)


@pytest.mark.parametrize(("level", "faults"), [(240, 1), (90, 1), (0, 0)])
def test_bars_are_found_unless_they_are_black(photo, level, faults):
    barred = photo.copy()
    barred[:, :5] = level
    found = session.judge([barred], of_the_camera(photo, [barred])).faults
    assert [line for line in found if "bar" in line] == ["frame 0: a left bar"] * faults


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
