"""A window on the screen (OpenCV's), which also reads the keyboard.

Needs `opencv-python`; the headless wheel has no windows. All calls belong to the main thread: most
window systems demand it.
"""

import os
import socket
import sys
from pathlib import Path

import cv2

from ..console import printable
from ..errors import EngineUnavailable
from ..fields import is_whole
from ..frame import Frame, Image
from ..pictures.buffers import Pool
from ..sources import SourceInfo
from . import Sink

TITLE = "Impasto"
# Larger pictures open in a window of at most this size; it can be resized.
MAX_WIDTH, MAX_HEIGHT = 1600, 900
INSTALL = (
    "pip uninstall -y opencv-python-headless opencv-python && pip install opencv-python "
    "(on a bare Linux also: apt-get install libgl1 libglib2.0-0)"
)
OTHERWISE = "or use --headless, --serve 127.0.0.1:8080, --record FILE"


class WindowSink(Sink):
    """Shows each frame; see `runtime.sinks` for the contract.

    Args:
        spec: "window", or "window:TITLE".
        info: of the frames to come; the window takes any size.
        fullscreen: cover the screen from the start.
        position: (x, y) of its corner on the desktop in pixels, where a second screen goes on to
            the right or below; None leaves it to the system.

    Attributes:
        frames: how many were shown.
        key: code of the last key pressed since the last `write` or `poll`, -1 for none.
        pointer: (x, y) of the mouse in pixels of the picture.
        clicks: buttons pressed since they were last taken out: ("left" or "right", x, y).

    Raises:
        EngineUnavailable: this OpenCV has no windows, or there is no display.
    """

    def __init__(
        self,
        spec: str = "window",
        info: SourceInfo | None = None,
        *,
        fullscreen: bool = False,
        position: tuple[int, int] | None = None,
    ) -> None:
        check_windows()
        self.frames = 0
        self._title = printable(spec.partition(":")[2]) or TITLE
        self._fullscreen, self._position = fullscreen, position
        self.pointer = (-1, -1)
        self.clicks: list[tuple[str, int, int]] = []
        self._beside = (0, 0)  # black to the left of the picture and above it
        self._open = False
        self._closed = False
        self._pool = Pool(limit=2)
        self.key = -1

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for "window" and "window:TITLE"."""
        return spec.partition(":")[0] == "window"

    def write(self, frame: Frame) -> None:
        """Show the picture now."""
        if self._closed:
            return
        height, width = frame.image.shape[:2]
        if not self._open:
            self._create(width, height)
        buffer = self._pool.take(height, width, 3)
        picture = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR, dst=buffer)
        shown = with_bars(picture, *self._inside())
        self._beside = (shown.shape[1] - width) // 2, (shown.shape[0] - height) // 2
        cv2.imshow(self._title, shown)
        self.frames += 1
        self.poll()

    def poll(self) -> int:
        """Let the window system work, and return the code of a key, -1 if none was pressed."""
        if not self._open or self._closed:
            return -1
        self.key = cv2.waitKeyEx(1)
        return self.key

    @property
    def open(self) -> bool:
        """False once the user has closed the window."""
        if self._closed or not self._open:
            return not self._closed
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # Qt forgets a window at once when it is closed
            return False

    def set_fullscreen(self, on: bool) -> None:
        """Cover the screen, or go back into the frame."""
        self._fullscreen = on
        if self._open and not self._closed:
            kind = cv2.WINDOW_FULLSCREEN if on else cv2.WINDOW_NORMAL
            cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, kind)

    def close(self) -> None:
        """Close the window; may be called twice."""
        if self._open and not self._closed:
            try:
                cv2.destroyWindow(self._title)
                cv2.waitKey(1)  # Qt closes it only when it may work once more
            except cv2.error:  # the user was faster
                self._open = False
        self._closed = True

    def abort(self) -> None:
        """As `close`: a window keeps nothing."""
        self.close()

    def _mouse(self, event: int, x: int, y: int, flags: int, data: object) -> None:
        """What OpenCV tells of the mouse, in pixels of what is shown, black bars included."""
        self.pointer = (x - self._beside[0], y - self._beside[1])
        kind = {cv2.EVENT_LBUTTONDOWN: "left", cv2.EVENT_RBUTTONDOWN: "right"}.get(event)
        if kind is not None:
            self.clicks.append((kind, *self.pointer))

    def _inside(self) -> tuple[int, int]:
        """(width, height) of the window's inside in pixels; (0, 0) where that cannot be asked."""
        try:
            _, _, width, height = cv2.getWindowImageRect(self._title)
            return width, height
        except cv2.error:
            return 0, 0

    def _create(self, width: int, height: int) -> None:
        # GUI_NORMAL: without it Qt adds a tool bar and a menu of its own. FREERATIO: toolkits fill
        # what a kept ratio leaves over with their light gray; the bars are drawn by us, in black.
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL
        cv2.namedWindow(self._title, flags)
        scale = min(1.0, MAX_WIDTH / width, MAX_HEIGHT / height)
        cv2.resizeWindow(self._title, round(width * scale), round(height * scale))
        if self._position is not None:
            cv2.moveWindow(self._title, *self._position)
        cv2.setMouseCallback(self._title, self._mouse)
        self._open = True
        if self._fullscreen:
            self.set_fullscreen(True)

    def __enter__(self) -> "WindowSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def with_bars(image: Image, width: int, height: int) -> Image:
    """The picture in the middle of black, in the shape of width x height, at its own size; the same
    object if it has that shape to within a pixel, or if the shape is unknown (0)."""
    if width <= 0 or height <= 0:
        return image
    high, wide = image.shape[:2]
    beside = max(0, round(high * width / height) - wide)
    above = max(0, round(wide * height / width) - high)
    if beside <= 1 and above <= 1:
        return image
    left, top = beside // 2, above // 2
    sides = (top, above - top, left, beside - left)
    return cv2.copyMakeBorder(image, *sides, cv2.BORDER_CONSTANT, value=(0, 0, 0))


def check_windows() -> None:
    """Raise EngineUnavailable, saying what to do, where no window can be opened.

    The display is tried before OpenCV is: its Qt ends the whole process if it cannot connect.
    """
    if window_toolkit() == "NONE":
        raise EngineUnavailable(
            f"this OpenCV has no windows (headless build); {INSTALL}; {OTHERWISE}"
        )
    if sys.platform.startswith("linux") and not _display():
        raise EngineUnavailable(
            f'no display to open a window on (DISPLAY is "{os.environ.get("DISPLAY", "")}"); '
            f"start it from a desktop session, {OTHERWISE}"
        )


def window_toolkit() -> str:
    """What OpenCV opens windows with: "QT5", "GTK3", "COCOA", "WIN32UI", ..., or "NONE"."""
    for text in cv2.getBuildInformation().splitlines():
        name, _, value = text.partition(":")
        if name.strip() == "GUI":
            return value.split()[0].upper() if value.split() else "NONE"
    return "NONE"


def _display() -> bool:
    """Whether a display is named and, where that can be seen, answers."""
    if os.environ.get("WAYLAND_DISPLAY"):
        return True
    host, _, number = os.environ.get("DISPLAY", "").rpartition(":")
    number = number.split(".")[0]
    if not is_whole(number):
        return False
    if host not in ("", "unix"):
        return True  # another machine: only trying it would tell
    path = f"/tmp/.X11-unix/X{number}"
    # X servers listen at a path, on Linux also at the same name in the abstract name space.
    names = [path] if Path(path).exists() else []
    for name in [*names, f"\0{path}"]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(2.0)
            try:
                probe.connect(name)
                return True
            except OSError:
                continue
    return False


PLUGIN = WindowSink
