"""Where formats keep XMP: written behind what is there, so that no large file is copied for it.

Adobe's XMP Specification, part 3, says where; Matroska has no place and keeps tags.
"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from . import Provenance

PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
PNG_KEYWORD = b"XML:com.adobe.xmp\0\0\0\0\0"
# Its header with the screen's size, two applications' blocks, and 258 bytes that bring readers of
# sub-blocks to the end of ours.
GIF_HEADER = 13
GIF_LOOPS = b"\x21\xff\x0bNETSCAPE2.0"
GIF_LOOPS_BYTES = 19
GIF_BLOCK = b"\x21\xff\x0bXMP DataXMP"
GIF_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
WEBP_XMP_FLAG = 0x04
MP4_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
# Bytes: a packet of more is none, and boxes of more than so many files are damage.
LARGEST_PACKET = 2**24
MOST_BOXES = 4096

PNG = (".png", ".apng")
MP4 = (".mp4", ".m4v", ".mov")
MATROSKA = (".mkv", ".webm")


def tags(made: Provenance) -> dict[str, str]:
    """For Matroska: its tags are in capitals, with underscores between words."""
    names = ("DIGITAL_SOURCE_TYPE", "AI_SYSTEM_USED", "AI_SYSTEM_VERSION_USED")
    return dict(zip(names, made.properties.values(), strict=True))


def in_png(data: bytes, packet: bytes) -> bytes:
    """A whole PNG file with the packet in it."""
    return data.removesuffix(PNG_END) + _png_end(packet)


def append(path: Path, suffix: str, packet: bytes) -> None:
    """Write an XMP packet into a whole file that has none.

    Args:
        path: the file.
        suffix: says its format; files of others than these stay as they are.
        packet: the packet.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("r+b") as file:
        if suffix in PNG:
            _at_end(file, PNG_END, _png_end(packet))
        elif suffix == ".gif":
            _in_gif(file, packet)
        elif suffix == ".webp":
            _in_webp(file, packet)
        elif suffix in MP4:
            file.seek(0, 2)
            file.write(struct.pack(">I", 24 + len(packet)) + b"uuid" + MP4_UUID + packet)


def read_mp4(path: Path) -> bytes:
    """The XMP packet of an mp4 or mov file, b"" where there is none; never raises for damage."""
    try:
        with path.open("rb") as file:
            for _ in range(MOST_BOXES):
                header = file.read(16)
                if len(header) < 16:
                    return b""
                size, kind = struct.unpack(">I4s", header[:8])
                length = struct.unpack(">Q", header[8:])[0] if size == 1 else size
                if not 8 <= length < 2**62:  # no file is that long: damage, or another format
                    return b""
                if kind == b"uuid" and header[8:] + file.read(8) == MP4_UUID:
                    return file.read(length - 24) if length <= LARGEST_PACKET else b""
                file.seek(length - 16 - (8 if kind == b"uuid" else 0), 1)
    except OSError:
        pass
    return b""


def _png_end(packet: bytes) -> bytes:
    body = b"iTXt" + PNG_KEYWORD + packet
    size = struct.pack(">I", len(body) - 4)
    return size + body + struct.pack(">I", zlib.crc32(body)) + PNG_END


def _at_end(file: BinaryIO, end: bytes, written: bytes) -> None:
    """Put `written` in place of the last bytes, which must be `end`."""
    file.seek(-len(end), 2)
    if file.read() == end:
        file.seek(-len(end), 2)
        file.write(written)


def _in_gif(file: BinaryIO, packet: bytes) -> None:
    """Before the first picture: FFmpeg takes a block behind the last one for a picture."""
    header = file.read(GIF_HEADER)
    colors = 3 * 2 ** ((header[10] & 7) + 1) if header[10] & 0x80 else 0
    file.seek(colors, 1)
    at = file.tell()
    rest = file.read()
    if rest.startswith(GIF_LOOPS):
        at, rest = at + GIF_LOOPS_BYTES, rest[GIF_LOOPS_BYTES:]
    file.seek(at)
    file.write(GIF_BLOCK + packet + GIF_TRAILER + rest)


def _in_webp(file: BinaryIO, packet: bytes) -> None:
    """An animation has the extended header (VP8X), whose flags say what follows."""
    header = file.read(21)
    if header[12:16] != b"VP8X":
        return
    odd = b"\0" * (len(packet) % 2)
    file.seek(0, 2)
    file.write(b"XMP " + struct.pack("<I", len(packet)) + packet + odd)
    total = file.tell() - 8
    file.seek(4)
    file.write(struct.pack("<I", total))
    file.seek(20)
    file.write(bytes([header[20] | WEBP_XMP_FLAG]))
