"""16-bit pixels of PNG and TIFF files. OpenCV decodes them, Pillow cannot; what OpenCV does not
know is set right here: white as zero, colors multiplied by their alpha, extra samples that are no
alpha, transparent colors, planes one after the other.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ..errors import SourceError

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

# Pillow's modes with more than 8 bits a channel.
MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I")
# TIFF 6.0: number of a tag, and the values that matter.
BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANAR, EXTRA = 258, 259, 262, 277, 284, 338
OFFSETS, COUNTS, TILE_OFFSETS, TILE_COUNTS = 273, 279, 324, 325
WHITE_IS_ZERO, BLACK_IS_ZERO, SEPARATE = 0, 1, 2
MULTIPLIED, ALPHA = 1, 2
# What a plane keeps of the whole picture's description: sizes, compression, order of bits, rows of
# a strip, orientation, predictor, sides of a tile.
KEPT = (256, 257, COMPRESSION, 266, 274, 278, 317, 322, 323)
# Pixels divided at a time where the whole picture would need floats as large as itself.
BAND_PIXELS = 2**22


def sample_bits(image: PillowImage) -> int:
    """Bits per channel as stored (Pillow opens 16-bit color as 8-bit)."""
    if image.format == "TIFF":
        bits = image.tag_v2.get(BITS, (8,))
        return max(bits) if isinstance(bits, tuple) else int(bits)
    return 16 if image.mode in MODES else 8


def is_deep(image: PillowImage, path: Path) -> bool:
    """Whether the file holds 16 bits a channel that `read` can keep."""
    if image.format == "PNG":
        with path.open("rb") as stream:
            # Signature 8, chunk length and name 8, width and height 8, then the bit depth.
            return stream.read(25)[24:] == b"\x10"
    return sample_bits(image) == 16 and image.mode != "CMYK"


def read(path: Path, image: PillowImage) -> tuple[np.ndarray, np.ndarray | None] | None:
    """(H, W, 3) pixels and (H, W) alpha, or None, both uint16; None if these are no 16-bit pixels.

    Args:
        path: of the file.
        image: the same, open in Pillow, for what the file says about its pixels.

    Raises:
        SourceError: a kind of TIFF that nothing here can read.
    """
    tags = image.tag_v2 if image.format == "TIFF" else {}
    data = np.fromfile(path, np.uint8)
    if tags.get(PLANAR) == SEPARATE and tags.get(SAMPLES, 1) > 1:
        found = [_decode(plane) for plane in _planes(data, tags, path)]
        planes = [plane for plane in found if plane is not None]
        raw = np.dstack(planes) if len(planes) == len(found) else None
        order = slice(0, 3)
    else:
        image.load()  # Pillow notices damage that OpenCV fills with gray.
        raw, order = _decode(data), slice(2, None, -1)
    if raw is None or raw.dtype != np.uint16:
        return None
    if raw.ndim == 2:
        if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
            np.subtract(65535, raw, out=raw)
        return np.repeat(raw[:, :, None], 3, axis=2), _transparent(raw, image)
    pixels = np.ascontiguousarray(raw[:, :, order])
    extra = tags.get(EXTRA, (ALPHA,))
    alpha = None
    if raw.shape[2] == 4 and (extra[0] if isinstance(extra, tuple) else extra):
        alpha = np.ascontiguousarray(raw[:, :, 3])
        if extra[0] == MULTIPLIED:
            _divide(pixels, alpha)
    return pixels, alpha


def _decode(data: np.ndarray) -> np.ndarray | None:
    return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)


def _transparent(gray: np.ndarray, image: PillowImage) -> np.ndarray | None:
    """Alpha of a gray PNG that calls one level transparent."""
    level = image.info.get("transparency") if image.format == "PNG" else None
    if not isinstance(level, int):
        return None
    return np.where(gray == level, 0, 65535).astype(np.uint16)


def _divide(pixels: np.ndarray, alpha: np.ndarray) -> None:
    """Undo the multiplication of colors by their alpha, in place; what is clear stays black."""
    step = max(1, BAND_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), step):
        cover = np.maximum(alpha[top : top + step, :, None], 1).astype(np.float32)
        part = pixels[top : top + step]
        part[:] = np.minimum(np.rint(part * (65535.0 / cover)), 65535)


def _planes(data: np.ndarray, tags: Mapping[int, Any], path: Path) -> list[np.ndarray]:
    """The file once for each of its planes, described as a gray picture."""
    number = tags[SAMPLES]
    tiled = TILE_OFFSETS in tags
    names = (TILE_OFFSETS, TILE_COUNTS) if tiled else (OFFSETS, COUNTS)
    # A classic TIFF begins with II or MM, 42, and the place of its directory.
    if data[:4].tobytes() not in (b"II*\0", b"MM\0*") or len(tags[names[0]]) % number:
        raise SourceError(f'"{path}": 16-bit planes of this kind cannot be read; interleave them')
    share = len(tags[names[0]]) // number
    order = "<" if data[0] == ord("I") else ">"
    common = {tag: tags[tag] for tag in KEPT if tag in tags}
    common |= {BITS: 16, SAMPLES: 1, PLANAR: 1, PHOTOMETRIC: BLACK_IS_ZERO}
    files = []
    for plane in range(number):
        part = slice(plane * share, (plane + 1) * share)
        table = _directory(
            {**common, **{name: tags[name][part] for name in names}}, len(data), order
        )
        head = data[:4].tobytes() + struct.pack(order + "I", len(data))
        joined = [np.frombuffer(head, np.uint8), data[8:], np.frombuffer(table, np.uint8)]
        files.append(np.concatenate(joined))
    return files


def _directory(entries: dict[int, Any], at: int, order: str) -> bytes:
    """A TIFF directory of whole numbers, to be put at byte `at` (TIFF 6.0, section 2)."""
    table, rest = struct.pack(order + "H", len(entries)), b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        values = value if isinstance(value, tuple) else (value,)
        kind, letter = (4, "I") if max(values) > 65535 else (3, "H")
        packed = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > 4:
            packed, rest = struct.pack(order + "I", behind + len(rest)), rest + packed
        table += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    return table + bytes(4) + rest
