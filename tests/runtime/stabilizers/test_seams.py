"""Where the areas of painters meet: shares by hand, and no fleck of a third paint."""

import cv2
import numpy as np

from runtime.stabilizers._canvas import Canvas, _crowds, _several
from runtime.stabilizers._tracks import NEIGHBORS, Track


def crowds(rank):
    low, high = cv2.erode(rank, NEIGHBORS), cv2.dilate(rank, NEIGHBORS)
    several = _several(rank, low, high)
    return several, *_crowds(rank, several, np.zeros_like(rank))


def test_two_painters_are_no_crowd():
    rank = np.full((8, 8), 3, np.uint8)
    rank[:, 4:] = 7
    assert not crowds(rank)[0].any()


def test_a_fleck_between_two_others_by_hand():
    # 5 in the middle; of its nine 3 has five, 9 three.
    rank = np.full((7, 7), 3, np.uint8)
    rank[4:] = 9
    rank[3, 3] = 5
    several, most, share = crowds(rank)
    assert several[3, 3] == 255 and most[3, 3] == 3
    assert share[3, 3] == round(255 * 8 / 9)
    # Beside it: of the nine of 3 six are its own, 9 has none of row 2.
    assert several[0, 0] == 0 and share[0, 0] == 0


def test_a_fleck_goes_under_in_what_is_around_it():
    size, small = (80, 80), (40, 40)
    canvas = Canvas(3, size, small)
    for page, value in enumerate((20, 220, 120)):
        canvas.book.put(np.full((*size, 3), value, np.uint8), page)
    rank = np.full(small, 1, np.uint8)
    rank[:, 23:] = 2
    rank[10, 22] = 0  # at the border of the others
    shift = np.full((*small, 2), 1e-3, np.float32)
    drawn = canvas.draw(Track(shift, rank)).astype(int)
    # One of nine its own, five of the left one: 20 / 9 + 220 * 8 / 9.
    assert (np.abs(drawn[20:22, 44:46] - 198) <= 1).all()
    assert (np.abs(drawn[60, :40] - 220) <= 1).all()
