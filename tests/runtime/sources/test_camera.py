"""Cameras without a camera: a scripted driver behind cv2.VideoCapture, a scripted kernel."""

import errno
import struct
import sys
from fractions import Fraction
from typing import ClassVar

import cv2
import numpy as np
import pytest

import runtime.sources.camera as camera
from runtime.errors import SourceError
from runtime.sources import _v4l2, open_source
from runtime.sources._v4l2 import Camera, Mode, list_cameras


class Driver:
    """Stands in for cv2.VideoCapture; class attributes say how the camera behaves."""

    present, refuses, pictures, size, fps = True, "", 5, (64, 48), 30.0
    made: ClassVar[list["Driver"]] = []

    def __init__(self, index, backend):
        self.index, self.settings, self.released, self.number = index, {}, False, 0
        Driver.made.append(self)

    def isOpened(self):
        return self.present

    def set(self, prop, value):
        self.settings[prop] = value

    def get(self, prop):
        return self.fps if prop == cv2.CAP_PROP_FPS else 0

    def grab(self):
        self.number += 1
        return self.number <= self.pictures

    def retrieve(self, buffer=None):
        wanted = self.settings.get(cv2.CAP_PROP_FOURCC)
        if self.refuses and wanted == cv2.VideoWriter.fourcc(*self.refuses):
            return False, None
        width, height = self.size
        picture = np.zeros((height, width, 3), np.uint8)
        picture[..., 0] = self.number  # blue in OpenCV's order
        return True, picture

    def read(self, buffer=None):
        return self.retrieve() if self.grab() else (False, None)

    def release(self):
        self.released = True


@pytest.fixture
def driver(monkeypatch):
    kind = type("Scripted", (Driver,), {})
    Driver.made = []
    monkeypatch.setattr(cv2, "VideoCapture", kind)
    monkeypatch.setattr(camera, "list_cameras", list)
    return kind


def test_pictures_are_rgb_timed_and_end_with_an_error_when_unplugged(driver):
    frames = []
    with open_source("camera:3") as source:
        assert source.info.name == "camera 3"
        assert (source.info.width, source.info.height) == (64, 48)
        assert source.info.live
        assert source.info.rate == 30
        with pytest.raises(SourceError, match="no picture any more"):
            for frame in source:
                frames.append(frame)
    assert [f.image[0, 0].tolist() for f in frames] == [[0, 0, n] for n in range(1, 6)]
    times = [f.time for f in frames]
    assert times[0] == 0
    assert times == sorted(set(times))
    assert all(isinstance(t, Fraction) for t in times)
    assert Driver.made[-1].released


def test_asks_for_motion_jpeg_size_rate_and_a_short_queue(driver):
    camera.CameraSource("camera:0", size=(800, 600), rate=Fraction(25)).close()
    asked = Driver.made[0].settings
    assert asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    assert asked[cv2.CAP_PROP_FRAME_WIDTH] == 800
    assert asked[cv2.CAP_PROP_FRAME_HEIGHT] == 600
    assert asked[cv2.CAP_PROP_FPS] == 25.0
    assert asked[cv2.CAP_PROP_BUFFERSIZE] == 1


def test_a_driver_that_cannot_do_the_format_is_asked_again_without(driver):
    driver.refuses = "MJPG"
    camera.CameraSource("camera:0").close()
    assert cv2.CAP_PROP_FOURCC not in Driver.made[1].settings
    assert Driver.made[0].released


def test_held_pictures_are_not_overwritten(driver):
    with camera.CameraSource("camera") as source, pytest.raises(SourceError):
        held = []
        for frame in source:
            held.append(frame.image)
    assert [image[0, 0, 2] for image in held] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("told", [0.0, -1.0, 10_000_000.0])
def test_a_driver_that_does_not_know_its_rate(driver, told):
    driver.fps = told
    source = camera.CameraSource("camera:0")
    assert source.info.rate is None
    source.close()


def test_absent_silent_and_misspelt_cameras(driver, monkeypatch):
    monkeypatch.setattr(camera, "list_cameras", lambda: [Camera(2, "USB Cam")])
    driver.present = False
    with pytest.raises(SourceError, match=r"camera 1 cannot be opened \(found: camera:2 \(USB"):
        camera.CameraSource("camera:1")
    driver.present, driver.pictures = True, 0
    with pytest.raises(SourceError, match="gives no picture"):
        camera.CameraSource("camera:1")
    assert all(made.released for made in Driver.made)
    with pytest.raises(SourceError, match="write camera:0"):
        camera.CameraSource("camera:front")


def test_no_permission_is_said_before_trying(driver, monkeypatch):
    monkeypatch.setattr(
        camera, "list_cameras", lambda: [Camera(0, "/dev/video0", problem="no permission: sudo")]
    )
    with pytest.raises(SourceError, match="no permission"):
        camera.CameraSource("camera:0")


MODES = (
    Mode("YUYV", 640, 480, 30),
    Mode("YUYV", 1280, 720, 10),
    Mode("MJPG", 640, 480, 30),
    Mode("MJPG", 1280, 720, 30),
    Mode("MJPG", 1280, 720, 60),
    Mode("H264", 1920, 1080, 30),
)


@pytest.mark.parametrize(
    ("wish", "mode"),
    [
        ((640, 480, 30), MODES[0]),  # uncompressed costs less
        ((1280, 720, 30), MODES[3]),  # uncompressed is too slow
        ((1280, 720, 60), MODES[4]),
        ((1280, 720, 5), MODES[1]),
        ((1280, 720, 29.97), MODES[3]),
        ((3840, 2160, 30), MODES[5]),
    ],
)
def test_choice_of_mode(wish, mode):
    assert camera.choose_mode(MODES, *wish) == mode
    assert camera.choose_mode([], *wish) is None


class Kernel:
    """Answers ioctls as a UVC driver does; sizes and rates per format."""

    FORMATS: ClassVar = {"YUYV": {(640, 480): [30, 15]}, "MJPG": {(1280, 720): [30]}}

    def __init__(self, capabilities=_v4l2.CAP_VIDEO_CAPTURE, stepwise=False):
        self.capabilities, self.stepwise = capabilities, stepwise

    def __call__(self, handle, request, data):
        number, size = request & 0xFF, request >> 16 & 0x3FFF
        assert size == len(data)
        assert request >> 8 & 0xFF == ord("V")
        answer = {0: self.capability, 2: self.format, 74: self.size, 75: self.rate}[number](data)
        if answer is None:
            raise OSError(errno.EINVAL, "no more")
        data[:] = answer

    def capability(self, data):
        flags = self.capabilities | _v4l2.CAP_DEVICE_CAPS
        return struct.pack(
            _v4l2.CAPABILITY, b"uvc", b"Test Cam\0rest", b"usb", 6, flags, self.capabilities
        )

    def format(self, data):
        index = struct.unpack_from("I", data)[0]
        if index >= len(self.FORMATS):
            return None
        code = struct.unpack("<I", [*self.FORMATS][index].encode())[0]
        return struct.pack(_v4l2.FORMAT, index, 1, 0, b"words", code)

    def size(self, data):
        index, code = struct.unpack_from("2I", data)
        sizes = [*self.FORMATS[struct.pack("<I", code).decode()]]
        if self.stepwise:
            numbers = (320, 1280, 8, 240, 720, 8)
            return struct.pack(_v4l2.SIZE, 0, code, 3, *numbers) if index == 0 else None
        if index >= len(sizes):
            return None
        return struct.pack(_v4l2.SIZE, index, code, 1, *sizes[index], 0, 0, 0, 0)

    def rate(self, data):
        index, code, width, height = struct.unpack_from("4I", data)
        rates = self.FORMATS[struct.pack("<I", code).decode()].get((width, height), [30])
        if index >= len(rates):
            return None
        return struct.pack(
            _v4l2.INTERVAL, index, code, width, height, 1, 1, rates[index], 0, 0, 0, 0
        )


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="V4L2 is Linux's")


def test_struct_sizes_are_the_kernels():
    sizes = [
        struct.calcsize(s) for s in (_v4l2.CAPABILITY, _v4l2.FORMAT, _v4l2.SIZE, _v4l2.INTERVAL)
    ]
    assert sizes == [104, 64, 44, 52]


@linux
def test_modes_are_read_from_the_kernel(tmp_path):
    for name in ("video0", "video10", "video2", "videotape", "media0"):
        (tmp_path / name).touch()
    found = list_cameras(tmp_path, Kernel())
    assert [c.index for c in found] == [0, 2, 10]
    assert found[0].name == "Test Cam"
    assert found[0].modes == (
        Mode("YUYV", 640, 480, 30),
        Mode("YUYV", 640, 480, 15),
        Mode("MJPG", 1280, 720, 30),
    )


@linux
def test_a_range_of_sizes_lists_the_usual_ones(tmp_path):
    (tmp_path / "video0").touch()
    (found,) = list_cameras(tmp_path, Kernel(stepwise=True))
    assert {(m.width, m.height) for m in found.modes} == {(640, 480), (1280, 720)}


@linux
def test_devices_that_capture_nothing_are_left_out_and_silent_ones_named(tmp_path):
    (tmp_path / "video0").touch()
    assert list_cameras(tmp_path, Kernel(capabilities=2)) == []
    (found,) = list_cameras(tmp_path)  # the real ioctl on an ordinary file
    assert found.problem
