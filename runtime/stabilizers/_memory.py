"""A memory of painted frames in which pixels are looked up, not blended.

Warping the last output again and again blurs it (every resampling low-passes) and blending it with
new frames blurs it more (textures of neighboring frames do not match). Here every pixel of the
current frame instead holds a pointer: a slot (one of the last `slots` outputs) and a displacement
into it. The pointers move with the scene, and the picture is drawn by sampling the slots once. Only
when a slot is about to be overwritten are the pixels that still live in it re-based on the newest
output: one resampling per `slots` frames in place of one per frame.

Motion is measured against the picture that the pointers draw from the remembered *input* frames,
not against the previous input frame: errors are seen again and corrected instead of adding up.
"""

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._motion import Motion

# Rows repeated above and below each slot, so that a cubic kernel (2 rows) at its edge never reads
# the neighboring slot.
PAD = 3
# Pictures remembered at most, and the memory they may take.
MAX_SLOTS, MEMORY_BYTES = 16, 96 * 2**20
# cv2.remap addresses at most 32767 rows.
MAX_ROWS = 32767
# Pixels this old (in frames) at most are distinguished; more is "old".
MAX_AGE = 255.0

DX, DY, SLOT, AGE = range(4)


def num_slots(height: int, width: int) -> int:
    """How many pictures of this size are remembered: 4 to MAX_SLOTS, about MEMORY_BYTES."""
    by_memory = MEMORY_BYTES // (3 * height * width)
    return int(max(2, min(MAX_SLOTS, max(4, by_memory), MAX_ROWS // (height + 2 * PAD))))


class Memory:
    """Slots of painted and input pictures of one size, and a pointer per flow-resolution pixel.

    Attributes:
        state: (h, w, 4) float32: displacement x, y into the slot in flow pixels, slot, age in
        frames.
    """

    def __init__(self, height: int, width: int, preset: str = "fast"):
        self.size = (height, width)
        self.small = _flow.flow_size(height, width)
        h, w = self.small
        self.slots = num_slots(height, width)
        self.rows, self.small_rows = height + 2 * PAD, h + 2 * PAD
        self.paint = np.zeros((self.slots * self.rows, width, 3), np.uint8)
        self.seen = np.zeros((self.slots * self.small_rows, w), np.uint8)
        self.grid, self.small_grid = _flow.grid(height, width), _flow.grid(h, w)
        self.scale = np.float32([width / w, height / h])
        self.state = np.zeros((h, w, 4), np.float32)
        self.motion = Motion(h, w, preset)
        self.newest = -1

    def reference(self) -> np.ndarray:
        """What the pointers draw from the remembered input: (h, w) uint8, in the last frame."""
        return cv2.remap(self.seen, self._small_map(), None, cv2.INTER_LINEAR)

    def follow(self, gray: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Move the pointers to a new frame.

        Args:
            gray: (h, w) uint8, the new frame at flow resolution.

        Returns:
            flow (h, w, 2) from the new frame to the last, and the residual (h, w) uint8 between the
            new frame and what the moved pointers draw; 255 where they point outside their slot.
        """
        last = self.reference()
        gain = _flow.brightness_gain(last, gray)
        if gain != 1.0:
            last = cv2.convertScaleAbs(last, alpha=gain)
        flow = self.motion.estimate(gray, last)
        self.state = cv2.remap(
            self.state,
            self.small_grid + flow,
            None,
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(1e6, 1e6, 0, MAX_AGE),
        )
        self.state[..., :2] += flow
        drawn = self.reference()
        if gain != 1.0:
            drawn = cv2.convertScaleAbs(drawn, alpha=gain)
        error = _flow.residual(gray, drawn)
        error[~self._inside()] = 255
        self.state[..., AGE] = np.minimum(self.state[..., AGE] + 1, MAX_AGE)
        return flow, error

    def draw(self) -> Image:
        """Sample the painted slots where the pointers point: (H, W, 3) uint8."""
        jump = np.empty((*self.small, 2), np.float32)
        jump[..., 0] = self.state[..., DX] * self.scale[0]
        jump[..., 1] = self.state[..., DY] * self.scale[1] + self.state[..., SLOT] * self.rows + PAD
        full = cv2.resize(jump, self.size[::-1], interpolation=cv2.INTER_NEAREST)
        return cv2.remap(
            self.paint,
            cv2.add(full, self.grid),
            None,
            cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def store(self, painted: Image, gray: np.ndarray, rebase: np.ndarray | None) -> None:
        """Keep this frame in the oldest slot and let pixels in `rebase` (h, w bool; None = all)
        point to it; pixels whose slot is overwritten next are re-based as well."""
        self.newest = (self.newest + 1) % self.slots
        for book, picture, rows in (
            (self.paint, painted, self.rows),
            (self.seen, gray, self.small_rows),
        ):
            padded = cv2.copyMakeBorder(picture, PAD, PAD, 0, 0, cv2.BORDER_REPLICATE)
            book[self.newest * rows : (self.newest + 1) * rows] = padded
        if rebase is None:
            self.state[..., :3] = (0, 0, self.newest)
            return
        doomed = (self.newest + 1) % self.slots
        rebase = rebase | (self.state[..., SLOT] == doomed)
        self.state[..., :3][rebase] = (0, 0, self.newest)

    def _small_map(self) -> np.ndarray:
        where = self.small_grid + self.state[..., :2]
        where[..., 1] += self.state[..., SLOT] * self.small_rows + PAD
        return where

    def _inside(self) -> np.ndarray:
        h, w = self.small
        x = self.small_grid[..., 0] + self.state[..., DX]
        y = self.small_grid[..., 1] + self.state[..., DY]
        return (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)
