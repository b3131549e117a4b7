"""A memory of painted frames in which pixels are looked up, not blended.

Warping the last output again and again blurs it (every resampling low-passes) and blending it with
new frames blurs it more (textures of neighboring frames do not match). Here every pixel of the
current frame instead holds a pointer: a slot (one of the last outputs) and a displacement into it.
The pointers move with the scene, and the picture is drawn by sampling the slots once. Only when a
slot is about to be overwritten are the pixels that still live in it re-based on the newest output:
one resampling per `num_slots` frames in place of one per frame.

Motion is measured against the picture that the pointers draw from the remembered *input* frames, not
against the previous input frame: errors are seen again and corrected instead of adding up.
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
# Ages are counted up to this many frames.
MAX_AGE = 255
# A surface stretched to more than 1 / MIN_STRETCH of its painted size is a smear: what an object
# uncovers looks at first like the object's edge, drawn out.
MIN_STRETCH = 0.7


def num_slots(height: int, width: int) -> int:
    """How many pictures of this size are remembered: 4 to MAX_SLOTS, about MEMORY_BYTES."""
    by_memory = MEMORY_BYTES // (3 * height * width)
    return int(max(2, min(MAX_SLOTS, max(4, by_memory), MAX_ROWS // (height + 2 * PAD))))


class Memory:
    """Slots of painted and input pictures of one size, and a pointer per flow-resolution pixel.

    Attributes:
        size: (height, width) of the frames; small: of the motion estimate.
        scale: frame pixels per flow pixel, (x, y).
        age: (h, w) uint8, frames since the pixel was painted.
    """

    def __init__(self, height: int, width: int, preset: str = "fast"):
        self.size, self.small = (height, width), _flow.flow_size(height, width)
        h, w = self.small
        self.slots = num_slots(height, width)
        self.scale = np.float32([width / w, height / h])
        self.age = np.zeros((h, w), np.uint8)
        self._rows, self._small_rows = height + 2 * PAD, h + 2 * PAD
        self._painted = np.zeros((self.slots * self._rows, width, 3), np.uint8)
        self._seen = np.zeros((self.slots * self._small_rows, w, 3), np.uint8)
        self._shift = np.zeros((h, w, 2), np.float32)
        self._slot = np.zeros((h, w), np.uint8)
        self._motion = Motion(h, w, preset)
        self._grid = _flow.grid(height, width)
        self._reference: Image | None = None
        self._newest = -1

    @property
    def empty(self) -> bool:
        """Whether nothing was stored yet."""
        return self._newest < 0

    def follow(self, small: Image) -> tuple[np.ndarray, np.ndarray]:
        """Move the pointers to a new frame.

        Args:
            small: (h, w, 3) uint8, the new frame at flow resolution.

        Returns:
            Flow (h, w, 2) from the new frame to the last; and the residual (h, w) uint8 between the
            new frame and what the moved pointers draw of the remembered input, the largest of the
            three colors; 255 where a pointer leaves its slot or the surface is smeared.
        """
        last, gray = self._reference, _flow.to_gray(small)
        if last is None:
            raise ValueError("nothing to follow: store() a frame first")
        last_gray = _flow.to_gray(last)
        gain = _flow.brightness_gain(last_gray, gray)
        if gain != 1.0:
            last_gray = cv2.convertScaleAbs(last_gray, alpha=gain)
        flow = self._motion.estimate(gray, last_gray)
        where = self._motion.grid + flow
        self._shift = flow + cv2.remap(self._shift, where, None, cv2.INTER_NEAREST)
        tags = cv2.merge([self._slot, self.age])
        tags = cv2.remap(tags, where, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        self._slot, age = cv2.split(tags)
        self.age = cv2.add(age, 1)
        drawn = self._reference = self._draw_seen()
        if gain != 1.0:
            drawn = cv2.convertScaleAbs(drawn, alpha=gain)
        error = _flow.residual(small, drawn)
        error[self._lost(where)] = 255
        return flow, error

    def draw(self) -> Image:
        """Sample the painted slots where the pointers point: (H, W, 3) uint8."""
        full = cv2.resize(
            self._pointers(self.scale, self._rows), self.size[::-1], interpolation=cv2.INTER_NEAREST
        )
        where = cv2.add(full, self._grid, dst=full)
        return cv2.remap(
            self._painted, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )

    def store(self, painted: Image, small: Image, rebase: np.ndarray | None) -> None:
        """Keep this frame in the oldest slot and let pixels point to it.

        Args:
            painted: (H, W, 3) uint8, what is remembered of the output.
            small: (h, w, 3) uint8, the input at flow resolution.
            rebase: (h, w) uint8, not 0 where pixels shall point to this frame; None: everywhere.
                Pixels whose slot is overwritten next are re-based as well.
        """
        self._newest = (self._newest + 1) % self.slots
        _put(self._painted, painted, self._newest, self._rows)
        _put(self._seen, small, self._newest, self._small_rows)
        if rebase is None:
            self._shift[:], self._slot[:] = 0, self._newest
            self._reference = small
            return
        doomed = cv2.compare(self._slot, (self._newest + 1) % self.slots, cv2.CMP_EQ)
        moved = cv2.bitwise_or(doomed, cv2.compare(rebase, 0, cv2.CMP_NE))
        cv2.copyTo(np.zeros_like(self._shift), moved, self._shift)
        cv2.copyTo(np.full_like(self._slot, self._newest), moved, self._slot)
        cv2.copyTo(small, moved, self._reference)

    def _pointers(self, scale: np.ndarray, rows: int) -> np.ndarray:
        """Where pixels point, relative to themselves, in the stacked slots: (h, w, 2) float32."""
        offsets = (np.arange(self.slots) * rows + PAD).astype(np.float32)
        jump = self._shift * scale
        jump[..., 1] += offsets[self._slot]
        return jump

    def _draw_seen(self) -> Image:
        where = self._pointers(np.float32([1, 1]), self._small_rows)
        where += self._motion.grid
        return cv2.remap(self._seen, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _lost(self, where: np.ndarray) -> np.ndarray:
        """Pixels that were out of the last frame, point out of their slot, or are smeared."""
        h, w = self.small
        low, high = (0.0, 0.0), (w - 1.0, h - 1.0)
        inside = cv2.inRange(where, low, high) & cv2.inRange(
            self._shift + self._motion.grid, low, high
        )
        lost = inside == 0
        # Neighbors in one slot: source pixels per pixel, along x and along y.
        shift, slot = self._shift, self._slot
        across = (shift[:, 2:, 0] - shift[:, :-2, 0] < 2 * (MIN_STRETCH - 1)) & (
            slot[:, 2:] == slot[:, :-2]
        )
        along = (shift[2:, :, 1] - shift[:-2, :, 1] < 2 * (MIN_STRETCH - 1)) & (
            slot[2:] == slot[:-2]
        )
        lost[:, 1:-1] |= across
        lost[1:-1] |= along
        return lost


def _put(book: np.ndarray, picture: Image, slot: int, rows: int) -> None:
    """Write a picture and its repeated border rows into its place."""
    top, height = slot * rows, picture.shape[0]
    book[top + PAD : top + PAD + height] = picture
    book[top : top + PAD] = picture[0]
    book[top + PAD + height : top + rows] = picture[-1]
