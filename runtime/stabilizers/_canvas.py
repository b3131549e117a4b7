"""Drawing frames from pointers into painted pictures."""

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._tracks import Track

# Flow pixels over which two painters are blended where their areas meet: 5 px of a 640x360 frame.
FEATHER = 3
# Weights below this draw nothing.
LEAST = 1e-3


class Canvas:
    """Samples the painted pictures of a chunk, by key, and the last picture of the one before."""

    def __init__(self, painted: list[Image], tail: Image | None, small: tuple[int, int]):
        self._painted = [*painted] if tail is None else [*painted, tail]
        self._small = small
        height, width = painted[0].shape[:2]
        self._size = (height, width)
        self._scale = np.array([width / small[1], height / small[0]], np.float32)
        self._grid = _flow.grid(height, width)

    def draw(self, track: Track) -> Image:
        """The frame as its painters paint it: (H, W, 3) uint8."""
        keys = [int(key) for key in np.unique(track.key)]
        if len(keys) == 1 and not track.shift.any():
            return self._painted[keys[0]]
        total = np.zeros((*self._size, 3), np.float32)
        share = np.full(self._size, LEAST, np.float32)
        for key in keys:
            self._add(total, share, track, (track.key == key).astype(np.float32), key)
        return cv2.convertScaleAbs(total / share[..., None])

    def draw_over(self, below: Image, track: Track, weight: np.ndarray) -> Image:
        """The picture of `track` over `below` with a weight (h, w) in 0..1."""
        share = np.zeros(self._size, np.float32)
        total = np.zeros((*self._size, 3), np.float32)
        self._add(total, share, track, weight.astype(np.float32), len(self._painted) - 1)
        return cv2.convertScaleAbs(total + (1 - share[..., None]) * below)

    def _add(
        self, total: np.ndarray, share: np.ndarray, track: Track, weight: np.ndarray, key: int
    ) -> None:
        """Add one painter's share, with soft edges, inside its bounding box."""
        known = (weight > 0).astype(np.float32)
        soft = cv2.blur(weight, (FEATHER, FEATHER), borderType=cv2.BORDER_REPLICATE)
        x, y, w, h = cv2.boundingRect((soft > 0).astype(np.uint8))
        box = (slice(y, y + h), slice(x, x + w))
        # Just outside its area a painter's pointers continue those inside.
        near = cv2.blur(known, (FEATHER, FEATHER), borderType=cv2.BORDER_REPLICATE)
        spread = (
            cv2.blur(
                track.shift * known[..., None], (FEATHER, FEATHER), borderType=cv2.BORDER_REPLICATE
            )
            / np.maximum(near, LEAST)[..., None]
        )
        shift = np.where(known[..., None] > 0, track.shift, spread)[box]
        left, top = int(x * self._scale[0]), int(y * self._scale[1])
        right = min(self._size[1], int(np.ceil((x + w) * self._scale[0])))
        bottom = min(self._size[0], int(np.ceil((y + h) * self._scale[1])))
        area, size = (slice(top, bottom), slice(left, right)), (right - left, bottom - top)
        where = cv2.resize(shift * self._scale, size, interpolation=cv2.INTER_LINEAR)
        where += self._grid[area]
        paint = cv2.remap(
            self._painted[key], where, None, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE
        )
        opacity = cv2.resize(np.ascontiguousarray(soft[box]), size, interpolation=cv2.INTER_LINEAR)
        total[area] += paint * opacity[..., None]
        share[area] += opacity
