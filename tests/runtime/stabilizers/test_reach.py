"""When strokes give way: outlines beside a body that moves on, and whole groups of old ones."""

import cv2
import numpy as np

from runtime.stabilizers._handover import TURNS, turns
from runtime.stabilizers._reach import Reach
from runtime.stabilizers.live import Live

SIZE = (120, 160)
# How far the painter below draws its outline into the wall, in pixels.
OUTLINE = 9


def scene(left):
    """A wall with a textured body in front of it, that begins at this column: (H, W, 3) uint8."""
    rng = np.random.default_rng(3)
    wall = cv2.GaussianBlur(rng.integers(0, 256, SIZE, np.uint8), (0, 0), 2)
    wall = cv2.convertScaleAbs(wall, alpha=0.4, beta=150)
    body = cv2.GaussianBlur(rng.integers(0, 256, (80, 50), np.uint8), (0, 0), 2)
    wall[40:, left : left + 50] = cv2.convertScaleAbs(body, alpha=0.8, beta=-60)
    return cv2.merge([wall, wall, wall])


def painted(image):
    """What a network does: another color, and a dark outline on the wall around what is dark."""
    dark = (image[..., 0] < 110).astype(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    around = cv2.dilate(dark, np.ones((2 * OUTLINE + 1,) * 2, np.uint8)) - dark
    result = 255 - image
    result[around > 0] = (200, 40, 40)
    return result


def test_no_outline_stays_behind():
    stabilizer = Live(1.0)
    lefts = [20, 20, 20, *range(20, 80, 2), *[78] * 6]
    for left in lefts:
        shown = stabilizer.step(scene(left), painted(scene(left)))
    # Where the body was, and the outline left of it: the wall as it is painted, not red.
    behind = np.s_[40:, 5:50]
    wrong = np.abs(shown[behind].astype(int) - painted(scene(78))[behind]).max(axis=2) > 60
    assert wrong.mean() < 0.02


def test_a_difference_counts_beside_motion_only():
    gap = np.full((15, 20, 3), 4.0, np.float32)
    gap[5:9, 5:9] = 40.0
    still = np.zeros((120, 160), np.uint8)
    assert Reach().stale(gap, still) is None
    moving = still.copy()
    moving[40:70, 75:90] = 255
    found = Reach().stale(gap, moving)
    assert found is not None
    assert found[48:64, 48:64].all()
    assert not found[:, 100:].any()
    assert not found[:24].any()


def test_a_light_that_changes_everywhere_is_no_outline():
    gap = np.full((15, 20, 3), 30.0, np.float32)
    found = Reach().stale(gap, np.full((120, 160), 255, np.uint8))
    assert found is not None
    assert not found.any()


def test_it_goes_on_where_another_one_was():
    gap = np.full((15, 20, 3), 4.0, np.float32)
    gap[5:9, 5:9] = 40.0
    moving = np.zeros((120, 160), np.uint8)
    moving[40:70, 40:90] = 255
    first, second = Reach(), Reach()
    first.stale(gap, moving)
    second.resume(first.state())
    still = np.zeros_like(moving)
    np.testing.assert_array_equal(second.stale(gap, still), first.stale(gap, still))


def test_paint_is_exchanged_in_groups_that_are_larger_than_strokes():
    field = turns(240, 320)
    numbers, counts = np.unique(field, return_counts=True)
    np.testing.assert_allclose(numbers, np.arange(TURNS) / TURNS, atol=1e-6)
    assert counts.std() < 0.001 * field.size
    # Most places have neighbors of their own group at all sides: 0.02 of them had, one by one.
    inner = field[1:-1, 1:-1]
    corners = (field[:-2, :-2], field[:-2, 2:], field[2:, :-2], field[2:, 2:])
    assert np.logical_and.reduce([inner == corner for corner in corners]).mean() > 0.6
