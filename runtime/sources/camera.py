"""Cameras of this machine: `camera:0`, `camera:1`, ...

The camera is asked for the mode that costs least: uncompressed where it gives the wanted size and
rate so, else motion JPEG (USB 2 has no room for uncompressed 1280x720 at 30 frames per second,
and drivers left alone then choose 10). Its own queue is kept at one picture.
"""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction

import cv2

from ..errors import SourceError
from ..frame import Frame, Image
from ..invocation import command
from ..pictures.buffers import Pool
from . import Source, SourceInfo
from ._v4l2 import Camera, Mode, list_cameras

_SPEC = re.compile(r"camera(?::(\d+))?$")
SIZE, RATE = (1280, 720), 30.0  # asked for when nobody says otherwise
# Pixel formats that need no decoder, and what decoding motion JPEG costs against them: 1.95 ms
# instead of 0.32 ms at 1280x720 on one core.
UNCOMPRESSED = ("YUYV", "UYVY", "NV12", "YU12", "RGB3", "BGR3")
# Pictures a camera may swallow while its exposure settles before it counts as giving none.
PATIENCE = 10


class CameraSource(Source):
    """A camera as a source.

    Args:
        spec: see the module.
        size: (width, height) wished for; the camera gives its nearest.
        rate: frames per second wished for.

    Attributes:
        info: what the camera really gives.
        taken: `time.perf_counter` seconds at which the last picture arrived, before decoding.
        decode_ms: time its decoding took.
    """

    def __init__(
        self,
        spec: str = "camera:0",
        *,
        size: tuple[int, int] | None = None,
        rate: Fraction | float | None = None,
    ) -> None:
        match = _SPEC.match(spec)
        if match is None:
            raise SourceError(f'"{spec}" is no camera; write camera:0, camera:1, ...')
        self._index = int(match[1] or 0)
        self._pool = Pool()
        self._raw: Image | None = None
        self._closed = False
        self.taken = self.decode_ms = 0.0
        wish = (*(size or SIZE), float(rate or RATE))
        self._capture, first = _open(self._index, wish)
        height, width = first.shape[:2]
        self._first: Image | None = first
        told = self._capture.get(cv2.CAP_PROP_FPS)
        # Drivers that do not know say 0, -1 or a microsecond clock.
        known = Fraction(told).limit_denominator(1001) if 1 <= told <= 240 else None
        self.info = SourceInfo(f"camera {self._index}", width, height, known, None, True)

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for `camera` and `camera:N`."""
        return spec.split(":", 1)[0] == "camera"

    def __iter__(self) -> Iterator[Frame]:
        """Pictures as they come, with the time since the first.

        Raises:
            SourceError: the camera gives no more pictures (unplugged, taken by another program).
        """
        start, index = time.perf_counter(), 0
        if self._first is not None:
            first, self._first, self.taken = self._first, None, start
            yield Frame(self._rgb(first), Fraction(0), index)
        while not self._closed:
            index += 1
            if not self._capture.grab():
                raise SourceError(f"camera {self._index} gives no picture any more")
            self.taken = time.perf_counter()
            good, picture = self._capture.retrieve(self._raw)
            if not good or picture is None:
                raise SourceError(f"camera {self._index} sent a picture that cannot be decoded")
            self._raw = picture  # OpenCV writes the next one into the same memory
            image = self._rgb(picture)
            self.decode_ms = (time.perf_counter() - self.taken) * 1000.0
            yield Frame(image, Fraction(round((self.taken - start) * 1e6), 1_000_000), index)

    def close(self) -> None:
        """Give the camera back; may be called twice."""
        self._closed = True
        self._capture.release()

    def _rgb(self, picture: Image) -> Image:
        size = (self.info.width, self.info.height)
        if picture.shape[1::-1] != size:
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        buffer = self._pool.take(*picture.shape)
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB, dst=buffer)


PLUGIN = CameraSource


def choose_mode(modes: Sequence[Mode], width: int, height: int, fps: float) -> Mode | None:
    """The mode nearest to a wish: first the size, then the rate, then the cheapest format.

    Args:
        modes: what the camera offers.
        width, height, fps: the wish.
    """

    def badness(mode: Mode) -> tuple[float, float, int, float]:
        size = abs(mode.width * mode.height - width * height) / (width * height)
        # A percent too slow is 29.97 for 30: fine; more than asked for costs nothing but bandwidth.
        slow = max(0.0, fps * 0.99 - mode.fps)
        kind = 0 if mode.fourcc in UNCOMPRESSED else 1 if mode.fourcc == "MJPG" else 2
        return (round(size, 3), slow, kind, abs(mode.fps - fps))

    return min(modes, key=badness, default=None)


def _open(index: int, wish: tuple[int, int, float]) -> tuple[cv2.VideoCapture, Image]:
    """An open camera in its best mode, and its first picture."""
    _quiet()
    cameras = list_cameras()
    mine = next((camera for camera in cameras if camera.index == index), None)
    if mine is not None and mine.problem:
        raise SourceError(f"camera {index} ({mine.name}): {mine.problem}")
    mode = choose_mode(mine.modes, *wish) if mine is not None else None
    fourcc = mode.fourcc if mode is not None else "MJPG"
    size = (mode.width, mode.height, mode.fps) if mode is not None else wish
    # The second attempt leaves the format to the driver: some refuse one that they announced.
    for asked in (fourcc, None):
        capture = cv2.VideoCapture(index, _backend())
        if not capture.isOpened():
            capture.release()
            raise SourceError(_absent(index, cameras))
        if asked is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*asked))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        capture.set(cv2.CAP_PROP_FPS, size[2])
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        for _ in range(PATIENCE):
            good, picture = capture.read()
            if good and picture is not None:
                return capture, picture
        capture.release()
    raise SourceError(
        f"camera {index} opens but gives no picture; another program may use it, or its privacy "
        "switch is on"
    )


def _quiet() -> None:
    """Let OpenCV print errors only: what a camera cannot do is said in our own words."""
    if hasattr(cv2, "setLogLevel"):  # OpenCV 4; 2 = LOG_LEVEL_ERROR
        cv2.setLogLevel(2)  # pyright: ignore[reportAttributeAccessIssue]
    else:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


def _backend() -> int:
    if sys.platform.startswith("linux"):
        return cv2.CAP_V4L2
    return cv2.CAP_AVFOUNDATION if sys.platform == "darwin" else cv2.CAP_ANY


def _absent(index: int, cameras: list[Camera]) -> str:
    others = ", ".join(f"camera:{camera.index} ({camera.name})" for camera in cameras)
    found = f"found: {others}" if others else "none was found"
    return (
        f"camera {index} cannot be opened ({found}); {command('doctor')} says more, "
        "and --source synthetic needs no camera"
    )
