"""Input noise: where it is strong, that it is repeatable, and that it follows the camera."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import input_noise, open_session
from runtime.input_noise.flat import HALF, flatness
from runtime.input_noise.scene import SceneNoise
from runtime.input_noise.still import StillNoise, flat_cells


def test_still_noise_is_repeatable_soft_and_scaled():
    noise = StillNoise(200, 300, 0.5, seed=3)
    field = noise.whole()
    assert field.shape == (200, 300, 3) and field.dtype == np.float32
    assert np.array_equal(field, StillNoise(200, 300, 0.5, seed=3).whole())
    assert not np.array_equal(field, StillNoise(200, 300, 0.5, seed=4).whole())
    # Cells of deviation .1, smoothed: 60-100 % of it is left; neighbors are nearly equal.
    assert 0.06 < field.std() < 0.1
    assert np.abs(np.diff(field, axis=1)).mean() < 0.2 * field.std()


@given(
    top=st.integers(0, 190),
    left=st.integers(0, 290),
    rows=st.integers(1, 99),
    columns=st.integers(1, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_window_of_still_noise_is_part_of_the_whole(top, left, rows, columns):
    weights = np.random.default_rng(0).random((13, 19), np.float32)
    noise = StillNoise(200, 300, 1.0, weights=weights)
    bottom, right = min(200, top + rows), min(300, left + columns)
    window = noise.window(top, left, bottom, right)
    assert np.allclose(window, noise.whole()[top:bottom, left:right], atol=1e-6)


def test_flatness_has_the_answers_of_its_formula():
    gray = np.full((40, 33), 90, np.uint8)  # cells at the edge are not whole
    assert flatness(gray).shape == (3, 3) and (flatness(gray) == 1).all()
    # Half of the pixels that are looked at, every second one, are 2 HALF brighter.
    gray[:16, :16] += (HALF * 2 * (np.indices((16, 16)).sum(0) // 2 % 2)).astype(np.uint8)
    found = flatness(gray)
    assert found[0, 0] == pytest.approx(0.5) and found[0, 1] == 1 == found[1, 0]


@pytest.mark.parametrize("height", [1, 127, 128, 129, 300])
def test_flat_cells_in_bands_are_those_of_the_whole(height):
    photo = np.random.default_rng(1).integers(0, 256, (height, 70, 3), np.uint8)
    whole = flatness(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))
    assert np.array_equal(flat_cells(photo), whole)
    assert np.array_equal(flat_cells(photo.astype(np.uint16) << 8), whole)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"noise": 0.3}, True),
        ({"seeds": 0.3}, True),
        ({"noise": 0.0}, False),
        ({"noise": "much"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_the_card_says_whether_noise_was_learned(invert_model, data, expected):
    with open_session(invert_model) as session:
        card = replace(session.card, recipe={"data": data})
    assert input_noise.learned(card) is expected


def world(height: int = 400, width: int = 700) -> np.ndarray:
    """A scene with a little texture everywhere, for the camera's motion to be seen."""
    rng = np.random.default_rng(2)
    soft = cv2.resize(rng.normal(0, 9, (height // 20, width // 20, 3)), (width, height))
    return np.clip(120 + soft, 0, 255).astype(np.uint8)


def added(noise: SceneNoise, frame: np.ndarray) -> np.ndarray:
    return noise.add(frame).astype(int) - frame.astype(int)


def test_scene_noise_stays_where_the_camera_does_and_is_scaled():
    frame = np.full((120, 200, 3), 128, np.uint8)
    noise = SceneNoise(0.5, seed=1)
    first, later = added(noise, frame), added(noise, frame)
    assert np.array_equal(first, later)
    assert 0.06 < first.std() / 255 < 0.1 and abs(first.mean()) < 8
    assert not np.array_equal(first, added(SceneNoise(0.5, seed=2), frame))


def test_scene_noise_pans_with_the_camera():
    scene, noise = world(), SceneNoise(0.5)
    views = [scene[10:250, 10 + 6 * i : 330 + 6 * i] for i in range(9)]
    fields = [added(noise, view) for view in views]
    moved, held = fields[8][8:-8, : -8 - 48], fields[0][8:-8, 48:-8]
    alike = np.corrcoef(moved.ravel(), held.ravel())[0, 1]
    fixed = np.corrcoef(fields[8].ravel(), fields[0].ravel())[0, 1]
    assert alike > 0.9 and fixed < 0.3, (alike, fixed)


def test_scene_noise_leaves_texture_and_no_amount_alone():
    busy = np.random.default_rng(3).integers(0, 256, (96, 96, 3), np.uint8)
    assert np.abs(added(SceneNoise(1.0), busy)).mean() < 0.5  # of 255
    assert SceneNoise(0.0).add(busy) is busy


def test_scene_noise_goes_on_where_another_one_was():
    views = [world()[10:250, 10 + 5 * i : 330 + 5 * i] for i in range(6)]
    first, second = SceneNoise(0.4), SceneNoise(0.4)
    for view in views[:3]:
        first.add(view)
    second.resume(first.state())
    for view in views[3:]:
        assert np.array_equal(first.add(view), second.add(view))


def test_after_a_reset_scene_noise_is_as_at_first():
    views = [world()[10:250, 10 + 5 * i : 330 + 5 * i] for i in range(4)]
    noise = SceneNoise(0.4)
    fresh = [noise.add(view) for view in views]
    noise.reset()
    assert all(np.array_equal(noise.add(v), f) for v, f in zip(views, fresh, strict=True))


@pytest.mark.parametrize("size", [(8, 8), (17, 31), (33, 1000), (90, 160)])
def test_scene_noise_takes_any_size_and_a_change_of_it(size):
    noise = SceneNoise(1.0)
    for height, width in (size, (64, 48), size):
        frame = np.full((height, width, 3), 100, np.uint8)
        assert noise.add(frame).shape == frame.shape


def test_a_jump_is_no_camera_motion():
    noise, frame = SceneNoise(0.5), world()[:240, :320]
    first = added(noise, frame)
    noise.add(np.ascontiguousarray(frame[::-1, ::-1]))
    field = added(noise, frame)
    assert np.corrcoef(first.ravel(), field.ravel())[0, 1] > 0.5
