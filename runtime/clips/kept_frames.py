"""Painted frames on disk: slots of one file for each layer and size, written over in turns.

A file for each frame took 4 ms of processor time at 1280x720, most of it the system's, for pages
and blocks that were thrown away a second later; a slot that is written over takes 1. A slot is
32 bytes (`HEADER`), then the picture. Whatever is cut off, flipped or half written over does not
fit its checksum, and counts as not there.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..frame import Image
from ..media.journal import PAINTED

# Checksum of all that follows, format, frame, height, width, whether a scene begins there.
HEADER = struct.Struct("<IIqII?7x")
CHECKSUM = struct.Struct("<I")
FORMAT = 2
NAME = "frames"
CHANNELS = 3


@dataclass(slots=True)
class _Slots:
    """One open file: the place of each frame, and the places that are free."""

    file: BinaryIO
    size: int
    places: dict[int, int] = field(default_factory=dict[int, int])
    free: list[int] = field(default_factory=list[int])
    count: int = 0

    def place(self, frame: int) -> int:
        """The slot for a frame: its own, a free one, or a new one."""
        if frame not in self.places:
            if not self.free:
                self.free.append(self.count)
                self.count += 1
            self.places[frame] = self.free.pop()
        return self.places[frame]


class KeptFrames:
    """Those of one folder.

    `put`, `forget` and `remove` are called by one thread; `take` by any, for frames that are
    neither put nor forgotten meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Path, _Slots] = {}
        for path in folder.glob(f"{NAME}.*{PAINTED}"):
            with suppress(OSError, ValueError, IndexError):  # no file of ours
                self._read(path)

    def has(self, number: int, frame: int) -> bool:
        """Whether a frame of a layer seems to be there; `take` looks closer."""
        return next(self._where(number, frame), None) is not None

    def take(self, number: int, frame: int) -> tuple[Image, bool] | None:
        """A frame of a layer, and whether a scene began there; None if it is not there, or not
        whole."""
        for path, place in self._where(number, frame):
            slot = np.empty(self._open[path].size, np.uint8)
            with suppress(OSError), path.open("rb") as file:
                file.seek(place * slot.size)
                whole = file.readinto(slot.data) == slot.size
                checksum, _, found, height, width, begins = HEADER.unpack_from(slot.data)
                if whole and found == frame and zlib.crc32(slot.data[CHECKSUM.size :]) == checksum:
                    return slot[HEADER.size :].reshape(height, width, CHANNELS), begins
        return None

    def put(self, number: int, frame: int, picture: Image, *, begins: bool) -> None:
        """Keep a frame of a layer. Raises OSError."""
        height, width = picture.shape[:2]
        slots = self._slots(self._folder / f"{NAME}.{number}.{width}x{height}{PAINTED}")
        tail = HEADER.pack(0, FORMAT, frame, height, width, begins)[CHECKSUM.size :]
        pixels = np.ascontiguousarray(picture).reshape(-1)
        checksum = zlib.crc32(pixels.data, zlib.crc32(tail))
        slots.file.seek(slots.place(frame) * slots.size)
        slots.file.write(CHECKSUM.pack(checksum) + tail)
        slots.file.write(pixels.data)
        slots.file.flush()  # to the system, which outlives us

    def forget(self, lowest: int) -> None:
        """Frames before this one are not needed any more: their slots are."""
        for slots in self._open.values():
            for frame in [frame for frame in slots.places if frame < lowest]:
                slots.free.append(slots.places.pop(frame))

    def remove(self) -> None:
        """Give all the room back."""
        self.close()
        for path in self._folder.glob(f"{NAME}.*{PAINTED}"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files; may be called twice."""
        for slots in self._open.values():
            slots.file.close()
        self._open.clear()

    def _where(self, number: int, frame: int) -> Iterator[tuple[Path, int]]:
        for path, slots in list(self._open.items()):
            if path.name.startswith(f"{NAME}.{number}.") and frame in slots.places:
                yield path, slots.places[frame]

    def _slots(self, path: Path) -> _Slots:
        if path not in self._open:
            height, width = _size(path)
            file = path.open("r+b" if path.exists() else "w+b")
            self._open[path] = _Slots(file, HEADER.size + height * width * CHANNELS)
        return self._open[path]

    def _read(self, path: Path) -> None:
        """What an earlier run kept."""
        slots = self._slots(path)
        slots.count = path.stat().st_size // slots.size
        for place in range(slots.count):
            slots.file.seek(place * slots.size)
            _, kind, frame, *_ = HEADER.unpack(slots.file.read(HEADER.size))
            if kind == FORMAT and frame not in slots.places:
                slots.places[frame] = place
            else:
                slots.free.append(place)


def _size(path: Path) -> tuple[int, int]:
    """(height, width) in a file's name."""
    width, _, height = path.name.split(".")[2].partition("x")
    return int(height), int(width)
