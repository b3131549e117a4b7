"""What a picture file says about its picture: EXIF, color profile, XMP, resolution, texts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Exif
    from PIL.Image import Image as PillowImage

# EXIF tags of the first directory that describe the picture and not the file's structure (in TIFF
# both share one directory): description, make, model, software, date, artist, host, rating,
# copyright, and Windows' title, comment, author, keywords and subject.
DESCRIPTIVE = (270, 271, 272, 305, 306, 315, 316, 18246, 33432, *range(40091, 40096))
EXIF_IFD, GPS_IFD = 0x8769, 0x8825
ORIENTATION = 0x0112
# Statements about pixels that the output no longer has: color space, width, height.
STALE = (0xA001, 0xA002, 0xA003)


@dataclass(frozen=True, slots=True)
class Metadata:
    """Everything but the pixels.

    Attributes:
        exif: Pillow's `Exif` object without orientation, sizes and thumbnail; None if absent.
        icc: profile of the pixels as they are now (sRGB's when they were converted), b"" if none.
        xmp: XMP packet, orientation set to 1.
        dpi: horizontal and vertical resolution.
        texts: PNG texts, and a JPEG or GIF comment under "comment".
    """

    exif: Exif | None = None
    icc: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    texts: dict[str, str] = field(default_factory=dict)


def read_metadata(image: PillowImage) -> Metadata:
    """Metadata of an open Pillow image; `icc` is left empty (it belongs to the pixels)."""
    xmp = image.info.get("xmp", b"")
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    dpi = image.info.get("dpi")
    return Metadata(
        exif=_clean_exif(image.getexif()),
        xmp=re.sub(rb'(tiff:Orientation(?:="|>))\d', rb"\g<1>1", xmp),
        dpi=(float(dpi[0]), float(dpi[1])) if dpi and min(dpi) > 0 else None,
        texts=_texts(image),
    )


def exif_bytes(metadata: Metadata) -> bytes:
    """The EXIF block ("Exif" header included), b"" if there is none."""
    return metadata.exif.tobytes() if metadata.exif is not None else b""


def _clean_exif(exif: Exif) -> Exif | None:
    from PIL import Image

    clean = Image.Exif()
    for tag in DESCRIPTIVE:
        if tag in exif:
            clean[tag] = exif[tag]
    for pointer in (EXIF_IFD, GPS_IFD):
        entries = {tag: value for tag, value in exif.get_ifd(pointer).items() if tag not in STALE}
        if entries:
            clean.get_ifd(pointer).update(entries)
            # The pointer's value is replaced on writing; its presence makes the directory written.
            clean[pointer] = 0
    return clean if len(clean) else None


def _texts(image: PillowImage) -> dict[str, str]:
    texts = {
        str(key): str(value)
        for key, value in getattr(image, "text", {}).items()
        if key != "XML:com.adobe.xmp"
    }
    comment = image.info.get("comment")
    if comment:
        texts["comment"] = (
            comment.decode("utf-8", "replace") if isinstance(comment, bytes) else str(comment)
        )
    return texts
