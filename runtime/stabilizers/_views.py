"""Two views of one scene, painted alike: what both eyes see has the same strokes for both.

The right view shows the left one's paint wherever the same point is seen, moved by the disparity
that is measured between the unpainted views, and its own elsewhere:

    shown = m warp(painted left) + (1 - m) painted right

m is 1 where motion there and back ends where it began, and the unpainted views agree.
"""

from typing import Literal, get_args

import cv2
import numpy as np

from ..errors import UsageError
from ..frame import Image
from . import _flow

Layout = Literal["side-by-side", "top-bottom"]
LAYOUTS: tuple[str, ...] = get_args(Layout)
# Px by which a way there and back may miss its beginning; what misses more is hidden to one eye.
MISS = 1.0
# Px over which the two paintings are mixed.
RIM = (5, 5)


def agree(
    left: Image, right: Image, painted_left: Image, painted_right: Image, strength: float = 1.0
) -> Image:
    """The right view's painting, with the left one's strokes.

    Args:
        left, right: unpainted, (H, W, 3) uint8, of one size.
        painted_left, painted_right: (H, W, 3) uint8, or float32 of any range.
        strength: 0 leaves the right painting as it is, 1 takes the left one's wherever it can.
    """
    height, width = left.shape[:2]
    if strength <= 0.0 or min(height, width) < _flow.MIN_SIDE:
        return painted_right
    a, b = _flow.to_gray(left), _flow.to_gray(right)
    dis = _flow.open_dis("medium")
    there, back = np.asarray(dis.calc(b, a, None)), np.asarray(dis.calc(a, b, None))
    grid = _flow.grid(height, width)
    where = cv2.add(grid, there)
    returned = cv2.remap(back, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    miss = np.linalg.norm(there + returned, axis=2)
    same = _flow.residual(cv2.remap(left, where, None, cv2.INTER_LINEAR), right) < _flow.GATE
    inside = (where[..., 0] >= 0) & (where[..., 0] <= width - 1)
    inside &= (where[..., 1] >= 0) & (where[..., 1] <= height - 1)
    seen = (same & inside & (miss < MISS)).astype(np.uint8)
    mask = cv2.blur(cv2.erode(seen, np.ones((3, 3), np.uint8)).astype(np.float32), RIM)
    mask *= np.float32(strength)
    moved = cv2.remap(painted_left, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return cv2.blendLinear(moved, painted_right, mask, 1.0 - mask)


def check_halves(height: int, width: int, layout: str) -> None:
    """Raise UsageError where a frame of this size cannot be divided, or there is no such layout."""
    if layout not in LAYOUTS:
        raise UsageError(f'views are "{layout}", allowed are {", ".join(LAYOUTS)}')
    aside = layout == "side-by-side"
    if (width if aside else height) % 2:
        raise UsageError(
            f"two views {layout} have halves of one size, which {width}x{height} has not; cut "
            f"{'a column' if aside else 'a row'} off, or use --size"
        )


def halves(image: Image, layout: str) -> tuple[Image, Image]:
    """Left and right view of a frame that holds both.

    Raises:
        UsageError: see `check_halves`.
    """
    check_halves(image.shape[0], image.shape[1], layout)
    axis = 1 if layout == "side-by-side" else 0
    first, second = np.split(image, 2, axis)
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def agree_in_frame(image: Image, painted: Image, layout: str, strength: float = 1.0) -> Image:
    """`agree` for a frame that holds both views.

    Args:
        image: unpainted, (H, W, 3) uint8.
        painted: the same, painted.
        layout: "side-by-side", the left view on the left; or "top-bottom", the left one on top.
        strength: see `agree`.

    Raises:
        UsageError: see `halves`.
    """
    left, right = halves(image, layout)
    painted_left, painted_right = halves(painted, layout)
    shown = agree(left, right, painted_left, painted_right, strength)
    return np.concatenate([painted_left, shown], 1 if layout == "side-by-side" else 0)
