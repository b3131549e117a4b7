"""What travels through the pipeline: one picture, when it is shown, and its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fractions import Fraction  # with decimal, 1 ms: a still picture needs neither

# (H, W, 3) uint8, RGB, C-contiguous. BGR exists only inside cv2 calls, at the edges.
Image = np.ndarray
# glibc's upper end for blocks that are kept for the next one is 32 MiB, on 64 bits, with the
# block's head (DEFAULT_MMAP_THRESHOLD_MAX in malloc.c): nine 1280x720 pictures, four of 1920x1080.
LARGEST = 31 * 2**20


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded picture.

    Attributes:
        image: (H, W, 3) uint8 RGB, C-contiguous; never written to after it was handed on.
        time: seconds since the start of the stream, exact (`pts * time_base`); for live sources
            seconds of a monotonic clock since the source was opened.
        index: 0-based position in the stream (of the frames the source delivered).
        duration: seconds this frame is shown, exact, if the source says so. The next frame's time
            wins; this one decides how long the last frame stays.
        alpha: (H, W) uint8, 0 transparent, not multiplied into the colors; None for opaque ones.
    """

    image: Image
    time: Fraction
    index: int
    duration: Fraction | None = None
    alpha: np.ndarray | None = None


def check_image(image: Image) -> Image:
    """Return `image` unchanged, or raise ValueError saying which rule of `Image` it breaks."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"an image is (H, W, 3) uint8 RGB, this array is {image.shape} {image.dtype}"
        )
    return image


def keep_pictures() -> None:
    """Let freed pictures be used again as they are; call it before working on many of one size.

    glibc begins by asking the system for every block above 128 KiB and giving it back when it is
    freed: 675 page faults for each 1280x720 picture, 25 ms of a stabilizer's step instead of 20.
    Whenever such a block is freed, blocks up to its size are kept from then on (mallopt(3),
    M_MMAP_THRESHOLD). So one is made and freed here; it is never touched and costs nothing. Other C
    libraries have other rules, for them this does nothing.
    """
    np.empty(LARGEST, np.uint8)
