"""A memory of painted frames in which pixels are looked up, not blended.

Warping the last output again and again blurs it (every resampling low-passes) and blending it with
new frames blurs it more (textures of neighboring frames do not match). Here every pixel of the
current frame instead holds a pointer: a slot (one of the last outputs) and a displacement into it.
The pointers move with the scene, and the picture is drawn by sampling the slots once. Only when a
slot is about to be overwritten are the pixels that still live in it re-based on the newest output:
one resampling per `num_slots` frames in place of one per frame.

Motion is measured against the picture that the pointers draw from the remembered *input* frames,
not against the previous input frame: errors are seen again and corrected instead of adding up.
"""

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._motion import Motion
from ._visibility import edge_error, inside, smeared

# Rows repeated above and below each slot, so that a cubic kernel (2 rows) at its edge never reads
# the neighboring slot.
PAD = 3
# Pictures remembered at most, and the memory they may take.
MAX_SLOTS, MEMORY_BYTES = 16, 96 * 2**20
# Flow that differs by more than EDGE_PX between neighbors is the edge of a moving object. Around it
# (EDGE_REACH flow pixels) things appear from behind it: there a residual counts so many times.
EDGE_PX, EDGE_REACH, EDGE_STRICTNESS = 0.3, 9, 2.5
# Quality of the dense flow; the camera's motion hides most of the difference to "fast".
PRESET = "fast"
# cv2.remap addresses at most 32767 rows.
MAX_ROWS = 32767
# Ages are counted up to this many frames.
MAX_AGE = 255
# Quality of the dense flow; the camera's motion hides most of the difference to "fast".
PRESET = "fast"
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
    """

    def __init__(self, height: int, width: int, preset: str | None = None):
        self.size, self.small = (height, width), _flow.flow_size(height, width)
        h, w = self.small
        self.scale = np.array([width / w, height / h], np.float32)
        self._slots = num_slots(height, width)
        self._rows, self._small_rows = height + 2 * PAD, h + 2 * PAD
        self._painted = np.zeros((self._slots * self._rows, width, 3), np.uint8)
        self._seen = np.zeros((self._slots * self._small_rows, w, 3), np.uint8)
        # Per pixel: displacement x, y into the slot in flow pixels, slot, age in frames.
        self._state = np.zeros((h, w, 4), np.float32)
        self._motion = Motion(h, w, preset or PRESET)
        self._grid, self._where = _flow.grid(height, width), _flow.grid(height, width)
        self._reference: Image | None = None
        self._last: Image | None = None
        self._moved = (0, 0, w, h)
        self._newest = -1

    @property
    def empty(self) -> bool:
        """Whether nothing was stored yet."""
        return self._newest < 0

    @property
    def age(self) -> np.ndarray:
        """Frames since the stroke at each pixel was painted, at most 255: (h, w) uint8."""
        return cv2.extractChannel(self._state, 3).astype(np.uint8)

    def set_age(self, age: float | np.ndarray, mask: np.ndarray | None = None) -> None:
        """Set the age where `mask` (h, w) uint8 is 255, or everywhere."""
        if mask is None:
            self._state[..., 3] = age
        else:
            self._state[..., 3][mask == 255] = age

    def follow(self, small: Image) -> tuple[np.ndarray, np.ndarray]:
        """Move the pointers to a new frame.

        Args:
            small: (h, w, 3) uint8, the new frame at flow resolution.

        Returns:
            Flow (h, w, 2) from the new frame to the last; and the residual (h, w) uint8 between the
            new frame and what the moved pointers draw of the remembered input, the largest of the
            three colors; 255 where a pointer leaves its slot or the surface is smeared.
        """
        if self._reference is None:
            raise ValueError("there is nothing to follow: store() a frame first")
        gray, last = _flow.to_gray(small), _flow.to_gray(self._reference)
        gain = _flow.brightness_gain(last, gray)
        if gain != 1.0:
            last = cv2.convertScaleAbs(last, alpha=gain)
        flow = self._motion.estimate(gray, last)
        h, w = self.small
        drawn = self._reference
        self._moved = self._motion.moved
        if self._moved[2]:
            where = cv2.add(flow, self._motion.grid)
            self._state = cv2.remap(self._state, where, None, cv2.INTER_NEAREST)
            self._state[..., :2] += flow
            drawn = self._reference = self._draw_seen()
        age = self._state[..., 3]
        np.minimum(age + 1, MAX_AGE, out=age)
        if gain != 1.0:
            drawn = cv2.convertScaleAbs(drawn, alpha=gain)
        error = _flow.residual(small, drawn)
        if self._moved[2]:
            error = edge_error(error, flow)
            error[~inside(where, w, h)] = 255
            error[self._lost()] = 255
        return flow, error

    def clamp(self) -> None:
        """Let pointers that leave their slot point to its border, for frames without new paint."""
        h, w = self.small
        where = self._motion.grid + self._state[..., :2]
        np.clip(where, 0, np.array([w - 1, h - 1], np.float32), out=where)
        self._state[..., :2] = where - self._motion.grid

    def draw(self) -> Image:
        """Sample the painted slots where the pointers point: (H, W, 3) uint8.

        What did not move since the last frame is taken from there: a still camera costs a copy.
        """
        if self._last is None:
            raise ValueError("there is nothing to draw: store() a frame first")
        x, y, w, h = self._moved
        if not w:
            return self._last.copy()
        # One flow pixel more on each side: the frame's pixels are not a multiple of them.
        left, top = (int(max(0, k - 1) * f) for k, f in zip((x, y), self.scale, strict=True))
        right = min(self.size[1], int(np.ceil((x + w + 1) * self.scale[0])))
        bottom = min(self.size[0], int(np.ceil((y + h + 1) * self.scale[1])))
        area = (slice(top, bottom), slice(left, right))
        jump = self._pointers(self.scale, self._rows)
        where = cv2.resize(jump, self.size[::-1], dst=self._where, interpolation=cv2.INTER_NEAREST)[
            area
        ]
        where = cv2.add(where, self._grid[area], dst=where)
        part = cv2.remap(
            self._painted, where, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        if part.shape[:2] == self.size:
            return part
        picture = self._last.copy()
        picture[area] = part
        return picture

    def store(self, painted: Image, small: Image, rebase: np.ndarray | None) -> None:
        """Keep this frame in the oldest slot and let pixels point to it.

        Args:
            painted: (H, W, 3) uint8, what is remembered of the output.
            small: (h, w, 3) uint8, the input at flow resolution.
            rebase: (h, w) uint8, not 0 where pixels shall point to this frame; None: everywhere.
                Pixels whose slot is overwritten next are re-based as well.
        """
        self._newest = (self._newest + 1) % self._slots
        _put(self._painted, painted, self._newest, self._rows)
        _put(self._seen, small, self._newest, self._small_rows)
        # The copy in the slot, not `painted`: a session may paint its next frame into that buffer.
        top = self._newest * self._rows + PAD
        self._last = self._painted[top : top + self.size[0]]
        if rebase is None or self._reference is None:
            self._state[..., :3] = (0, 0, self._newest)
            self._reference = small
            return
        slot = cv2.extractChannel(self._state, 2)
        doomed = cv2.compare(slot, float((self._newest + 1) % self._slots), cv2.CMP_EQ)
        moved = cv2.bitwise_or(doomed, cv2.compare(rebase, 0, cv2.CMP_NE))
        if cv2.countNonZero(moved):
            self._state[..., :3][moved > 0] = (0, 0, self._newest)
            self._reference = cv2.copyTo(small, moved, self._reference.copy())

    def _pointers(self, scale: np.ndarray, rows: int) -> np.ndarray:
        """Where pixels point, relative to themselves, in the stacked slots: (h, w, 2) float32."""
        matrix = np.array([[scale[0], 0, 0, 0, 0], [0, scale[1], rows, 0, PAD]], np.float32)
        return cv2.transform(self._state, matrix)

    def _draw_seen(self) -> Image:
        where = self._pointers(np.array([1, 1], np.float32), self._small_rows)
        where = cv2.add(where, self._motion.grid, dst=where)
        return cv2.remap(self._seen, where, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _lost(self) -> np.ndarray:
        """Pixels that point out of their slot, or are smeared: (h, w) bool."""
        h, w = self.small
        x, y, slot, _ = cv2.split(self._state)
        points = cv2.add(cv2.merge([x, y]), self._motion.grid)
        return ~inside(points, w, h) | smeared(x, y, slot)


def _put(book: np.ndarray, picture: Image, slot: int, rows: int) -> None:
    """Write a picture and its repeated border rows into its place."""
    top, height = slot * rows, picture.shape[0]
    book[top + PAD : top + PAD + height] = picture
    book[top : top + PAD] = picture[0]
    book[top + PAD + height : top + rows] = picture[-1]
