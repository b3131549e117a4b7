"""Picture files of every kind people have, made on the spot, each with what it must look like.

A small photograph is stored turned, in another color profile, with holes, with 16 bits, gray, in
CMYK, with a palette, moving, one pixel wide, ... The files are written by Pillow, OpenCV and a few
lines of our own (`png`, `tiff`, `icc_profile`), never by the code that is tested; what they must
look like is worked out with numpy, and with LittleCMS where a profile is to be converted.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from runtime.pictures.opening import open_picture

SIZE = (48, 64)  # height and width of the photograph
# Allowed differences in levels of 255: none, one rounding to 8 bits, JPEG's at quality 100.
EXACT, ROUNDED, LOSSY = 0.01, 1.01, 6.0
# Chromaticities adapted to D50, as profiles store them: columns red, green, blue of Display P3,
# Adobe RGB (1998) and ProPhoto RGB (computed from their definitions by Bradford's transform).
PRIMARIES = {
    "Display P3": ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
    "Adobe RGB": ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446)),
    "ProPhoto RGB": ((0.7977, 0.2880, 0.0000), (0.1352, 0.7119, 0.0000), (0.0313, 0.0001, 0.8249)),
}
GAMMA = {"Display P3": 2.2, "Adobe RGB": 563 / 256, "ProPhoto RGB": 1.8}
# What each EXIF orientation asks for, in numpy's words (EXIF 2.32, tag 274).
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.swapaxes(a, 0, 1)[:, ::-1],
    7: lambda a: np.swapaxes(a, 0, 1)[::-1, ::-1],
    8: lambda a: np.swapaxes(a, 0, 1)[::-1],
}


@dataclass(frozen=True)
class Odd:
    """One file and what it must look like.

    Attributes:
        name: of the file, with its ending.
        group: what it is an example of.
        write: writes it to a path.
        pixels: (H, W, 3) as it must be shown, uint8 or uint16; for animations the first frame.
        alpha: (H, W) of the same type, or None.
        allowed: greatest difference of a pixel, in levels of 255.
        output: ending of the output, of a kind that loses nothing.
        frames: all frames of an animation.
        durations: how long each is shown, in milliseconds.
    """

    name: str
    group: str
    write: Callable[[Path], Any]
    pixels: np.ndarray
    alpha: np.ndarray | None = None
    allowed: float = EXACT
    output: str = ".png"
    frames: list[np.ndarray] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)


def photo() -> np.ndarray:
    """(48, 64, 3) uint8: a part of scikit-image's astronaut, with dark, light and colored areas."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[110 : 110 + SIZE[0], 180 : 180 + SIZE[1]])


def deep_photo() -> np.ndarray:
    """The same with 16 bits, the lower ones not empty."""
    noise = np.random.default_rng(0).integers(0, 257, (*SIZE, 3))
    return np.clip(photo().astype(np.int64) * 257 + noise - 128, 0, 65535).astype(np.uint16)


def fade(top: int, dtype: Any = np.uint8) -> np.ndarray:
    """(48, 64) alpha from clear to opaque."""
    line = np.linspace(0, top, SIZE[1]).round().astype(dtype)
    return np.repeat(line[None], SIZE[0], axis=0)


def all_pictures() -> list[Odd]:
    """Every case, in the order of their groups."""
    return [*turned(), *profiled(), *holed(), *deep(), *gray(), *printed(), *moving(), *sized()]


def turned() -> list[Odd]:
    """EXIF orientations."""
    from PIL import Image

    image, made = photo(), []
    for number, turn in TURNS.items():
        exif = Image.Exif()
        exif[0x0112] = number

        def write(path: Path, exif: Any = exif) -> None:
            Image.fromarray(image).save(path, exif=exif)

        made.append(Odd(f"orientation{number}.png", "EXIF orientations 1 to 8", write, turn(image)))
    return made


def profiled() -> list[Odd]:
    """Color profiles, with 8 and 16 bits."""
    from PIL import Image

    image, made = photo(), []
    # LittleCMS knows 8 bits only, so the 16-bit pictures hold levels that 8 bits hold as well.
    wide = image.astype(np.uint16) * 257
    for name in PRIMARIES:
        profile, short = icc_profile(name), name.split()[0].lower()
        made.append(
            Odd(
                f"{short}.png",
                "color profiles, 8 bits",
                lambda path, p=profile: Image.fromarray(image).save(path, icc_profile=p),
                convert(image, profile),
                allowed=EXACT,
            )
        )
        for suffix, writer in ((".png", png), (".tif", tiff)):
            made.append(
                Odd(
                    f"{short}-16{suffix}",
                    "color profiles, 16 bits",
                    lambda path, p=profile, w=writer: w(path, wide, icc=p),
                    convert(image, profile).astype(np.uint16) * 257,
                    allowed=ROUNDED,
                )
            )
    return made


def holed() -> list[Odd]:
    """Alpha, transparent colors, colors multiplied by their alpha."""
    from PIL import Image

    image, alpha, wide, deep_alpha = photo(), fade(255), deep_photo(), fade(65535, np.uint16)
    both, group = np.dstack([image, alpha]), "alpha and transparent colors"
    color = tuple(int(level) for level in image[0, 0])
    key = np.where((image == image[0, 0]).all(axis=2), 0, 255).astype(np.uint8)
    level = int(wide[0, 0, 1])
    gray_key = np.where(wide[:, :, 1] == level, 0, 65535).astype(np.uint16)
    multiplied = np.rint(wide * (deep_alpha[:, :, None] / 65535)).astype(np.uint16)
    # Where nothing is left of a color it cannot come back.
    seen = np.where(deep_alpha[:, :, None] > 6000, wide, 0).astype(np.uint16)
    gray = np.repeat(image[:, :, 1:2], 3, axis=2)
    return [
        Odd("rgba.png", group, Image.fromarray(both).save, image, alpha),
        Odd("rgba.tif", group, Image.fromarray(both).save, image, alpha),
        Odd(
            "rgba.webp",
            group,
            lambda path: Image.fromarray(both).save(path, lossless=True, exact=True),
            image,
            alpha,
        ),
        Odd(
            "gray-alpha.png",
            group,
            Image.fromarray(np.dstack([image[:, :, 1], alpha])).save,
            gray,
            alpha,
        ),
        Odd(
            "one-color.png",
            group,
            lambda path: Image.fromarray(image).save(path, transparency=color),
            image,
            key,
        ),
        Odd(
            "one-gray-16.png",
            group,
            lambda path: png(path, wide[:, :, 1:2], more=((b"tRNS", struct.pack(">H", level)),)),
            np.repeat(wide[:, :, 1:2], 3, axis=2),
            gray_key,
        ),
        Odd(
            "rgba-16.png",
            group,
            lambda path: png(path, np.dstack([wide, deep_alpha])),
            wide,
            deep_alpha,
        ),
        Odd(
            "rgba-16.tif",
            group,
            lambda path: tiff(path, np.dstack([wide, deep_alpha]), extra=2),
            wide,
            deep_alpha,
        ),
        Odd(
            "multiplied-16.tif",
            group,
            lambda path: tiff(
                path,
                np.dstack([np.where(deep_alpha[:, :, None] > 6000, multiplied, 0), deep_alpha]),
                extra=1,
            ),
            seen,
            deep_alpha,
            allowed=0.05,
        ),
        Odd(
            "fourth-sample-16.tif",
            group,
            lambda path: tiff(path, np.dstack([wide, deep_alpha]), extra=0),
            wide,
        ),
    ]


def deep() -> list[Odd]:
    """16 bits in every layout of PNG and TIFF."""
    wide, group = deep_photo(), "16 bits, PNG and TIFF"
    level = np.repeat(wide[:, :, 1:2], 3, axis=2)
    return [
        Odd("rgb-16.png", group, lambda path: png(path, wide), wide),
        Odd("gray-16.png", group, lambda path: png(path, wide[:, :, 1:2]), level),
        Odd("rgb-16.tif", group, lambda path: tiff(path, wide), wide),
        Odd("rgb-16-big-endian.tif", group, lambda path: tiff(path, wide, order=">"), wide),
        Odd("rgb-16-deflated.tif", group, lambda path: tiff(path, wide, deflate=True), wide),
        Odd("rgb-16-planes.tif", group, lambda path: tiff(path, wide, planes=True), wide),
        Odd(
            "rgb-16-planes-deflated.tif",
            group,
            lambda path: tiff(path, wide, planes=True, deflate=True, order=">"),
            wide,
        ),
        Odd("gray-16.tif", group, lambda path: tiff(path, wide[:, :, 1:2]), level),
        Odd(
            "gray-16-white-is-zero.tif",
            group,
            lambda path: tiff(path, 65535 - wide[:, :, 1:2], photometric=0),
            level,
        ),
    ]


def gray() -> list[Odd]:
    """One channel, few bits, palettes."""
    from PIL import Image

    image, group = Image.fromarray(photo()), "gray, 1 bit, palettes"
    flat, palette, line = image.convert("L"), image.convert("P"), image.convert("1")
    few = image.quantize(13)
    made = [
        Odd("gray.png", group, flat.save, np.asarray(flat.convert("RGB"))),
        Odd("gray.bmp", group, flat.save, np.asarray(flat.convert("RGB"))),
        Odd("1-bit.png", group, line.save, np.asarray(line.convert("RGB"))),
        Odd("1-bit.tif", group, line.save, np.asarray(line.convert("RGB"))),
        Odd("palette.png", group, palette.save, np.asarray(palette.convert("RGB"))),
        Odd("palette.gif", group, palette.save, np.asarray(palette.convert("RGB"))),
        Odd("palette.bmp", group, palette.save, np.asarray(palette.convert("RGB"))),
        Odd("palette-4-bits.png", group, few.save, np.asarray(few.convert("RGB"))),
    ]
    level = np.repeat(np.asarray(flat)[:, :, None], 3, axis=2)
    made.append(
        Odd(
            "gray-white-is-zero.tif",
            group,
            lambda path: tiff(path, 255 - np.asarray(flat)[:, :, None], photometric=0),
            level,
        )
    )
    return made


def printed() -> list[Odd]:
    """CMYK and YCbCr."""
    from PIL import Image

    image, group = Image.fromarray(photo()), "CMYK and YCbCr"
    ink = image.convert("CMYK")
    shown = np.asarray(ink.convert("RGB"))
    inks = 255 - np.dstack([photo(), np.full(SIZE, 255, np.uint8)])
    return [
        Odd("cmyk.tif", group, ink.save, shown),
        Odd("cmyk.jpg", group, lambda path: ink.save(path, quality=100), shown, allowed=LOSSY),
        Odd(
            "cmyk-16.tif",
            group,
            lambda path: tiff(path, inks.astype(np.uint16) * 257, photometric=5),
            photo(),
            allowed=ROUNDED,
        ),
        Odd(
            "ycbcr.jpg",
            group,
            lambda path: image.save(path, quality=100, subsampling=0, progressive=True),
            photo(),
            allowed=LOSSY,
        ),
    ]


def moving() -> list[Odd]:
    """Animations, each kept as one."""
    from PIL import Image

    frames = [np.roll(photo(), 9 * number, axis=1) for number in range(4)]
    durations = [50, 80, 120, 200]
    made, group = [], "animations (GIF, WebP, APNG)"
    for suffix, options in ((".webp", {"lossless": True}), (".png", {}), (".gif", {})):
        stills = [Image.fromarray(frame) for frame in frames]
        if suffix == ".gif":
            stills = [still.quantize(256) for still in stills]

        def write(path: Path, stills: Any = stills, options: Any = options) -> None:
            stills[0].save(
                path,
                save_all=True,
                append_images=stills[1:],
                duration=durations,
                loop=0,
                **options,
            )

        shown = [np.asarray(still.convert("RGB")) for still in stills]
        made.append(
            Odd(
                f"moving{suffix}",
                group,
                write,
                shown[0],
                frames=shown,
                durations=durations,
            )
        )
    return made


def sized() -> list[Odd]:
    """Sizes that no network was made for."""
    from PIL import Image

    made = []
    for height, width in ((1, 1), (1, 64), (48, 1), (3, 64), (7, 5), (47, 63)):
        image = photo()[:height, :width]
        name = f"{width}x{height}.png"
        made.append(Odd(name, "extreme sizes, from 1x1 on", Image.fromarray(image).save, image))
    return made


def convert(image: np.ndarray, profile: bytes) -> np.ndarray:
    """8-bit pixels from a profile to sRGB, by LittleCMS."""
    import io

    from PIL import Image, ImageCms

    made = ImageCms.profileToProfile(
        Image.fromarray(image),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    return np.asarray(made)


def icc_profile(name: str) -> bytes:
    """A minimal profile: three primaries and one exponent (ICC.1:2022; version 2.4)."""

    def fixed(*values: float) -> bytes:
        return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))

    white = (0.9642, 1.0, 0.8249)  # D50
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(GAMMA[name] * 256)) + bytes(2)
    text = name.encode() + b"\0"
    description = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    parts = {
        b"desc": description + bytes(-len(description) % 4),
        b"cprt": b"text" + bytes(4) + b"none" + bytes(4),
        b"wtpt": b"XYZ " + bytes(4) + fixed(*white),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    for letter, color in zip((b"r", b"g", b"b"), PRIMARIES[name], strict=True):
        parts[letter + b"XYZ"] = b"XYZ " + bytes(4) + fixed(*color)
    table, body, at = b"", b"", 132 + 12 * len(parts)
    for tag, data in parts.items():
        table += tag + struct.pack(">II", at + len(body), len(data))
        body += data
    header = struct.pack(
        ">I4sI4s4s4s", at + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + fixed(*white)
    return header.ljust(128, b"\0") + struct.pack(">I", len(parts)) + table + body


def png(
    path: Path, pixels: np.ndarray, *, icc: bytes = b"", more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """A PNG of (H, W, 1 to 4) pixels without filters; `more` are chunks before the pixels."""
    height, width, channels = pixels.shape
    bits = pixels.itemsize * 8
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)), *more]
    if icc:
        chunks.append((b"iCCP", b"icc\0\0" + zlib.compress(icc)))
    rows = pixels.astype(f">u{pixels.itemsize}").reshape(height, -1)
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks += [(b"IDAT", packed), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, part in chunks:
        data += (
            struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part))
        )
    path.write_bytes(data)


def tiff(
    path: Path,
    pixels: np.ndarray,
    *,
    order: str = "<",
    photometric: int | None = None,
    planes: bool = False,
    deflate: bool = False,
    extra: int | None = None,
    icc: bytes = b"",
) -> None:
    """A TIFF of (H, W, 1 to 4) pixels in one strip, or one for each plane (TIFF 6.0)."""
    height, width, channels = pixels.shape
    if photometric is None:
        photometric = 1 if channels == 1 else 2
    data = pixels.astype(f"{order}u{pixels.itemsize}")
    strips = [data[:, :, k] for k in range(channels)] if planes else [data]
    packed = [zlib.compress(s.tobytes()) if deflate else s.tobytes() for s in strips]
    places, at = [], 8
    for strip in packed:
        places.append(at)
        at += len(strip)
    entries: dict[int, tuple[str, Sequence[int]]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [pixels.itemsize * 8] * channels),
        259: ("H", [8 if deflate else 1]),
        262: ("H", [photometric]),
        273: ("I", places),
        277: ("H", [channels]),
        278: ("I", [height]),
        279: ("I", [len(strip) for strip in packed]),
        284: ("H", [2 if planes else 1]),
    }
    if extra is not None:
        entries[338] = ("H", [extra])
    if icc:
        entries[34675] = ("B", list(icc))
    table, rest = struct.pack(order + "H", len(entries)), b""
    behind = at + 2 + 12 * len(entries) + 4
    for tag, (letter, values) in sorted(entries.items()):
        value = struct.pack(f"{order}{len(values)}{letter}", *values)
        kind = {"B": 7, "H": 3, "I": 4}[letter]
        if len(value) > 4:
            value, rest = struct.pack(order + "I", behind + len(rest)), rest + value
        table += struct.pack(order + "HHI", tag, kind, len(values)) + value.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, at)
    path.write_bytes(head + b"".join(packed) + table + bytes(4) + rest)


def shown(path: Path) -> list[tuple[np.ndarray, np.ndarray | None, float]]:
    """Every frame of a finished PNG: (pixels, alpha, milliseconds), by OpenCV and Pillow alone."""
    with open_picture(path) as image:
        count = getattr(image, "n_frames", 1)
        if count == 1:
            raw: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            alpha = raw[:, :, 3] if raw.shape[2] == 4 else None
            return [(raw[:, :, 2::-1], alpha, 0.0)]
        frames = []
        for number in range(count):
            image.seek(number)
            frames.append((np.asarray(image.convert("RGB")), None, float(image.info["duration"])))
        return frames
