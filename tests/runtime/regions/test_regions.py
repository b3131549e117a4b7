"""Masks of people: settling over time, edges of the picture, mixing; the bundled network; flags."""

from argparse import ArgumentParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import CardMismatch, UsageError
from runtime.model.options import StylizeOptions
from runtime.pictures.reading import read_rgb
from runtime.regions.matte import CALM, Matte, mix, refine, settle
from runtime.regions.options import add_region_flags, regions_of, take_models
from runtime.regions.segmenter import Segmenter

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "runtime" / "photographs"


def test_a_sure_mask_does_not_wait_and_a_doubtful_one_does():
    last = np.zeros((1, 3), np.float32)
    now = np.array([[0.0, 0.5, 1.0]], np.float32)
    assert np.allclose(settle(now, last), [[0.0, 0.5 * (1 - CALM), 1.0]])


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_what_settles_stays_between_both(now, last):
    found = settle(np.full((1, 1), now, np.float32), np.full((1, 1), last, np.float32))
    assert min(now, last) - 1e-6 <= found[0, 0] <= max(now, last) + 1e-6


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_flat_mask_stays_flat_on_any_picture(value):
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    found = refine(np.full((16, 16), value, np.float32), picture)
    assert found.shape == (48, 64)
    assert np.allclose(found, value, atol=1e-5)


def test_the_mask_ends_at_the_edge_of_the_picture():
    """A coarse mask one place wide of a bright body's edge is drawn to that edge."""
    picture = np.full((64, 64, 3), 30, np.uint8)
    picture[:, 34:] = 220
    coarse = np.zeros((16, 16), np.float32)
    coarse[:, 8:] = 1  # the edge at column 32 of 64
    fine = refine(coarse, picture)
    plain = cv2.resize(coarse, (64, 64))
    at_edge = (slice(None), slice(31, 37))
    truth = (picture[:, :, 0] > 100).astype(np.float32)
    assert np.abs(fine - truth)[at_edge].mean() < np.abs(plain - truth)[at_edge].mean()


def test_mixing():
    inside, outside = np.full((1, 3, 3), 200, np.uint8), np.full((1, 3, 3), 100, np.uint8)
    found = mix(inside, outside, np.array([[1.0, 0.5, 0.0]], np.float32))
    assert found[0, :, 0].tolist() == [200, 150, 100]


class Says:
    """A segmenter that says what it is told."""

    def __init__(self, *values):
        self.values = list(values)

    def mask(self, image):
        return np.full((4, 4), self.values.pop(0), np.float32)


def test_a_matte_remembers_and_forgets():
    picture = np.zeros((8, 8, 3), np.uint8)
    matte = Matte(Says(0.0, 0.5, 0.5))
    matte.of(picture)
    assert np.allclose(matte.of(picture), 0.5 * (1 - CALM), atol=1e-5)
    matte.reset()
    assert np.allclose(matte.of(picture), 0.5, atol=1e-5)


def test_the_bundled_network_finds_a_person():
    picture = read_rgb(PHOTOGRAPHS / "astronaut.jpg")
    segmenter = Segmenter()
    mask = Matte(segmenter).of(picture)
    segmenter.close()
    assert mask.shape == picture.shape[:2]
    assert mask[120:200, 190:250].min() > 0.8  # the face
    assert mask[60:140, 20:80].max() < 0.1  # the wall behind her


def test_a_model_that_paints_gives_no_mask():
    with pytest.raises(CardMismatch, match="gives no mask"):
        Segmenter("starry-fast")


def flags(*arguments):
    parser = ArgumentParser()
    parser.add_argument("--model", action="append")
    add_region_flags(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "models", "found"),
    [
        (["--model", "a"], ["a"], ("all", "")),
        (["--model", "a", "--only", "person"], ["a"], ("person", "")),
        (["--style-person", "a"], ["a"], ("person", "")),
        (["--style-background", "b"], ["b"], ("background", "")),
        (["--style-background", "b", "--style-person", "a"], ["a"], ("person", "b")),
        (["--style-person", "a", "--model", "c"], ["a", "c"], ("person", "")),
    ],
)
def test_flags(arguments, models, found):
    args = flags(*arguments)
    assert take_models(args) == found
    assert args.model == models


def test_only_beside_a_style_of_a_part_is_refused():
    with pytest.raises(UsageError, match="drop one"):
        take_models(flags("--only", "person", "--style-person", "a"))


def test_the_rest_is_painted_with_the_same_options():
    style = StylizeOptions([("a", 1.0)], strength=0.5, threads=1)
    other = regions_of("person", "b", style).beside
    assert other is not None
    assert (list(other.models), other.strength, other.threads) == ([("b", 1.0)], 0.5, 1)
