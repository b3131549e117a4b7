"""What travels through the pipeline: one picture, when it is shown, and its number."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

# (H, W, 3) uint8, RGB, C-contiguous. BGR exists only inside cv2 calls, at the edges.
Image = np.ndarray


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
