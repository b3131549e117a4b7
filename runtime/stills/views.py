"""Stills of two views of one scene: halves of one picture, or two files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from ..errors import UsageError
from ..pictures.reading import Album, Picture
from ..stabilizers._views import agree, agree_in_frame

Layout = Literal["side-by-side", "top-bottom", "pairs"]
LAYOUTS: tuple[str, ...] = get_args(Layout)
PAIRS = "pairs"
# OpenCV's `remap` counts columns and rows in 16 bits with a sign.
LARGEST_SIDE = 2**15 - 1


@dataclass(slots=True)
class Views:
    """Makes the right view take the left one's strokes where both show the same point.

    Args:
        layout: "side-by-side" or "top-bottom" for pictures that hold both views; "pairs" for
            pictures that are a left view and its right one in turn.
    """

    layout: str
    _left: tuple[Picture, Picture] | None = None

    @property
    def files(self) -> int:
        """How many files make one scene."""
        return 2 if self.layout == PAIRS else 1

    def forget(self) -> None:
        """The next picture is a left view, whatever came before."""
        self._left = None

    def check(self, sources: Sequence[Path], max_pixels: int, *, scaled: bool) -> None:
        """Look at the files of a scene before one of them is painted, which alone is of no use.

        Args:
            sources: `files` of them.
            max_pixels: larger pictures are refused.
            scaled: all are brought to one size.

        Raises:
            SourceError: one of two files is no picture.
            UsageError: they are not of one size, or animations.
        """
        if self.layout != PAIRS:
            return
        sizes = []
        for source in sources:
            with Album(source, max_pixels) as album:
                if album.num_frames > 1:
                    raise UsageError(f'--views pairs takes stills, and "{source}" is an animation')
                sizes.append(album.size)
                for _ in album:  # a file can end in its middle
                    pass
        if not scaled and sizes[0] != sizes[1]:
            raise _unlike(sizes[0], sizes[1])

    def together(self, picture: Picture, painted: Picture) -> Picture:
        """The painting as it is to be shown: of a right view with the left one's strokes.

        Args:
            picture: unpainted, of 8 or 16 bits.
            painted: the same, painted.

        Raises:
            UsageError: the views are not of one size, too large, or frames of an animation.
        """
        height, width = picture.size
        if max(height, width) > LARGEST_SIDE:
            raise UsageError(
                f"two views of {width}x{height} px cannot be compared, allowed are sides up to "
                f"{LARGEST_SIDE} px: use --size"
            )
        if self.layout != PAIRS:
            frame, shown = _bytes(picture.pixels), _mixable(painted.pixels)
            alike = agree_in_frame(frame, shown, self.layout)
            return replace(painted, pixels=_as(alike, painted.pixels.dtype))
        if picture.duration_ms:
            raise UsageError("--views pairs takes stills, and this is an animation")
        if self._left is None:
            self._left = picture, painted
            return painted
        (left, painted_left), self._left = self._left, None
        if left.size != picture.size:
            raise _unlike(left.size, picture.size)
        alike = agree(
            _bytes(left.pixels),
            _bytes(picture.pixels),
            _mixable(painted_left.pixels.astype(painted.pixels.dtype)),
            _mixable(painted.pixels),
        )
        return replace(painted, pixels=_as(alike, painted.pixels.dtype))


def _unlike(left: tuple[int, int], right: tuple[int, int]) -> UsageError:
    return UsageError(
        f"the right view is {right[1]}x{right[0]}, the left one {left[1]}x{left[0]}: two views are "
        "of one size; give the pair of one camera, or --size"
    )


def _bytes(pixels: np.ndarray) -> np.ndarray:
    """8 bits of 8 or 16; 257 = 65535 / 255."""
    image = pixels if pixels.dtype == np.uint8 else (pixels // 257).astype(np.uint8)
    return np.ascontiguousarray(image)


def _mixable(pixels: np.ndarray) -> np.ndarray:
    """As OpenCV mixes it: bytes, or floats for 16 bits."""
    image = pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32)
    return np.ascontiguousarray(image)


def _as(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats rounded back to whole numbers; a cubic filter may leave the range."""
    if image.dtype == dtype:
        return image
    return np.clip(np.rint(image), 0, np.iinfo(dtype).max).astype(dtype)
