"""The menu of the right mouse button: its rows, where they are, what a click does."""

import numpy as np
import pytest

from runtime.keys import action_named
from runtime.live.controls import Settings
from runtime.live.screen.menu import Menu, rows

STYLES = ["starry", "scream", "udnie"]


def test_every_row_is_an_action_and_says_whether_it_is_so():
    found = rows(Settings(style=1, split=True, frozen=True, strength=0.5), STYLES, recording=True)
    assert all(action_named(row.action) for row in found)
    assert [row.action for row in found[:3]] == ["style 1", "style 2", "style 3"]
    chosen = {row.action for row in found if row.chosen}
    assert {"style 2", "split", "freeze", "record", "strength 0.5", "stabilizer"} <= chosen
    assert not {"style 1", "mirror", "quit", "snapshot"} & chosen


def test_a_click_on_a_row_gives_its_action_and_closes_the_menu():
    image = np.full((480, 640, 3), 200, np.uint8)
    menu, entries = Menu(), rows(Settings(), STYLES, recording=False)
    menu.open(100, 50)
    menu.draw(image, entries)
    assert image[60, 105].max() < 100  # a dark panel
    assert menu.click(110, 50 + 14 + 7) == "style 2"
    assert menu.place is None
    menu.draw(image, entries)
    assert menu.click(110, 60) is None


def test_a_click_beside_closes_it():
    image = np.full((480, 640, 3), 200, np.uint8)
    menu = Menu()
    menu.open(300, 100)
    menu.draw(image, rows(Settings(), STYLES, recording=False))
    assert menu.click(10, 470) is None
    assert menu.place is None


@pytest.mark.parametrize("place", [(639, 479), (0, 0), (639, 0)])
@pytest.mark.parametrize("size", [(480, 640), (96, 128)])
def test_wherever_the_click_was_all_rows_can_be_reached(place, size):
    menu, entries = Menu(), rows(Settings(), STYLES, recording=False)
    image = np.full((*size, 3), 200, np.uint8)
    menu.open(*place)
    menu.draw(image, entries)
    assert len(menu._boxes) == len(entries)
    left, top, *_ = menu._boxes[0]
    assert 0 <= left < size[1] and 0 <= top < size[0]


def test_a_key_closes_it_and_knows_whether_it_was_open():
    menu = Menu()
    assert not menu.close()
    menu.open(5, 5)
    assert menu.close() and menu.place is None
