"""PNG stills of 8 or 16 bits, written in bands of rows (PNG specification, third edition)."""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from .metadata import Metadata, exif_bytes
from .reading import Picture, bands

# zlib's own default: a tenth larger than the best, four times as fast.
ZLIB_LEVEL = 6


def write_png(out: BinaryIO, picture: Picture) -> None:
    """One PNG of 8 or 16 bits, RGB or RGBA, in bounded memory."""
    height, width = picture.size
    deep = picture.pixels.dtype == np.uint16
    channels = 3 if picture.alpha is None else 4
    out.write(b"\x89PNG\r\n\x1a\n")
    color = 2 if channels == 3 else 6
    header = struct.pack(">IIBBBBB", width, height, 16 if deep else 8, color, 0, 0, 0)
    _png_chunk(out, b"IHDR", header)
    for name, data in _png_metadata(picture.metadata):
        _png_chunk(out, name, data)
    packer = zlib.compressobj(ZLIB_LEVEL)
    step = channels * (2 if deep else 1)
    above = np.zeros((1, width * step), np.uint8)
    for rows in bands(picture, ">u2" if deep else "u1"):
        raw = rows.reshape(len(rows), -1).view(np.uint8)
        packed = packer.compress(_png_filter(raw, above, step).tobytes())
        above = raw[-1:].copy()
        if packed:
            _png_chunk(out, b"IDAT", packed)
    _png_chunk(out, b"IDAT", packer.flush())
    _png_chunk(out, b"IEND", b"")


def _png_chunk(out: BinaryIO, name: bytes, data: bytes) -> None:
    out.write(struct.pack(">I", len(data)) + name)
    out.write(data)
    out.write(struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _png_metadata(metadata: Metadata) -> Iterator[tuple[bytes, bytes]]:
    """Ancillary chunks, in the order the PNG specification wants them before the pixels."""
    if metadata.icc:
        yield b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc)
    if metadata.dpi:
        # Dots per inch -> per meter.
        dots = (round(value / 0.0254) for value in metadata.dpi)
        yield b"pHYs", struct.pack(">IIB", *dots, 1)
    exif = exif_bytes(metadata)
    if exif:
        yield b"eXIf", exif.removeprefix(b"Exif\0\0")
    for key, value in metadata.texts.items():
        # Keywords are 1-79 Latin-1 characters; iTXt values are UTF-8, here uncompressed.
        keyword = key.encode("latin-1", "replace")[:79] or b"Comment"
        yield b"iTXt", keyword + b"\0\0\0\0\0" + value.encode()
    if metadata.xmp:
        yield b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp


def _png_filter(raw: np.ndarray, above: np.ndarray, step: int) -> np.ndarray:
    """Each row as its difference to the left, the row above or their mean, whichever is smallest
    (the specification's minimum sum of absolute differences), with the filter's number in front."""
    up = np.vstack([above, raw[:-1]])
    left = np.zeros_like(raw)
    left[:, step:] = raw[:, :-step]
    mean = ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
    candidates = [raw, raw - left, raw - up, raw - mean]
    costs = [np.abs(rows.view(np.int8).astype(np.int16)).sum(axis=1) for rows in candidates]
    best = np.argmin(costs, axis=0).astype(np.uint8)
    filtered = np.empty((raw.shape[0], raw.shape[1] + 1), np.uint8)
    filtered[:, 0] = best
    for number, rows in enumerate(candidates):
        filtered[best == number, 1:] = rows[best == number]
    return filtered
