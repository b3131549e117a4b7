"""The shape of pixels in Matroska and WebM files.

Codecs such as VP9, AV1, FFV1 and ProRes leave it to the container, where it is the size a picture
is to be shown at (RFC 9559, DisplayWidth and DisplayHeight). FFmpeg's muxer takes it from a field
that PyAV cannot reach, so it is written afterwards: the muxer is given a track name that is too
long (`reserve`), and the room this makes is used (`set_pixel_shape`). Nothing moves in the file.
"""

import zlib
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from . import ebml

SEGMENT, TRACKS, CLUSTER = 0x18538067, 0x1654AE6B, 0x1F43B675
TRACK, TRACK_TYPE, TRACK_NAME, VIDEO = 0xAE, 0x83, 0x536E, 0xE0
DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = 0x54B0, 0x54BA, 0x54B2
PIXELS, RATIO = 0, 3  # values of DisplayUnit
VIDEO_TYPE = b"\1"
# Room for the three elements (7 + 7 + 4 bytes), a longer size field, and the filler behind them.
PADDING = " " * 32


def reserve(name: str) -> str:
    """The track name to give to the muxer where `set_pixel_shape` will follow."""
    return name + PADDING


def set_pixel_shape(path: Path, width: int, height: int, shape: Fraction) -> None:
    """Write how a picture is to be shown into a finished file whose name was made by `reserve`.

    Args:
        path: the file, changed in place.
        width, height: of the picture.
        shape: width of a pixel divided by its height.

    Raises:
        ValueError: no such file was written.
    """
    with path.open("r+b") as file:
        at, size = _find_tracks(file)
        file.seek(at)
        tracks = file.read(size)
        changed = _rewritten(tracks, width, height, shape)
        file.seek(at)
        file.write(changed)


def display_size(width: int, height: int, shape: Fraction) -> tuple[int, int, int]:
    """(width, height, unit) of the shown picture: in pixels where that is exact (one side
    stretched, or the other shrunk), else as a bare ratio."""
    if (width * shape).denominator == 1:
        return int(width * shape), height, PIXELS
    if (height / shape).denominator == 1:
        return width, int(height / shape), PIXELS
    ratio = width * shape / height
    return ratio.numerator, ratio.denominator, RATIO


def _find_tracks(file: BinaryIO) -> tuple[int, int]:
    """Where the data of the Tracks element begins, and how long it is."""
    at = 0
    while True:
        file.seek(at)
        head = ebml.read_head(file.read(ebml.LONGEST_HEAD))
        if head is None or head.name == CLUSTER:
            raise ValueError("the file has no tracks before its pictures")
        if head.name == TRACKS and head.size is not None:
            return at + head.length, head.size
        if head.size is None and head.name != SEGMENT:
            raise ValueError(f"an element of unknown size ({head.name:X}) before the tracks")
        # The segment holds everything else: step into it, and over what comes before the tracks.
        at += head.length + (0 if head.name == SEGMENT else head.size or 0)


def _rewritten(tracks: bytes, width: int, height: int, shape: Fraction) -> bytes:
    """The data of the Tracks element, of the same length, with the shape of the first video."""
    body, seal, done = b"", b"", False
    for name, head, data in ebml.children(tracks):
        if name == ebml.CRC32:
            seal = head
            continue
        if name == TRACK and not done and _is_video(data):
            data, done = _with_shape(data, width, height, shape), True
        body += head + data
    if not done:
        raise ValueError("the file has no video track")
    if len(seal) + len(body) + (4 if seal else 0) != len(tracks):
        raise ValueError("the file has more than one checksum of its tracks, or none of four bytes")
    # Matroska's checksum comes first, covers what is behind it, and has its lowest byte first.
    return (seal + zlib.crc32(body).to_bytes(4, "little") if seal else b"") + body


def _is_video(track: bytes) -> bool:
    kinds = (data for name, _, data in ebml.children(track) if name == TRACK_TYPE)
    return next(kinds, b"") == VIDEO_TYPE


def _with_shape(track: bytes, width: int, height: int, shape: Fraction) -> bytes:
    """The data of a TrackEntry with the shape, filled up to its old length."""
    shown = display_size(width, height, shape)
    made = b""
    for name, head, data in ebml.children(track):
        if name == TRACK_NAME:
            data = data.decode().removesuffix(PADDING).encode()
            made += ebml.element(name, data) if data else b""
        elif name == VIDEO:
            names = (DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT)
            more = b"".join(ebml.number(*pair) for pair in zip(names, shown, strict=True))
            made += ebml.element(name, data + more)
        else:
            made += head + data
    rest = len(track) - len(made)
    if rest < 0 or rest == 1:
        raise ValueError("there is no room for the shape of pixels: the name was not reserved")
    return made + ebml.void(rest)
