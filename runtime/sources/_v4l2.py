"""Cameras of Linux and the modes they offer, asked of the kernel (V4L2) without any library.

Numbers and layouts are those of linux/videodev2.h.
"""

import os
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..fields import is_whole

CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
CAP_VIDEO_CAPTURE, CAP_DEVICE_CAPS = 0x1, 0x80000000
DISCRETE = 1
# struct layouts: v4l2_capability, v4l2_fmtdesc, v4l2_frmsizeenum, v4l2_frmivalenum.
CAPABILITY, FORMAT, SIZE, INTERVAL = "16s32s32s3I12x", "3I32sI16x", "3I6I8x", "5I6I8x"
# Sizes worth listing where a driver offers a whole range.
USUAL = ((640, 480), (1280, 720), (1920, 1080))


@dataclass(frozen=True, slots=True)
class Mode:
    """A picture format a camera offers: four-character code, size in pixels, frames per second."""

    fourcc: str
    width: int
    height: int
    fps: float


@dataclass(frozen=True, slots=True)
class Camera:
    """A capture device.

    Attributes:
        index: the N of `camera:N`.
        name: what the driver calls it.
        modes: what it offers, in its own order; empty if it cannot be asked.
        problem: why it cannot be used, "" if it can.
    """

    index: int
    name: str
    modes: tuple[Mode, ...] = ()
    problem: str = ""


Ioctl = Callable[[int, int, bytearray], None]


def list_cameras(folder: Path = Path("/dev"), ioctl: Ioctl | None = None) -> list[Camera]:
    """All capture devices; empty on systems other than Linux.

    Args:
        folder: where the device files are.
        ioctl: replaces the system's in tests: (file, request, argument filled in place).
    """
    if not sys.platform.startswith("linux"):
        return []
    found = []
    nodes = (p for p in folder.glob("video*") if is_whole(p.name[5:]))
    for path in sorted(nodes, key=lambda p: int(p.name[5:])):
        camera = _camera(path, ioctl or _system_ioctl)
        if camera is not None:
            found.append(camera)
    return found


def _camera(path: Path, ioctl: Ioctl) -> Camera | None:
    """The camera behind a device file; None if it captures no video (metadata, output)."""
    index = int(path.name[5:])
    try:
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        problem = error.strerror or "cannot be opened"
        if isinstance(error, PermissionError):
            problem = "no permission: sudo usermod -aG video $USER, then log in again"
        return Camera(index, str(path), problem=problem)
    try:
        data = bytearray(struct.calcsize(CAPABILITY))
        ioctl(handle, _request(CAPABILITY, 0, write=False), data)
        _, card, _, _, capabilities, device = struct.unpack(CAPABILITY, data)
        able = device if capabilities & CAP_DEVICE_CAPS else capabilities
        if not able & CAP_VIDEO_CAPTURE:
            return None
        return Camera(index, _text(card), tuple(dict.fromkeys(_modes(handle, ioctl))))
    except OSError as error:
        return Camera(index, str(path), problem=error.strerror or "does not answer")
    finally:
        os.close(handle)


def _modes(handle: int, ioctl: Ioctl) -> Iterator[Mode]:
    for answer in _enumerate(handle, ioctl, FORMAT, 2, 0, CAPTURE):
        code = answer[4]
        for width, height in _sizes(handle, ioctl, code):
            for fps in _rates(handle, ioctl, code, width, height):
                yield Mode(_fourcc(code), width, height, fps)


def _sizes(handle: int, ioctl: Ioctl, code: int) -> Iterator[tuple[int, int]]:
    for answer in _enumerate(handle, ioctl, SIZE, 74, 0, code):
        kind, numbers = answer[2], answer[3:]
        if kind == DISCRETE:
            yield numbers[0], numbers[1]
            continue
        low_w, high_w, _, low_h, high_h, _ = numbers
        inside = [s for s in USUAL if low_w <= s[0] <= high_w and low_h <= s[1] <= high_h]
        yield from inside or [(high_w, high_h)]
        return  # a range is one entry


def _rates(handle: int, ioctl: Ioctl, code: int, width: int, height: int) -> Iterator[float]:
    for answer in _enumerate(handle, ioctl, INTERVAL, 75, 0, code, width, height):
        # Discrete: one interval; a range: its shortest comes first. Seconds = numbers[0] / [1].
        seconds, parts = answer[5], answer[6]
        if seconds:
            yield round(parts / seconds, 3)
        if answer[4] != DISCRETE:
            return


def _enumerate(
    handle: int, ioctl: Ioctl, layout: str, number: int, *start: int
) -> Iterator[tuple[int, ...]]:
    """Ask with a growing index until the driver has no more (EINVAL)."""
    head = f"{len(start)}I"
    index = 0
    while True:
        data = bytearray(struct.calcsize(layout))
        struct.pack_into(head, data, 0, index, *start[1:])
        try:
            ioctl(handle, _request(layout, number), data)
        except OSError:
            return
        yield struct.unpack(layout, data)
        index += 1


def _request(layout: str, number: int, write: bool = True) -> int:
    """_IOR or _IOWR('V', number, struct) as on x86 and ARM (asm-generic/ioctl.h)."""
    direction = 3 if write else 2
    return direction << 30 | struct.calcsize(layout) << 16 | ord("V") << 8 | number


def _system_ioctl(handle: int, request: int, data: bytearray) -> None:
    import fcntl

    fcntl.ioctl(handle, request, data, True)


def _fourcc(code: int) -> str:
    return struct.pack("<I", code & 0x7FFFFFFF).decode("ascii", "replace")


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode("utf-8", "replace")
