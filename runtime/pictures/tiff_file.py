"""TIFF stills of 8 or 16 bits, as deflated strips (TIFF 6.0 and Adobe's Photoshop supplement)."""

import io
import zlib
from typing import Any, BinaryIO

import numpy as np

from ..errors import UsageError
from .metadata import EXIF_IFD, GPS_IFD
from .png_file import ZLIB_LEVEL
from .reading import Picture, bands

# A classic TIFF has 32-bit offsets; what is left of 4 GiB is for the directory.
MAX_BYTES = 0xF000_0000


def write_tiff(out: BinaryIO, picture: Picture) -> None:
    """One TIFF of 8 or 16 bits, RGB or RGBA: deflated strips with horizontal differences."""
    strips, lengths, rows_per_strip = [], [], 0
    for rows in bands(picture, "<u2" if picture.pixels.dtype == np.uint16 else "u1"):
        rows_per_strip = max(rows_per_strip, len(rows))
        difference = rows.copy()
        difference[:, 1:] -= rows[:, :-1]
        strips.append(zlib.compress(difference.tobytes(), ZLIB_LEVEL))
        lengths.append(len(strips[-1]))
    if sum(lengths) > MAX_BYTES:
        raise UsageError("this picture is too large for TIFF (4 GB); use .png")
    header = _tiff_header(picture, rows_per_strip, lengths)
    out.write(header)
    for strip in strips:
        out.write(strip)


def _tiff_header(picture: Picture, rows_per_strip: int, lengths: list[int]) -> bytes:
    """The file up to the strips, which follow directly."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    metadata, (height, width) = picture.metadata, picture.size
    channels = 3 if picture.alpha is None else 4
    directory: Any = ImageFileDirectory_v2()
    if metadata.exif is not None:
        for tag, value in metadata.exif.items():
            directory[tag] = value
        for pointer in (EXIF_IFD, GPS_IFD):
            entries = metadata.exif.get_ifd(pointer)
            if entries:
                directory[pointer] = dict(entries)
    directory[256], directory[257] = width, height
    directory[258] = (picture.pixels.itemsize * 8,) * channels
    directory[259] = 8  # deflate
    directory[262] = 2  # RGB
    directory[277] = channels
    directory[278] = rows_per_strip
    directory[284] = 1  # channels interleaved
    directory[317] = 2  # horizontal differences
    if channels == 4:
        directory[338] = 2  # alpha, not premultiplied
    if metadata.dpi:
        directory[282], directory[283] = metadata.dpi
        directory[296] = 2  # per inch
    if metadata.icc:
        directory.tagtype[34675] = 7
        directory[34675] = metadata.icc
    if metadata.xmp:
        directory.tagtype[700] = 1
        directory[700] = metadata.xmp
    offsets = [sum(lengths[:index]) for index in range(len(lengths))]
    directory[279] = tuple(lengths)
    # Pillow turns offsets within the strips into offsets within the file.
    directory[273] = tuple(offsets)
    buffer = io.BytesIO()
    directory.save(buffer)
    return buffer.getvalue()
