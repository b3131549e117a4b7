"""Opening picture files with Pillow: a short list of formats, a limit of pixels, one-line errors.

Pillow knows forty formats. Some of them run other programs (EPS runs Ghostscript), some read with
the system's own code (WMF), some hold pictures of any size whatever their header says (ICO, ICNS),
some are no pictures at all; what is not in `FORMATS` is not opened.
HEIC and JPEG XL come from packages of their own, which are used if they are installed.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SourceError, StyleError
from ..inputs import check_file
from ..invocation import command

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

# Pillow's names of what is opened. MPO is opened as JPEG.
FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "PSD", "QOI"),
    *("SGI", "TGA", "TIFF", "WEBP"),
)
# More pixels than OpenCV's own limit (2^30) are refused: the decoded picture alone would need over
# 3 GB, and a small file can claim any size.
MAX_PIXELS = 2**30
UNLIMITED = 2**62
# Suffixes of files that belong to another command.
CLIPS = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v")
# Bytes in which the beginning of every file that is recognized here lies.
HEAD = 64


class Extra:
    """A format that needs a package of its own.

    Attributes:
        name: for people, and `format`, Pillow's.
        module: registers it when imported; `call`, a function of it that does.
        package: what to install.
    """

    def __init__(self, name: str, format: str, module: str, call: str, package: str) -> None:
        self.name, self.format, self.module = name, format, module
        self.call, self.package = call, package

    @cache  # noqa: B019  there are two of these for the whole run
    def works(self) -> bool:
        """Whether the package is there; it is loaded."""
        try:
            module = import_module(self.module)
        except (ImportError, OSError):
            return False
        if self.call:
            getattr(module, self.call)()
        return True


HEIF = Extra("HEIC", "HEIF", "pillow_heif", "register_heif_opener", "pillow-heif")
JXL = Extra("JPEG XL", "JXL", "pillow_jxl", "", "pillow-jxl-plugin")
# Brands of ISO media files that are HEIF pictures (ISO/IEC 23008-12), coded with HEVC.
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# What a file is that is refused by name, by how it begins.
REFUSED = (
    (b"%!PS", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"%PDF", "PDF"),
    (b"\xd7\xcd\xc6\x9a", "a Windows metafile (WMF)"),
    (b"\0\0\1\0", "an icon"),
    (b"icns", "an icon"),
    (b"SIMPLE  =", "FITS"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG or another XML file"),
)


@contextmanager
def decoding(path: Path, max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    """Turn whatever decoders raise into one line; frames and pictures within pictures have the same
    limit of pixels.

    Raises:
        SourceError: not a picture, or damaged.
    """
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    # Pillow warns above its limit and refuses above twice the limit.
    Image.MAX_IMAGE_PIXELS = max(1, max_pixels // 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (StyleError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise SourceError(_unknown(path)) from None
    except Image.DecompressionBombError:
        raise SourceError(_too_large(path, max_pixels)) from None
    except Exception as error:
        # Decoders meet any kind of nonsense, and each raises something else about it: OSError,
        # SyntaxError, struct.error, TypeError, ...
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceError(f'"{path}" is truncated or damaged: {reason[:120]}') from None
    finally:
        Image.MAX_IMAGE_PIXELS = before


def open_picture(path: Path, max_pixels: int = MAX_PIXELS) -> PillowImage:
    """`PIL.Image.open` of an ordinary file of one of `FORMATS`.

    Args:
        path: the file.
        max_pixels: larger pictures are refused before anything is decoded.

    Raises:
        SourceError: missing, not readable, of a kind that is not opened, damaged, or too large.
    """
    from PIL import Image

    check_file(path, what="picture")
    # Nothing is decoded yet, and our own words say how large it is.
    with decoding(path, UNLIMITED):
        with path.open("rb") as file:
            head = file.read(HEAD)
        extra = extra_format(head)
        if extra is not None and not extra.works():
            raise SourceError(
                f'"{path}" is {extra.name}, which needs a package of its own: pip install '
                f"{extra.package}"
            )
        formats = FORMATS if extra is None else (extra.format,)
        image = Image.open(path, formats=formats)
    if image.width * image.height > max_pixels:
        size = f"{image.width}x{image.height}"
        image.close()
        raise SourceError(_too_large(path, max_pixels, size))
    return image


def extra_format(head: bytes) -> Extra | None:
    """The package that reads files which begin so; None if Pillow does, or nothing."""
    if head[:2] == b"\xff\x0a" or head[:12] == b"\0\0\0\x0cJXL \r\n\x87\n":
        return JXL
    if head[4:8] != b"ftyp":
        return None
    (size,) = struct.unpack(">I", head[:4])
    box = head[8 : min(size, len(head))]
    brands = {box[:4], *(box[at : at + 4] for at in range(8, len(box), 4))}
    if brands & {b"avif", b"avis"}:
        return None
    return HEIF if brands & set(HEIF_BRANDS) else None


def _unknown(path: Path) -> str:
    clip = path.suffix.lower() in CLIPS
    hint = f"; clips are painted by {command('video')}" if clip else ""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD).lstrip()
    except OSError:
        head = b""
    kind = next((name for start, name in REFUSED if head.startswith(start)), "")
    if kind:
        return f'"{path}" is {kind}, which is not opened; convert it to PNG or JPEG'
    return f'"{path}" is not a picture, or of a kind that cannot be read{hint}'


def _too_large(path: Path, max_pixels: int, size: str = "more") -> str:
    return (
        f'"{path}" has {size} pixels, at most {max_pixels} are allowed; make it smaller first, or '
        "raise --max-pixels"
    )
