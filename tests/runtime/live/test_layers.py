"""Fades between styles, and the parts of the picture in which they are seen."""

import numpy as np
import pytest

from runtime.live.layers.layer import Layer, smooth
from runtime.live.layers.parts import Parts
from runtime.live.loop import Rotation
from runtime.regions.matte import Matte
from runtime.stabilizers.off import Off

SIZE = (12, 16, 3)


class Carrier(Off):
    """Repeats its last output; `able` False is a cut."""

    able = True

    def step(self, image, styled):
        self.last = styled
        return styled

    def skip(self, image):
        return self.last if self.able and image.shape == self.last.shape else None


def gray(value):
    return np.full(SIZE, value, np.uint8)


def layer(made):
    def make(on, stability):
        made.append(Carrier())
        return made[-1]

    return Layer(make)


def begin(one, value, moment, fade=1.0):
    one.begin(True, 1.0, moment, fade)
    shown = one.first(gray(0), gray(value), gray(0), moment)
    one.learn()
    return int(shown[0, 0, 0])


def shown(one, value, moment):
    return int(one.next(gray(0), gray(value), gray(0), moment)[0, 0, 0])


def test_the_first_style_is_there_at_once():
    assert begin(layer([]), 200, 0.0) == 200


def test_a_style_fades_into_the_next():
    one = layer([])
    begin(one, 100, 0.0)
    assert begin(one, 200, 5.0) == 100
    assert one.fading
    assert shown(one, 200, 5.5) == 150
    assert shown(one, 200, 5.9) == round(200 - 100 * (1 - smooth(0.9)))
    assert shown(one, 200, 6.0) == 200
    assert not one.fading


def test_a_change_within_a_fade_begins_from_what_is_on_the_screen():
    one = layer([])
    begin(one, 100, 0.0)
    begin(one, 200, 5.0)
    assert shown(one, 200, 5.5) == 150
    assert begin(one, 250, 5.5) == 150
    assert shown(one, 250, 6.0) == 200


def test_without_a_fade_the_change_is_at_once():
    one = layer([])
    begin(one, 100, 0.0)
    assert begin(one, 200, 5.0, fade=0.0) == 200


def test_a_cut_ends_a_fade():
    made = []
    one = layer(made)
    begin(one, 100, 0.0)
    begin(one, 200, 5.0)
    made[1].able = False  # the one that carries the old picture
    assert shown(one, 200, 5.1) == 200
    assert not one.fading


def test_a_fade_survives_another_working_size():
    one = layer([])
    begin(one, 100, 0.0)
    begin(one, 200, 5.0)
    small = np.full((6, 8, 3), 200, np.uint8)
    assert int(one.next(small, small, gray(0), 5.5)[0, 0, 0]) == 150


def test_what_was_not_painted_yet_fades_in_from_the_camera():
    one = layer([])
    one.begin(True, 1.0, 0.0, 1.0, gray(50))
    assert int(one.first(gray(0), gray(150), gray(0), 0.0)[0, 0, 0]) == 50
    assert shown(one, 150, 0.5) == 100


class Half:
    """People are on the right."""

    asked = 0

    def mask(self, image):
        self.asked += 1
        mask = np.zeros((64, 64), np.float32)
        mask[:, 32:] = 1
        return mask


def test_nobody_is_looked_for_until_a_part_is_asked_for():
    half = Half()
    parts = Parts(lambda: Matte(half))
    assert parts.mask(gray(0), "all", 0.0, 1.0) is None
    assert half.asked == 0


def test_a_part_comes_in_and_goes():
    parts = Parts(lambda: Matte(Half()))
    parts.mask(gray(0), "all", 0.0, 1.0)

    def ends(region, moment):
        mask = parts.mask(gray(0), region, moment, 1.0)
        return None if mask is None else (round(float(mask[0, 0]), 2), round(float(mask[0, -1]), 2))

    assert ends("person", 5.0) == (1, 1)
    assert ends("person", 5.5) == (0.5, 1)
    assert ends("person", 6.0) == (0, 1)
    assert ends("background", 7.0) == (0, 1)
    assert ends("background", 7.5) == (0.5, 0.5)
    assert ends("background", 8.5) == (1, 0)
    assert ends("all", 9.0) == (1, 0)
    assert ends("all", 10.0) is None


def test_a_part_that_is_asked_for_from_the_start_needs_no_fade():
    mask = Parts(lambda: Matte(Half())).mask(gray(0), "person", 5.0, 1.0)
    assert mask is not None and mask[0, 0] < 0.01


@pytest.mark.parametrize(("t", "weight"), [(-1, 0), (0, 0), (0.5, 0.5), (1, 1), (2, 1)])
def test_weights(t, weight):
    assert smooth(t) == weight


def test_styles_rotate_and_a_change_by_hand_counts_anew():
    rotation = Rotation(10.0)
    assert not rotation.due(0.0, 0)
    assert not rotation.due(9.0, 0)
    assert rotation.due(10.0, 0)
    assert not rotation.due(11.0, 1)
    assert not rotation.due(20.5, 1)
    assert rotation.due(21.0, 1)
    assert not rotation.due(22.0, 0)
    assert "stays" in rotation.toggle()
    assert not rotation.due(99.0, 0)
