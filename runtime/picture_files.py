"""Picture files out: the format comes from the name, everything the format can carry goes along.

PNG and TIFF are written here, row by row: Pillow knows no 16-bit color, and its copy of a picture
of 20000x20000 pixels would not fit beside the picture. All other formats are Pillow's.
"""

import io
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .errors import SinkError, UsageError
from .picture_metadata import Metadata, exif_bytes
from .pictures import Picture, flatten, to_bytes

# Suffix -> Pillow's name of the format. Formats without color (XBM, ...) are left out on purpose.
FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".webp": "WEBP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
}
ANIMATED = ("GIF", "WEBP", "PNG")
DEEP = ("PNG", "TIFF")
WITH_ALPHA = ("PNG", "TIFF", "WEBP", "GIF", "AVIF")
# Longest side each format can store.
LONGEST = {"JPEG": 65500, "WEBP": 16383, "GIF": 65535, "AVIF": 65536}
# Rows compressed at a time, as bytes.
BAND_BYTES = 2**22
# zlib's own default: a tenth larger than the best, four times as fast.
ZLIB_LEVEL = 6


def format_of(path: Path) -> str:
    """The format a file name asks for. Raises UsageError listing the known suffixes."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise UsageError(
            f'output "{path}": "{path.suffix}" is no picture format that can be written, '
            f"allowed are {' '.join(sorted(FORMATS))}"
        )
    return found


def holds_animation(path: Path) -> bool:
    """Whether the format of this file name can hold several frames."""
    return format_of(path) in ANIMATED


def write(
    path: Path,
    pictures: Iterable[Picture],
    *,
    quality: int = 95,
    loop: int = 0,
    animated: bool = False,
) -> list[str]:
    """Write a picture, or an animation, under a temporary name, then rename it.

    Args:
        path: its suffix chooses the format.
        pictures: one for a still; an iterator is consumed frame by frame.
        quality: 1..100 for JPEG, WebP and AVIF.
        loop: repetitions of an animation, 0 for ever.
        animated: keep all pictures, as frames (`holds_animation`); else only the first.

    Returns:
        what was lost on the way, one line each.

    Raises:
        UsageError: the format cannot hold the picture.
        SinkError: the file cannot be written.
    """
    kind = format_of(path)
    stream = iter(pictures)
    first = next(stream)
    height, width = first.size
    if max(height, width) > LONGEST.get(kind, 2**31):
        raise UsageError(
            f"{kind} holds at most {LONGEST[kind]} pixels a side, this picture is "
            f"{width}x{height}; use .png or .tif"
        )
    notes: list[str] = []
    if kind not in DEEP and first.pixels.dtype == np.uint16:
        notes.append(f"{path.name}: {kind} holds 8 bits, 16 are rounded")
    if kind not in WITH_ALPHA and first.alpha is not None:
        notes.append(f"{path.name}: {kind} holds no transparency, it is shown over white")
        first = flatten(first)
    with replacing(path) as part, _reported(path):
        if animated:
            _write_animation(part, kind, chain([first], stream), quality, loop)
        elif kind == "PNG":
            with part.open("wb") as out:
                write_png(out, first)
        elif kind == "TIFF":
            with part.open("wb") as out:
                write_tiff(out, first)
        else:
            _pillow(first).save(part, kind, **_options(kind, first.metadata, quality))
    return notes


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Temporary name in the same folder: becomes `path` if the block succeeds, else is removed."""
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise SinkError(f'cannot write "{path}": {reason}') from None


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
    for rows in _bands(picture, ">u2" if deep else "u1"):
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


def _bands(picture: Picture, dtype: str) -> Iterator[np.ndarray]:
    """The picture in bands of rows: (rows, W, 3 or 4), contiguous, of this type."""
    height, width = picture.size
    step = max(1, BAND_BYTES // (width * 4 * picture.pixels.itemsize))
    for top in range(0, height, step):
        band = picture.pixels[top : top + step]
        if picture.alpha is not None:
            band = np.dstack([band, picture.alpha[top : top + step]])
        yield np.ascontiguousarray(band, dtype=dtype)


def write_tiff(out: BinaryIO, picture: Picture) -> None:
    """One TIFF of 8 or 16 bits, RGB or RGBA: deflated strips with horizontal differences."""
    strips, lengths, rows_per_strip = [], [], 0
    for rows in _bands(picture, "<u2" if picture.pixels.dtype == np.uint16 else "u1"):
        rows_per_strip = max(rows_per_strip, len(rows))
        difference = rows.copy()
        difference[:, 1:] -= rows[:, :-1]
        strips.append(zlib.compress(difference.tobytes(), ZLIB_LEVEL))
        lengths.append(len(strips[-1]))
    if sum(lengths) > 0xF000_0000:
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
        from .picture_metadata import EXIF_IFD, GPS_IFD

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


def _pillow(picture: Picture) -> Any:
    from PIL import Image

    picture = to_bytes(picture)
    if picture.alpha is None:
        return Image.fromarray(picture.pixels)
    return Image.fromarray(np.dstack([picture.pixels, picture.alpha]))


def _options(kind: str, metadata: Metadata, quality: int) -> dict[str, Any]:
    """Pillow's arguments for everything this format can carry."""
    options: dict[str, Any] = {}
    exif = exif_bytes(metadata)
    if kind in ("JPEG", "WEBP", "AVIF"):
        options["quality"] = quality
        options.update({"exif": exif} if exif else {})
        options.update({"xmp": metadata.xmp} if metadata.xmp else {})
    if kind == "JPEG":
        # Full color resolution: the strokes of a painting are thin and saturated.
        options["subsampling"] = 0
    if metadata.icc and kind != "BMP":
        options["icc_profile"] = metadata.icc
    if metadata.dpi and kind in ("JPEG", "BMP"):
        options["dpi"] = metadata.dpi
    if kind in ("JPEG", "GIF") and "comment" in metadata.texts:
        options["comment"] = metadata.texts["comment"].encode()
    return options


def _write_animation(
    part: Path, kind: str, frames: Iterable[Picture], quality: int, loop: int
) -> None:
    """All frames with their durations; Pillow joins frames that do not differ."""
    images, durations, options, holes = [], [], {}, False
    for frame in frames:
        if not images:
            options = _options(kind, frame.metadata, quality)
            exif = exif_bytes(frame.metadata)
            options.update({"exif": exif} if exif and kind == "PNG" else {})
        images.append(_pillow(frame))
        durations.append(round(frame.duration_ms))
        holes = holes or frame.alpha is not None
    if kind == "GIF" and holes:
        options["disposal"] = 2  # frames with holes must not pile up
    if kind != "GIF" or loop != 1:
        options["loop"] = loop  # a GIF that plays once has no entry at all
    images[0].save(
        part, kind, save_all=True, append_images=images[1:], duration=durations, **options
    )


def without_metadata(picture: Picture) -> Picture:
    """The picture with its color profile, which the pixels need, and nothing else."""
    return replace(picture, metadata=Metadata(icc=picture.metadata.icc))
