"""Picture files in: every kind of pixels becomes upright RGB of 8 or 16 bits, plus alpha.

Orientation tags are applied, color profiles converted to sRGB, CMYK, gray, palettes and
transparency understood. Decoding is done in bands of rows, so that a picture of 20000x20000 pixels
fits beside its own decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SourceError
from ..frame import Image
from . import color_profile, deep_pixels
from .metadata import ORIENTATION, Metadata, read_metadata
from .opening import MAX_PIXELS, decoding, open_picture

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

# Rows decoded at a time, as a number of pixels: 4 M pixels are 16 MB in Pillow.
BAND_PIXELS = 2**22
# Rows handed to a compressor at a time, as bytes.
BAND_BYTES = 2**22
# Formats whose several frames are an animation and not pages or burst shots.
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
# Shown for frames of an animation that carry no duration: browsers do the same.
DEFAULT_DURATION_MS = 100.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture.

    Attributes:
        pixels: (H, W, 3) RGB, uint8 or uint16, upright.
        alpha: (H, W) of the same type, or None if opaque.
        metadata: what else the file said.
        duration_ms: how long a frame of an animation is shown; 0 for stills.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    metadata: Metadata = field(default_factory=Metadata)
    duration_ms: float = 0.0

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]


class Album:
    """An open picture file: one picture, or the frames of an animation, read one at a time.

    Args:
        path: the file.
        max_pixels: larger pictures are refused.

    Attributes:
        path: the file.
        num_frames: 1 for stills.
        loop: how often an animation is shown, 0 for ever.
        size: (height, width) as shown (after rotation).
        notes: what a user should know (pages left out), one line each.
    """

    def __init__(self, path: str | Path, max_pixels: int = MAX_PIXELS) -> None:
        self.path = path = Path(path)
        self.notes: list[str] = []
        self._max_pixels = max_pixels
        self._image = open_picture(path, max_pixels)
        with decoding(path, max_pixels):
            if self._image.mode == "F" or deep_pixels.sample_bits(self._image) == 32:
                raise SourceError(f'"{path}" has 32 bits a channel; convert it to 8 or 16 bits')
            self._metadata = read_metadata(self._image)
            # Pillow and OpenCV turn TIFF files themselves.
            turned = self._image.format == "TIFF"
            self._orientation = 1 if turned else self._image.getexif().get(ORIENTATION, 1)
            count = getattr(self._image, "n_frames", 1)
            # The first picture of such an APNG is for programs that know no animations.
            self._first = int(bool(self._image.info.get("default_image")))
            count -= self._first
        animated = count > 1 and self._image.format in ANIMATED
        self.num_frames = count if animated else 1
        self.loop = _times_shown(self._image)
        if count > 1 and not animated and self._image.format != "MPO":
            self.notes.append(f"{path.name}: {count} pages, only the first is read")
        width, height = self._image.size
        self.size = (width, height) if self._orientation in (5, 6, 7, 8) else (height, width)

    def __iter__(self) -> Iterator[Picture]:
        for index in range(self.num_frames):
            # Nothing is kept here: a large picture must be gone when its reader lets go of it.
            yield self._frame(index)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._image.close()

    def __enter__(self) -> Album:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _frame(self, index: int) -> Picture:
        with decoding(self.path, self._max_pixels):
            if self.num_frames > 1:
                self._image.seek(index + self._first)
            picture = self._read()
            if self.num_frames == 1:
                self._image.close()
            return picture

    def _read(self) -> Picture:
        image, duration = self._image, 0.0
        if self.num_frames > 1:
            image.load()
            duration = float(image.info.get("duration", 0) or DEFAULT_DURATION_MS)
        pixels, alpha, icc = self._deep() or _pixels(image)
        return Picture(
            _upright(pixels, self._orientation),
            None if alpha is None else _upright(alpha, self._orientation),
            replace(self._metadata, icc=icc),
            duration,
        )

    def _deep(self) -> tuple[np.ndarray, np.ndarray | None, bytes] | None:
        """16-bit pixels, in sRGB unless their profile is of a kind that cannot be converted."""
        if self.num_frames > 1 or not deep_pixels.is_deep(self._image, self.path):
            note = f"{self.path.name}: 16 bits of this kind are read as 8"
            if deep_pixels.sample_bits(self._image) == 16 and note not in self.notes:
                self.notes.append(note)
            return None
        found = deep_pixels.read(self.path, self._image)
        if found is None:
            return None
        icc = self._image.info.get("icc_profile") or b""
        return *found, color_profile.to_srgb(found[0], icc)


def _times_shown(image: PillowImage) -> int:
    """How often an animation is shown, 0 for ever."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        # Stored are repetitions after the first time; without the entry there are none.
        return 1 if loop is None else int(loop) + 1 if loop else 0
    return int(loop or 0)


def read_rgb(path: str | Path) -> Image:
    """The (first) picture of a file as (H, W, 3) uint8 RGB; transparency is shown over white."""
    with Album(path) as album:
        picture = next(iter(album))
    return flatten(to_bytes(picture)).pixels


def to_bytes(picture: Picture) -> Picture:
    """The picture in 8 bits."""
    if picture.pixels.dtype == np.uint8:
        return picture

    def narrow(array: np.ndarray) -> np.ndarray:
        # 65535 / 255 = 257, rounded to the nearest level.
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)

    alpha = None if picture.alpha is None else narrow(picture.alpha)
    return replace(picture, pixels=narrow(picture.pixels), alpha=alpha)


def flatten(picture: Picture) -> Picture:
    """The picture over white, without alpha."""
    if picture.alpha is None:
        return picture
    top = np.iinfo(picture.pixels.dtype).max
    cover = (picture.alpha.astype(np.float32) / top)[:, :, None]
    mixed = np.rint(picture.pixels * cover + top * (1.0 - cover))
    return replace(picture, pixels=mixed.astype(picture.pixels.dtype), alpha=None)


def bands(picture: Picture, dtype: str) -> Iterator[np.ndarray]:
    """The picture in bands of rows: (rows, W, 3 or 4), contiguous, of this type."""
    height, width = picture.size
    step = max(1, BAND_BYTES // (width * 4 * picture.pixels.itemsize))
    for top in range(0, height, step):
        band = picture.pixels[top : top + step]
        if picture.alpha is not None:
            band = np.dstack([band, picture.alpha[top : top + step]])
        yield np.ascontiguousarray(band, dtype=dtype)


def _pixels(image: PillowImage) -> tuple[np.ndarray, np.ndarray | None, bytes]:
    """8-bit pixels by Pillow, in sRGB, and the profile they are now in (b"" if none was given)."""
    image.load()
    if image.mode in deep_pixels.MODES:
        image = image.point(lambda level: level / 257).convert("L")
    has_alpha = image.has_transparency_data
    transform, icc = _to_srgb(image)
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    alpha = np.empty((height, width), np.uint8) if has_alpha else None
    step = max(1, BAND_PIXELS // width)
    for top in range(0, height, step):
        bottom = min(height, top + step)
        band = image.crop((0, top, width, bottom))
        if alpha is not None:
            band = band.convert("RGBA")
            alpha[top:bottom] = np.asarray(band.getchannel("A"))
        pixels[top:bottom] = np.asarray(transform(band))
    return pixels, alpha, icc


def _to_srgb(image: PillowImage) -> tuple[Callable[[PillowImage], PillowImage], bytes]:
    """A function from a band of this image to RGB, and the profile of its result."""

    def plain(band: PillowImage) -> PillowImage:
        return band.convert("RGB")

    profile = image.info.get("icc_profile")
    if not profile:
        return plain, b""
    import io

    from PIL import ImageCms

    mode = image.mode if image.mode in ("CMYK", "L", "LAB") else "RGB"
    try:
        srgb = ImageCms.createProfile("sRGB")
        convert = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            srgb,
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        # A profile that is broken, or of another kind of pixels than these: as good as none.
        return plain, b""
    icc = ImageCms.ImageCmsProfile(srgb).tobytes()

    def converted(band: PillowImage) -> PillowImage:
        return ImageCms.applyTransform(band.convert(mode), convert)

    return converted, icc


def _upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Undo the camera's rotation (EXIF tag 274: 1 upright, 2-8 mirrored and turned)."""
    if orientation in (2, 5, 7):
        # 5 and 7 are 8 and 6 mirrored left to right before turning.
        array = array[:, ::-1]
    if orientation in (3, 4):
        array = array[::-1, ::-1] if orientation == 3 else array[::-1]
    turns = {5: 1, 6: -1, 7: -1, 8: 1}.get(orientation, 0)
    return np.ascontiguousarray(np.rot90(array, turns) if turns else array)
