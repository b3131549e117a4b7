"""Squares after a cut: found where they are, and a codec's own are none."""

import itertools

import cv2
import numpy as np
import pytest

from benchmarks.temporal import after_cut
from benchmarks.temporal.gates import TILE_LIMIT
from benchmarks.temporal.synthetic_clips import BUNDLED

SIZE = (96, 160)


def squares(seed, shape, deviation=5.0, side=8):
    offsets = np.random.default_rng(seed).normal(0, deviation, (shape[0] // side, shape[1] // side))
    return np.kron(offsets, np.ones((side, side)))[..., None]


@pytest.fixture(scope="module")
def frames():
    return after_cut.synthetic((BUNDLED[0], BUNDLED[1]), SIZE, moving=True, noise=3.0)


def test_the_cut_is_where_it_is_said_to_be(frames):
    assert len(frames) == after_cut.LENGTH
    steps = [cv2.absdiff(a, b).mean() for a, b in itertools.pairwise(frames)]
    assert int(np.argmax(steps)) + 1 == round(after_cut.BEFORE * after_cut.RATE)


def test_paint_that_keeps_still_has_no_squares(frames):
    found = after_cut.measure_after_cut(lambda image: image, "live", 1.0, frames)
    assert list(found) == ["tile_edges_1s", "tile_edges_2s", "tile_edges_5s"]
    assert max(found.values()) < TILE_LIMIT


def test_squares_that_come_later_are_found_when_they_are_there(frames):
    """The first pass, the shown one, has squares from the third second on."""
    number = 0
    begin = round((after_cut.BEFORE + 3) * after_cut.RATE)

    def stylize(image):
        nonlocal number
        number += 1
        if not begin < number <= after_cut.LENGTH:
            return image
        return np.clip(image + squares(number, SIZE), 0, 255).astype(np.uint8)

    found = after_cut.measure_after_cut(stylize, "off", 1.0, frames)
    assert found["tile_edges_1s"] == found["tile_edges_2s"] == 0
    assert found["tile_edges_5s"] > 3


def test_the_squares_of_a_codec_do_not_count(tmp_path):
    """Every frame of the clip has its own offsets in squares of 8; held paint differs by them."""
    shape = (400, 640, 3)
    drawn = [np.rint(128 + squares(number, shape)).repeat(3, axis=2) for number in range(4)]
    for number, picture in enumerate(drawn):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture.astype(np.uint8))
    clip = after_cut.real(str(tmp_path))
    assert len(clip) == after_cut.LENGTH and clip[0].shape == (396, 636, 3)
    assert after_cut.tile_edges([drawn[0] / 255] * 3, [d / 255 for d in drawn[1:]]) > 5
    assert after_cut.tile_edges(clip[:1] * 3, clip[1:4]) < 1
