"""A moving test picture that needs no file: the same pixels for the same frame number everywhere.

`synthetic`, or `synthetic:1280x720`, `synthetic:640x480@25`, `synthetic:640x480@25x300` (300
frames). A camera drifts over a painted plane (hills, stripes, disks, grain) while a disk and a bar
move on their own, so that optical flow, edges, flat parts and fine texture are all present.
"""

import re
import time
from collections.abc import Iterator
from fractions import Fraction
from math import cos, pi, sin

import cv2
import numpy as np

from ..errors import SourceError
from ..frame import Frame, Image
from ..pictures.buffers import Pool
from . import Source, SourceInfo

_SPEC = re.compile(r"synthetic(:(?P<w>\d+)x(?P<h>\d+)(@(?P<rate>\d+(/\d+)?)(x(?P<n>\d+))?)?)?$")
SIZE = (640, 480)  # the usual size of a webcam
RATE = Fraction(30)
LOOP = 300  # frames after which the motion repeats: 10 seconds at 30 frames per second
MARGIN = 64  # how far the camera drifts over the plane, in pixels


class SyntheticSource(Source):
    """The test picture as a source.

    Args:
        spec: see the module.
        size: (width, height) in pixels; the spec wins.
        rate: frames per second; the spec wins.
        live: deliver by the clock, as a camera does (a reader that is late misses frames), instead
            of as fast as possible.
        num_frames: stop after so many frames; the spec wins; None goes on for ever when live and
            for one loop of the motion otherwise.

    Attributes:
        decode_ms: how long the last picture took to draw.
    """

    def __init__(
        self,
        spec: str = "synthetic",
        *,
        size: tuple[int, int] | None = None,
        rate: Fraction | int | None = None,
        live: bool = False,
        num_frames: int | None = None,
    ) -> None:
        match = _SPEC.match(spec)
        if match is None:
            raise SourceError(
                f'"{spec}" is no synthetic source; write synthetic, synthetic:640x480 or '
                "synthetic:640x480@30"
            )
        width, height = size or SIZE
        if match["w"]:
            width, height = int(match["w"]), int(match["h"])
        rate = Fraction(match["rate"] or rate or RATE)
        if not (1 <= width <= 16384 and 1 <= height <= 16384) or rate <= 0:
            raise SourceError(f'"{spec}": size is 1..16384 pixels a side and the rate above 0')
        count = int(match["n"]) if match["n"] else num_frames
        if count is None and not live:
            count = LOOP
        self.info = SourceInfo("synthetic", width, height, rate, count, live)
        self._plane = paint_plane(width + 2 * MARGIN, height + 2 * MARGIN)
        self._pool = Pool()
        self.decode_ms = 0.0
        self._closed = False

    @staticmethod
    def accepts(spec: str) -> bool:
        """True for `synthetic` and `synthetic:...`."""
        return spec.split(":", 1)[0] == "synthetic"

    def __iter__(self) -> Iterator[Frame]:
        """Frames at `n / rate` seconds; live ones sleep until their time has come."""
        rate, count = self.info.rate or RATE, self.info.num_frames
        start = time.monotonic()
        number = index = 0
        while not self._closed and (count is None or index < count):
            moment = number / rate
            if self.info.live:
                wait = float(moment) - (time.monotonic() - start)
                if wait > 0:
                    time.sleep(wait)
                else:  # late: what a camera showed meanwhile is gone
                    number = int((time.monotonic() - start) * rate)
                    moment = number / rate
            before = time.perf_counter()
            image = self.render(number)
            self.decode_ms = (time.perf_counter() - before) * 1000.0
            yield Frame(image, Fraction(moment), index)
            del image  # its buffer is free again when nobody else looks at it
            number += 1
            index += 1

    def render(self, number: int) -> Image:
        """Frame `number` of the motion: (H, W, 3) uint8 RGB, a pure function of size and number."""
        width, height = self.info.width, self.info.height
        angle = 2 * pi * (number % LOOP) / LOOP
        shift_x = MARGIN * (1 + sin(angle))
        shift_y = MARGIN * (1 + sin(2 * angle))
        matrix = np.array([[1, 0, shift_x], [0, 1, shift_y]], np.float64)
        image = cv2.warpAffine(
            self._plane,
            matrix,
            (width, height),
            dst=self._pool.take(height, width, 3),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        unit = max(2, min(width, height) // 10)
        center = (
            round(width * (0.5 + 0.35 * cos(2 * angle))),
            round(height * (0.5 + 0.3 * sin(3 * angle))),
        )
        cv2.circle(image, center, unit, (232, 74, 48), -1)
        cv2.circle(image, center, unit // 2, (250, 214, 90), -1)
        left = round((width + unit) * ((2 * number) % LOOP) / LOOP) - unit
        cv2.rectangle(image, (left, height - unit), (left + unit, height), (36, 150, 110), -1)
        return image

    def close(self) -> None:
        """Stop the iteration."""
        self._closed = True


def paint_plane(width: int, height: int) -> Image:
    """The still plane the camera drifts over: sky, hills, stripes, disks and a little grain.

    Returns:
        (height, width, 3) uint8 RGB; the same on every machine.
    """
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    sky, ground = np.array([[96, 148, 220], [226, 190, 130]], np.float32)
    column = np.rint(sky * (1 - y) + ground * y).astype(np.uint8)
    plane = cv2.repeat(column[:, None], 1, width)
    x = np.arange(width, dtype=np.float32)
    for k, color in enumerate(((70, 110, 90), (52, 88, 66), (40, 60, 52))):
        ridge = height * (0.55 + 0.13 * k) + height * 0.05 * np.sin(x * (k + 2) * pi / 310 + k)
        crest = np.stack([x, np.floor(ridge) + 1], axis=1)
        hill = np.vstack([crest, [[width, height], [0, height]]]).astype(np.int32)
        cv2.fillPoly(plane, [hill], color)
    spots = scatter(40 * 7).reshape(40, 7)
    for left, top, size, *color, kind in spots.tolist():
        center = (left % width, top % height)
        radius = 3 + size % (2 + max(2, min(width, height) // 14))
        bright = [40 + part % 210 for part in color]
        cv2.circle(plane, center, radius, bright, -1 if kind % 10 < 7 else 2)
    step = max(8, width // 60)
    for left in range(0, width, 2 * step):
        cv2.rectangle(plane, (left, height - step), (left + step, height), (245, 240, 225), -1)
    return add_grain(plane)


# Deviation of the grain in levels (fine film grain), and side of the tile that repeats.
GRAIN, GRAIN_TILE = 3.0, 256


def add_grain(plane: Image) -> Image:
    """Add noise to the plane that is nearly Gaussian: the sum of four uniform bytes."""
    words = scatter(GRAIN_TILE * GRAIN_TILE * 3)
    total = np.zeros(words.shape, np.uint32)
    for shift in (0, 8, 16, 24):
        total += (words >> np.uint32(shift)) & np.uint32(255)
    # A uniform byte has the variance (256^2 - 1) / 12, four of them four times that.
    noise = (total.astype(np.float32) - np.float32(4 * 127.5)) * (GRAIN / (65535 / 3) ** 0.5)
    tile = np.rint(noise).astype(np.int16).reshape(GRAIN_TILE, GRAIN_TILE, 3)
    # Tile by tile: one large sheet of grain would take longer to lay out than to add.
    for top in range(0, plane.shape[0], GRAIN_TILE):
        for left in range(0, plane.shape[1], GRAIN_TILE):
            part = plane[top : top + GRAIN_TILE, left : left + GRAIN_TILE]
            grain = tile[: part.shape[0], : part.shape[1]]
            part[:] = cv2.add(part, grain, dtype=cv2.CV_8U)
    return plane


def scatter(count: int) -> np.ndarray:
    """`count` well-mixed 32-bit numbers, the same everywhere: the finalizer of MurmurHash3 on
    1, 2, 3, ... (numpy's own generators take 10 ms to import, before the first frame)."""
    mixed = np.arange(1, count + 1, dtype=np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    return mixed


PLUGIN = SyntheticSource
