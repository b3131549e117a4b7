"""The window: with scripted OpenCV calls anywhere, and really under Xvfb where that is possible."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ImageGrab
from waiting import wait_for

from runtime.frame import Frame
from runtime.live.controls import Settings
from runtime.live.overlay import AMBER, line_px
from runtime.live.screen.menu import rows
from runtime.sinks import window
from runtime.sinks.window import WindowSink, window_toolkit

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 90.0


class Toolkit:
    """Stands in for OpenCV's window calls."""

    def __init__(self):
        self.calls, self.keys, self.visible, self.picture = [], [], 1.0, None

    def install(self, monkeypatch):
        for name in (
            "namedWindow",
            "resizeWindow",
            "setWindowProperty",
            "destroyWindow",
            "moveWindow",
        ):
            monkeypatch.setattr(
                cv2, name, lambda *args, name=name: self.calls.append((name, *args))
            )
        monkeypatch.setattr(cv2, "setMouseCallback", self.set_mouse)
        monkeypatch.setattr(cv2, "imshow", self.imshow)
        monkeypatch.setattr(cv2, "waitKeyEx", lambda _: self.keys.pop(0) if self.keys else -1)
        monkeypatch.setattr(cv2, "waitKey", lambda _: -1)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: self.visible)
        monkeypatch.setattr(cv2, "getWindowImageRect", lambda _: (0, 0, 0, 0))
        monkeypatch.setattr(window, "check_windows", lambda: None)

    def set_mouse(self, title, callback):
        self.mouse = callback

    def imshow(self, title, picture):
        self.picture = picture.copy()


@pytest.fixture
def toolkit(monkeypatch):
    fake = Toolkit()
    fake.install(monkeypatch)
    return fake


def frame(width=64, height=48):
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 200  # red
    return Frame(image, Fraction(0), 0)


def test_pictures_are_shown_in_the_order_of_colors_opencv_wants(toolkit):
    with WindowSink("window:Mine") as sink:
        toolkit.keys = [ord("n")]
        sink.write(frame())
        assert toolkit.picture[0, 0].tolist() == [0, 0, 200]
        assert sink.key == ord("n")
        assert sink.poll() == -1
        assert sink.frames == 1
    assert ("destroyWindow", "Mine") in toolkit.calls


def test_large_pictures_open_in_a_window_that_fits(toolkit):
    sink = WindowSink()
    sink.write(frame(3200, 1800))
    (resized,) = [call for call in toolkit.calls if call[0] == "resizeWindow"]
    assert resized[2:] == (1600, 900)
    sink.close()


def test_full_screen_and_the_closed_window(toolkit):
    sink = WindowSink(fullscreen=True)
    assert sink.open
    sink.write(frame())
    assert toolkit.calls[-1][-1] == cv2.WINDOW_FULLSCREEN
    sink.set_fullscreen(False)
    assert toolkit.calls[-1][-1] == cv2.WINDOW_NORMAL
    toolkit.visible = 0.0
    assert not sink.open
    sink.close()
    sink.close()
    sink.write(frame())  # after closing nothing happens
    assert sink.frames == 1
    assert sink.poll() == -1


def needs(*programs):
    missing = [name for name in programs if shutil.which(name) is None]
    return pytest.mark.skipif(
        bool(missing) or window_toolkit() == "NONE",
        reason=f"needs opencv-python with windows, and {', '.join(programs)} "
        "(apt-get install xvfb xdotool)",
    )


@pytest.fixture
def display(monkeypatch):
    """A virtual screen of our own."""
    number = next(n for n in range(90, 200) if not Path(f"/tmp/.X11-unix/X{n}").exists())
    server = subprocess.Popen(
        ["Xvfb", f":{number}", "-screen", "0", "800x600x24", "-nolisten", "tcp"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    monkeypatch.setenv("DISPLAY", f":{number}")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    wait_for(window._display, PATIENCE_S)
    yield f":{number}"
    server.terminate()
    server.wait(PATIENCE_S)


@needs("Xvfb", "xdotool")
def test_a_real_window_obeys_the_keyboard(display, invert_model, tmp_path):
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "runtime.webcam", "--model", str(invert_model), "--json"),
            *("--source", "synthetic:320x240", "--snapshots", str(tmp_path), "--threads", "1"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        found = opened()
        for key in ("v", "minus", "c"):
            xdotool("windowfocus", found[-1], "key", key)
            time.sleep(0.2)
        shot = wait_for(lambda: list(tmp_path.glob("*.png")), PATIENCE_S)[0]
        xdotool("windowfocus", found[-1], "key", "q")
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == 0, err
    assert json.loads(out)["frames_out"] > 0
    picture = cv2.imread(str(shot))
    assert picture.shape == (240, 320, 3)
    assert (picture[:, 159:161] == 255).all()  # the line of the split view


@needs("Xvfb", "xdotool")
def test_a_real_window_has_black_bars_a_hold_mark_and_a_menu(display, invert_model, tmp_path):
    """A 320x240 picture in a window of 640x240; the menu's row for the split view is clicked."""
    command = [
        *(sys.executable, "-m", "runtime.webcam", "--model", str(invert_model), "--threads", "1"),
        *("--source", "synthetic:320x240", "--snapshots", str(tmp_path), "--no-stats"),
        *("--position", "20,30", "--freeze", "--fade", "0"),
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        found = opened()
        xdotool("windowsize", "--sync", found[-1], "640", "240")
        wait_for(lambda: grab(display)[40:260, 25:165].max() < 8, PATIENCE_S)
        shot = grab(display)
        inside = shot[30:270, 20:660]
        assert inside[:, 165:475].mean() > 30  # the picture in the middle
        assert inside[:, :155].max() < 8 and inside[:, 485:].max() < 8
        assert (np.abs(inside[:30, 400:480].astype(int) - AMBER).max(axis=2) < 30).any()  # HOLD
        xdotool("mousemove", "200", "40", "click", "3")
        names = [path.stem for path in sorted(invert_model.parent.glob("*.onnx"))]
        listed = [row.action for row in rows(Settings(), names, recording=False)]
        line = line_px(np.zeros((240, 320, 3), np.uint8))
        place = 40 + round((listed.index("split") + 0.5) * line)
        wait_for(lambda: grab(display)[100:140, 205:260].mean() < inside.mean(), PATIENCE_S)
        xdotool("mousemove", "215", str(place), "click", "1")
        # The line of the split view.
        wait_for(lambda: (grab(display)[60:250, 339:341] > 240).all(), PATIENCE_S)
        xdotool("windowfocus", found[-1], "key", "q")
        process.communicate(timeout=PATIENCE_S)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == 0


def opened():
    """Numbers of our visible windows, once there is one."""
    return wait_for(
        lambda: xdotool("search", "--onlyvisible", "--name", "Impasto").split(), PATIENCE_S
    )


def grab(display):
    """What stands on the display, (600, 800, 3) uint8 RGB."""
    return np.asarray(ImageGrab.grab(xdisplay=display))[:, :, :3]


def xdotool(*words):
    return subprocess.run(["xdotool", *words], capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("inside", "shape", "corner"),
    [
        ((320, 240), (24, 32), (0, 0)),  # the same shape
        ((321, 240), (24, 32), (0, 0)),  # within a pixel
        ((640, 240), (24, 64), (0, 16)),  # twice as wide: half of it beside the picture
        ((320, 480), (48, 32), (12, 0)),  # twice as high
        ((0, 0), (24, 32), (0, 0)),  # the toolkit does not tell
    ],
)
def test_bars_are_black_and_the_picture_keeps_its_shape(inside, shape, corner):
    picture = np.full((24, 32, 3), 200, np.uint8)
    shown = window.with_bars(picture, *inside)
    top, left = corner
    assert shown.shape[:2] == shape
    assert (shown[top : top + 24, left : left + 32] == 200).all()
    assert int(shown.sum()) == int(picture.sum())


def test_the_mouse_is_told_in_pixels_of_the_picture(toolkit, monkeypatch):
    """A 64x48 picture in a window twice as wide as it needs: 32 black pixels on each side."""
    monkeypatch.setattr(cv2, "getWindowImageRect", lambda _: (0, 0, 128, 48))
    with WindowSink(position=(1920, 0)) as sink:
        sink.write(frame())
        assert ("moveWindow", "Impasto", 1920, 0) in toolkit.calls
        toolkit.mouse(cv2.EVENT_MOUSEMOVE, 42, 5, 0, None)
        assert sink.pointer == (10, 5)
        toolkit.mouse(cv2.EVENT_RBUTTONDOWN, 42, 5, 0, None)
        toolkit.mouse(cv2.EVENT_LBUTTONDOWN, 33, 7, 0, None)
        assert sink.clicks == [("right", 10, 5), ("left", 1, 7)]
