"""Whether a file is as long as it says: decoders end at the last whole picture without a word."""

from pathlib import Path
from typing import BinaryIO

from ..media import ebml

MATROSKA_SEGMENT = 0x18538067
TS_PACKET = 188
BLURAY_PACKET = 192
GIF_TRAILER = b"\x3b"


def missing_bytes(path: Path, format_name: str) -> int:
    """How many bytes at least a file lacks at its end; 0 if it is whole or does not say.

    Args:
        path: an ordinary file.
        format_name: FFmpeg's name of its format.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if format_name == "matroska,webm":
            return max(0, _matroska_end(file, size) - size)
        if format_name == "mov,mp4,m4a,3gp,3g2,mj2":
            return max(0, _boxes_end(file, size) - size)
        if format_name == "avi":
            head = file.read(8)
            # The size of the first RIFF chunk counts what is behind it.
            return max(0, int.from_bytes(head[4:8], "little") + 8 - size)
        if format_name == "gif":
            file.seek(-1, 2)
            return int(file.read(1) not in (GIF_TRAILER, b"\0"))
    if format_name == "mpegts" and size % TS_PACKET and size % BLURAY_PACKET:
        return TS_PACKET - size % TS_PACKET
    return 0


def _matroska_end(file: BinaryIO, size: int) -> int:
    """Where the segment ends; 0 if that is not known (live recordings, damage)."""
    at = 0
    while at < size and (head := ebml.read_head(file.read(ebml.LONGEST_HEAD))):
        end = at + head.length + (head.size or 0)
        if head.name == MATROSKA_SEGMENT or head.size is None:
            return end if head.size is not None else 0
        at = end
        if at < size:
            file.seek(at)
    return 0


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last of the outer boxes ends (ISO/IEC 14496-12, section 4.2)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file; others are damage, which is found elsewhere
            return size
        at += length
    return at
