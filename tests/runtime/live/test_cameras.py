"""Choosing a camera while the picture runs."""

import pytest

from runtime.keys import action_named
from runtime.live.capture import Cameras


class Reads:
    """What a capture is told to read."""

    def __init__(self):
        self.opened, self.name = [], ""

    def switch(self, open_source, name):
        self.opened.append(open_source())
        self.name = name


def test_a_camera_is_chosen_by_its_number():
    reads = Reads()
    cameras = Cameras({0: "Built in", 2: "On the shelf"}, 0, lambda number: lambda: number)
    assert cameras.choose(2, reads) == "camera 2: On the shelf"
    assert reads.opened == [2] and cameras.current == 2
    assert reads.name == "camera 2"  # what is said of it when it is lost
    cameras.choose(2, reads)
    assert reads.opened == [2]  # it runs already
    assert "there are: 0, 2" in cameras.choose(1, reads)
    assert cameras.current == 2


def test_beside_other_sources_there_is_none():
    reads = Reads()
    assert "there are: none" in Cameras().choose(0, reads)
    assert not reads.opened


@pytest.mark.parametrize("word", ["camera 0", "camera-12"])
def test_the_words_for_it(word):
    assert action_named(word) == word.replace("-", " ")
