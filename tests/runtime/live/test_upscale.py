import cv2
import numpy as np
import pytest

from runtime.live.upscale import MOST, upscale


@pytest.fixture
def camera():
    """Edges at full size: what a small picture cannot hold."""
    picture = np.full((240, 320, 3), 60, np.uint8)
    cv2.rectangle(picture, (101, 63), (222, 171), (200, 180, 190), -1)
    cv2.putText(picture, "Impasto", (20, 220), cv2.FONT_HERSHEY_SIMPLEX, 1, (230, 230, 230), 1)
    return picture


def small(picture, size=(80, 60)):
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def error(a, b):
    return float(np.abs(a.astype(np.int16) - b).mean())


def test_what_follows_the_camera_gets_its_edges_back(camera):
    """A network that changes nothing: the camera's own picture is the right answer."""
    plain = cv2.resize(small(camera), (320, 240), interpolation=cv2.INTER_CUBIC)
    assert error(upscale(small(camera), camera), camera) < 0.5 * error(plain, camera)


def test_what_does_not_follow_the_camera_is_enlarged_only(camera):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    plain = cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)
    flat = np.full_like(camera, 90)
    assert np.array_equal(upscale(noise, flat), plain)


def test_a_negative_gets_no_false_edges(camera):
    """Where the painting is dark and the camera bright, adding the camera's detail is wrong."""
    negative = 255 - small(camera)
    plain = cv2.resize(negative, (320, 240), interpolation=cv2.INTER_CUBIC)
    assert error(upscale(negative, camera), plain) < 1.0


@pytest.mark.parametrize("size", [(320, 240), (640, 480), (33, 17)])
def test_any_size(camera, size):
    result = upscale(small(camera, size), camera)
    assert result.shape == camera.shape and result.dtype == np.uint8
    assert MOST >= 1
