"""Picture files out: the format comes from the name, everything the format can carry goes along.

PNG and TIFF stills have writers of our own, in bands of rows: Pillow knows no 16-bit color, and its
copy of a picture of 20000x20000 pixels would not fit beside the picture. The rest is Pillow's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SinkError, UsageError
from ..outputs import replacing
from ..provenance import Provenance, carriers, xmp
from .metadata import Metadata, exif_bytes
from .png_file import write_png
from .reading import Picture, flatten, to_bytes
from .tiff_file import write_tiff

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

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
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
# Milliseconds in which each format counts how long a frame is shown.
DELAY_TICK = {"GIF": 10}
DEEP = ("PNG", "TIFF")
WITH_ALPHA = ("PNG", "TIFF", "WEBP", "GIF", "AVIF")
# Longest side each format can store.
LONGEST = {"JPEG": 65500, "WEBP": 16383, "GIF": 65535, "AVIF": 65536}


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
    overwrite: bool = True,
    finish: Callable[[Path], None] | None = None,
) -> list[str]:
    """Write a picture, or an animation, under a temporary name, then rename it.

    Args:
        path: its suffix chooses the format.
        pictures: one for a still; an iterator is consumed frame by frame.
        quality: 1..100 for JPEG, WebP and AVIF.
        loop: how often an animation is shown, 0 for ever.
        animated: keep all pictures, as frames (`holds_animation`); else only the first.
        overwrite: replace a file that appeared since the output was checked.
        finish: changes the whole file, before it gets its name.

    Returns:
        what was lost on the way, one line each.

    Raises:
        UsageError: the format cannot hold the picture.
        SinkError: the file cannot be written.
        OutputExists: it is there, and `overwrite` is False.
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
    with _reported(path), replacing(path, overwrite=overwrite) as part:
        if animated:
            _write_animation(part, kind, chain([first], stream), quality, loop)
        elif kind == "PNG":
            with part.open("wb") as out:
                write_png(out, first)
        elif kind == "TIFF":
            with part.open("wb") as out:
                write_tiff(out, first)
        else:
            _save(part, kind, _pillow(first), quality=quality, metadata=first.metadata)
        if first.metadata.xmp and (kind == "GIF" or (animated and kind == "PNG")):
            carriers.append(part, path.suffix.lower(), first.metadata.xmp)  # Pillow does not
        if finish is not None:
            finish(part)
    return notes


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise SinkError(f'cannot write "{path}": {reason}') from None


def _pillow(picture: Picture) -> PillowImage:
    from PIL import Image

    picture = to_bytes(picture)
    if picture.alpha is None:
        return Image.fromarray(picture.pixels)
    return Image.fromarray(np.dstack([picture.pixels, picture.alpha]))


def _save(part: Path, kind: str, image: PillowImage, *, quality: int, metadata: Metadata) -> None:
    from PIL import Image

    Image.init()
    if kind not in Image.SAVE:
        raise UsageError(f"this Pillow was built without {kind}; use .png, .jpg or .webp")
    image.save(part, kind, **_options(kind, metadata, quality))


def _options(kind: str, metadata: Metadata, quality: int) -> dict[str, object]:
    """Pillow's arguments for everything this format can carry."""
    options: dict[str, object] = {}
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
        durations.append(frame.duration_ms)
        holes = holes or frame.alpha is not None
    if kind == "GIF" and holes:
        options["disposal"] = 2  # frames with holes must not pile up
    if kind != "GIF":
        options["loop"] = loop
    elif loop != 1:
        options["loop"] = max(0, loop - 1)  # GIF counts repetitions and has no entry for none
    shown = delays(durations, DELAY_TICK.get(kind, 1))
    images[0].save(part, kind, save_all=True, append_images=images[1:], duration=shown, **options)


def delays(durations: list[float], tick: int) -> list[int]:
    """Durations in whole ticks, rounded so that errors do not add up; all in milliseconds."""
    found, end, placed = [], 0.0, 0
    for duration in durations:
        end += duration
        found.append(max(tick, round(end / tick) * tick - placed))
        placed += found[-1]
    return found


def without_metadata(picture: Picture) -> Picture:
    """The picture with its color profile, which the pixels need, and nothing else."""
    return replace(picture, metadata=Metadata(icc=picture.metadata.icc))


def with_provenance(picture: Picture, made: Provenance) -> Picture:
    """The picture with what made it among its metadata."""
    metadata = picture.metadata
    return replace(picture, metadata=replace(metadata, xmp=xmp.state(made, metadata.xmp)))
