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
from ..state import State, keep, put_back
from . import _flow
from ._motion import Motion
from ._sampler import PAD, Sampler
from ._visibility import edge_error, inside, smeared

# Pictures remembered at most, and the memory they may take.
MAX_SLOTS, MEMORY_BYTES = 16, 96 * 2**20
# cv2.remap addresses at most 32767 rows.
MAX_ROWS = 32767
# Slots are told apart in bytes so far apart that no mean of two of them looks like a third.
SLOT_STEP = 256 // MAX_SLOTS
# Neighboring pointers whose displacements differ by less, in flow pixels, move together.
SAME_PX = 0.5
# What is remembered besides the slots and the motion.
KEPT = ("age", "_shift", "_slot", "_reference", "_last", "_newest")
# Residual (0..255) from which on what an object may have hid is taken to be something else; noise
# of 3 leaves 2. Half of these places show what was there before: new paint would only flicker.
DIFFERS = 4


def num_slots(height: int, width: int) -> int:
    """How many pictures of this size are remembered: 4 to MAX_SLOTS, about MEMORY_BYTES."""
    by_memory = MEMORY_BYTES // (3 * height * width)
    return int(max(2, min(MAX_SLOTS, max(4, by_memory), MAX_ROWS // (height + 2 * PAD))))


class Memory:
    """Slots of painted and input pictures of one size, and a pointer per flow-resolution pixel.

    Attributes:
        size: (height, width) of the frames; small: of the motion estimate.
        scale: frame pixels per flow pixel, (x, y).
        age: (h, w) uint8, frames since the stroke at each pixel was painted, at most 255.
        moved: x, y, width, height in flow pixels of what moved with the last frame.
    """

    def __init__(self, height: int, width: int):
        self.size, self.small = (height, width), _flow.flow_size(height, width)
        h, w = self.small
        self.scale = np.array([width / w, height / h], np.float32)
        self.age = np.zeros((h, w), np.uint8)
        self.moved = (0, 0, w, h)
        self._slots = num_slots(height, width)
        self._painted = Sampler(self._slots, (height, width), (h, w), fine=True)
        self._seen = Sampler(self._slots, (h, w), (h, w), fine=False)
        # Per pixel: displacement x, y into its slot, in flow pixels, and the slot.
        self._shift = np.zeros((h, w, 2), np.float32)
        self._slot = np.zeros((h, w), np.uint8)
        self._nowhere = np.zeros((h, w, 2), np.float32)
        self._motion = Motion(h, w)
        self._reference: Image | None = None
        self._last: Image | None = None
        self._newest = -1

    def state(self) -> State:
        """All that it remembers, between two frames."""
        return {
            **keep(self, *KEPT),
            "size": np.array(self.size),
            "painted": self._painted.book.copy(),
            "seen": self._seen.book.copy(),
            "motion": self._motion.last.copy(),
        }

    @staticmethod
    def restored(state: State) -> "Memory":
        """One that goes on where another one was."""
        height, width = (int(side) for side in state["size"])
        memory = Memory(height, width)
        put_back(memory, state, *KEPT)
        memory._painted.restore(state["painted"])
        memory._seen.restore(state["seen"])
        memory._motion.last = state["motion"]
        return memory

    @property
    def empty(self) -> bool:
        """Whether nothing was stored yet."""
        return self._newest < 0

    def moving(self, lost: np.ndarray) -> np.ndarray:
        """`lost`, (h, w) uint8, and what moved otherwise than the camera with the last frame."""
        own = self._motion.own
        return lost if own is None or not self._motion.local else lost | own

    def renew(self, mask: np.ndarray) -> None:
        """Strokes where `mask`, (h, w) uint8, is 255 were painted now."""
        self.age = self.age & ~mask

    def expire(self, mask: np.ndarray) -> None:
        """... and there they are as old as can be."""
        self.age = self.age | mask

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
        self.moved = self._motion.moved
        if self.moved[2]:
            self._move(flow)
            self._reference = self._seen.draw(self._shift, self._slot, self.moved, self._reference)
        self.age = cv2.add(self.age, 1)
        drawn = self._reference
        if gain != 1.0:
            drawn = cv2.convertScaleAbs(drawn, alpha=gain)
        error = _flow.residual(small, drawn)
        if self.moved[2]:
            different = cv2.compare(error, DIFFERS, cv2.CMP_GE)
            if self._motion.local:
                error = edge_error(error, flow) | smeared(self._shift, self._slot)
            if self._motion.uncovered is not None:
                error |= self._motion.uncovered & different
            points = cv2.add(self._shift, self._motion.grid)
            error |= ~inside(points, self.small[1], self.small[0])
        return flow, error

    def _move(self, flow: np.ndarray) -> None:
        """Take every pixel's pointer and age from where it was in the last frame."""
        how = {"borderMode": cv2.BORDER_REPLICATE}
        x, y, w, h = self.moved
        area = (slice(y, y + h), slice(x, x + w))
        flow = flow[area]
        where = cv2.add(flow, self._motion.grid[area])
        nearest, _ = cv2.convertMaps(where, None, cv2.CV_16SC2, nninterpolation=True)
        shift = cv2.remap(self._shift, nearest, None, cv2.INTER_NEAREST, **how)
        slot = cv2.remap(self._slot, nearest, None, cv2.INTER_NEAREST, **how)
        # Between neighbors in one slot that move together, displacements are interpolated: rounding
        # them to the nearest one would add up over the frames.
        between = cv2.remap(self._shift, where, None, cv2.INTER_LINEAR, **how)
        together = cv2.inRange(cv2.absdiff(between, shift), (0, 0), (SAME_PX, SAME_PX))
        mixed = cv2.remap(_apart(self._slot), where, None, cv2.INTER_LINEAR, **how)
        together &= cv2.compare(mixed, _apart(slot), cv2.CMP_EQ)
        age = cv2.remap(self.age, nearest, None, cv2.INTER_NEAREST, **how)
        self._shift[area] = cv2.add(cv2.copyTo(between, together, shift), flow)
        self._slot[area], self.age[area] = slot, age

    def clamp(self) -> None:
        """Let pointers that leave their slot point to its border, for frames without new paint."""
        h, w = self.small
        where = self._motion.grid + self._shift
        np.clip(where, 0, np.array([w - 1, h - 1], np.float32), out=where)
        self._shift = where - self._motion.grid

    def draw(self) -> Image:
        """Sample the painted slots where the pointers point: (H, W, 3) uint8.

        What did not move since the last frame is taken from there: a still camera costs a copy.
        """
        if self._last is None:
            raise ValueError("there is nothing to draw: store() a frame first")
        x, y, w, h = self.moved
        if not w:
            return self._last.copy()
        # One flow pixel more on each side: the frame's pixels are not a multiple of them.
        return self._painted.draw(self._shift, self._slot, (x - 1, y - 1, w + 2, h + 2), self._last)

    def store(self, painted: Image, small: Image, rebase: np.ndarray | None) -> None:
        """Keep this frame in the oldest slot and let pixels point to it.

        Args:
            painted: (H, W, 3) uint8, what is remembered of the output; nobody writes to it later.
            small: (h, w, 3) uint8, the input at flow resolution.
            rebase: (h, w) uint8, 255 where pixels shall point to this frame and 0 elsewhere; None:
                everywhere. Pixels whose slot is overwritten next are re-based as well.
        """
        self._newest = (self._newest + 1) % self._slots
        self._last = painted
        self._painted.put(painted, self._newest)
        self._seen.put(small, self._newest)
        if rebase is None or self._reference is None:
            self._shift[:], self._slot[:] = 0, self._newest
            self._reference = small
            return
        doomed = cv2.compare(self._slot, (self._newest + 1) % self._slots, cv2.CMP_EQ)
        moved = cv2.bitwise_or(doomed, rebase)
        if cv2.countNonZero(moved):
            self._shift = cv2.copyTo(self._nowhere, moved, self._shift)
            np.putmask(self._slot, moved, np.uint8(self._newest))
            self._reference = cv2.copyTo(small, moved, self._reference.copy())


def _apart(slot: np.ndarray) -> np.ndarray:
    """Slots as bytes SLOT_STEP apart. (cv2.multiply takes a number for a picture of 4 x 1 pixels
    wherever what moved has this size, and refuses the two types.)"""
    return cv2.convertScaleAbs(slot, alpha=SLOT_STEP)
