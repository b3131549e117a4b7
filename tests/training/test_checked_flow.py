"""Flow there and back: a shift is found, what is hidden or outside is known."""

import cv2
import numpy as np

from training.data.checked_flow import CheckedFlow, inside


def test_a_shift_and_what_a_square_hides():
    rng = np.random.default_rng(0)
    ground, square = (
        cv2.GaussianBlur(rng.integers(0, 256, (120, 160), np.uint8), (0, 0), 2) for _ in range(2)
    )
    ground, square = (cv2.normalize(p, None, 0, 255, cv2.NORM_MINMAX) for p in (ground, square))
    now, before = ground.copy(), np.roll(ground, 2, 1)
    now[40:80, 60:100] = before[40:80, 70:110] = square[40:80, 60:100]
    flow, places, agree = CheckedFlow().measure(now, before)
    assert np.abs(np.median(flow[10:30, 20:140], axis=(0, 1)) - (2, 0)).max() < 0.1
    assert np.abs(np.median(flow[50:70, 70:90], axis=(0, 1)) - (10, 0)).max() < 0.3
    assert agree[10:30, 20:140].mean() > 0.95
    # The ground right of the square was behind it: 8 pixels, 2 of them its own motion.
    assert agree[45:75, 101:106].mean() < 0.5
    y, x = np.indices(now.shape)
    assert np.allclose(places, np.dstack([x, y]) + flow)


def test_inside_is_counted_from_pixel_centers():
    places = np.zeros((3, 4, 2), np.float32)
    places[0, 0], places[0, 1], places[1, 0] = (3, 2), (3.1, 2), (1, 1)
    assert inside(places, 0).tolist()[0][:2] == [True, False]
    assert inside(places, 1).sum() == 1
