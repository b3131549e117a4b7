"""The virtual camera against a fake driver: what arrives, and what is said when it is missing."""

import sys
import types
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest

from runtime.errors import EngineUnavailable, SinkError
from runtime.frame import Frame
from runtime.sinks import open_sink
from runtime.sources import SourceInfo


class Camera:
    """pyvirtualcam's Camera: keeps what it is sent."""

    made: ClassVar[list["Camera"]] = []
    problem = ""

    def __init__(self, width, height, fps, device=None):
        if self.problem:
            raise RuntimeError(self.problem)
        self.width, self.height, self.fps = width, height, fps
        self.device = device or "/dev/video9"
        self.sent, self.closed = [], False
        Camera.made.append(self)

    def send(self, picture):
        assert picture.shape == (self.height, self.width, 3)
        assert picture.dtype == np.uint8
        assert picture.flags.c_contiguous
        if self.problem:
            raise RuntimeError(self.problem)
        self.sent.append(picture.copy())

    def close(self):
        self.closed = True


@pytest.fixture
def driver(monkeypatch):
    module = types.ModuleType("pyvirtualcam")
    module.Camera = type("Fake", (Camera,), {})
    Camera.made = []
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    return module.Camera


def picture(width, height):
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (height, width, 3), np.uint8)


def test_loopback(driver):
    image = picture(64, 48)
    with open_sink("virtualcam", SourceInfo("x", 64, 48, Fraction(25))) as sink:
        for index in range(3):
            sink.write(Frame(image, Fraction(index, 25), index))
        assert sink.device == "/dev/video9"
        assert sink.frames == 3
    (camera,) = Camera.made
    assert (camera.width, camera.height, camera.fps) == (64, 48, 25.0)
    assert all(np.array_equal(sent, image) for sent in camera.sent)
    assert camera.closed
    sink.close()
    sink.write(Frame(image, Fraction(1), 4))  # after closing nothing happens
    assert len(camera.sent) == 3


def test_odd_sizes_lose_a_row_and_a_column(driver):
    image = picture(65, 49)
    sink = open_sink("virtualcam:/dev/video2", SourceInfo("x", 65, 49))
    sink.write(Frame(image, Fraction(0), 0))
    sink.abort()
    (camera,) = Camera.made
    assert (camera.width, camera.height, camera.device) == (64, 48, "/dev/video2")
    assert np.array_equal(camera.sent[0], image[:48, :64])


def test_a_wrong_size_and_a_failing_driver(driver):
    sink = open_sink("virtualcam", SourceInfo("x", 64, 48))
    with pytest.raises(ValueError, match="frame is"):
        sink.write(Frame(picture(32, 48), Fraction(0), 0))
    driver.problem = "device is gone"
    with pytest.raises(SinkError, match="device is gone"):
        sink.write(Frame(picture(64, 48), Fraction(0), 0))


@pytest.mark.parametrize(
    ("platform", "words"),
    [("linux", "v4l2loopback"), ("win32", "OBS Studio"), ("darwin", "Start Virtual Camera")],
)
def test_a_missing_driver_gives_the_set_up_of_the_system(driver, monkeypatch, platform, words):
    driver.problem = "backend not found"
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(EngineUnavailable, match=words) as caught:
        open_sink("virtualcam", SourceInfo("x", 64, 48))
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_a_missing_package_gives_the_pip_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(EngineUnavailable, match="pip install"):
        open_sink("virtualcam", SourceInfo("x", 64, 48))
