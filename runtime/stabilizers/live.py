"""Stabilizer for live streams: one frame in, one frame out, no look-ahead, a few milliseconds.

The network paints every frame; what is shown are brush strokes of earlier frames, carried along the
motion of the scene for as long as the scene under them stays recognizable. See `_memory` for how
strokes are carried without blur, `_denoise` for the input, `_anchor` for slow changes of light.

`strength` s is how long a stroke may live: 90^s frames (1: three seconds at 30 frames/s; 0: one
frame, which is the network's own output).
"""

import cv2
import numpy as np

from ..frame import Image
from . import _flow
from ._anchor import Anchor
from ._denoise import Denoiser
from ._memory import MAX_AGE, Memory

# Frames a stroke lives at strength 1; three seconds at 30 frames/s.
LIFE = 90
# Frames over which an aged stroke is exchanged for a new one.
FADE = 4
# Side, in flow pixels, of the tiles that age together.
TILE = 8
# Share of pixels that must still be recognizable; below it everything is painted anew.
MIN_KEPT = 0.15


class Live:
    """See the module's text; `cut` is True when the last frame started from nothing."""

    def __init__(self, strength: float = 1.0):
        self.strength = _flow.check_strength(strength)
        self.life = float(LIFE**self.strength)
        self.fade = int(min(FADE, max(1, self.life / 2)))
        self._gate = _flow.gate_table()
        self._aging = _aging_table(self.life, self.fade)
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.cut = True
        self._memory: Memory | None = None
        self._denoiser = Denoiser()
        self._anchor = Anchor()
        self._tiny: Image | None = None
        self._pending: Image | None = None
        self._small = np.empty((0, 0, 3), np.uint8)
        self._fresh: np.ndarray | None = None

    def prepare(self, image: Image) -> Image:
        """Follow the motion to `image` and return it with less sensor noise."""
        if self.strength == 0:
            return image
        flow = self._follow(image)
        self._pending = image
        if flow is None:
            return self._denoiser.start(image, self._small)
        return self._denoiser.step(image, self._small, flow, self._memory_for(image).scale)

    def _follow(self, image: Image) -> np.ndarray | None:
        """Move the memory to `image`; return the flow, or None where it starts from nothing."""
        memory = self._memory_for(image)
        small = _flow.shrink_image(image, memory.small)
        tiny = cv2.resize(small, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        self.cut = (
            memory.empty
            or self._tiny is None
            or _flow.hsv_difference(self._tiny, tiny) > _flow.CUT_HSV
        )
        self._tiny, self._small, self._fresh = tiny, small, None
        if not self.cut:
            flow, error = memory.follow(small)
            lost = cv2.LUT(error, self._gate)
            self.cut = cv2.mean(lost)[0] > 255 * (1 - MIN_KEPT)
        if self.cut:
            self._anchor.reset()
            return None
        self._fresh = cv2.max(lost, cv2.LUT(memory.age, self._aging))
        self._anchor.follow(flow)
        return flow

    def step(self, image: Image, styled: Image) -> Image:
        """Return the stabilized output for this frame."""
        if styled.shape != image.shape:
            raise ValueError(f"the styled frame is {styled.shape}, its image {image.shape}")
        if self.strength == 0:
            return styled
        if self._pending is not image:
            # Given without prepare(): the network saw the raw frame, there is nothing to denoise.
            self._denoiser = Denoiser()
            self._follow(image)
        memory, fresh, self._pending = self._memory_for(image), self._fresh, None
        if fresh is None:
            memory.store(styled, self._small, None)
            memory.set_age(random_tiles(memory.small, 0, self.life))
            return styled
        carried = memory.draw()
        offset = self._anchor.step(styled, carried, fresh)
        touched = cv2.dilate(fresh, np.ones((3, 3), np.uint8))
        memory.set_age(0, fresh)
        painted = _blend(styled, carried, fresh)
        memory.store(painted, self._small, touched)
        return painted if offset is None else cv2.add(painted, offset, dtype=cv2.CV_8U)

    def skip(self, image: Image) -> Image | None:
        """Carry the last output along to `image`, without the network."""
        if self.strength == 0 or self._memory is None or self._memory.empty:
            return None
        self._denoiser, self._pending = Denoiser(), None
        if self._follow(image) is None or self._fresh is None:
            self.reset()
            return None
        memory = self._memory
        memory.clamp()
        carried = memory.draw()
        # What is not recognizable any more is painted as soon as the network is back.
        memory.set_age(MAX_AGE, self._fresh)
        memory.store(carried, self._small, np.zeros(memory.small, np.uint8))
        offset = self._anchor.offset(image.shape[:2])
        return carried if offset is None else cv2.add(carried, offset, dtype=cv2.CV_8U)

    def _memory_for(self, image: Image) -> Memory:
        if self._memory is None or self._memory.size != image.shape[:2]:
            self.reset()
            self._memory = Memory(*image.shape[:2])
        return self._memory


def _blend(styled: Image, carried: Image, fresh: np.ndarray) -> Image:
    """`styled` where `fresh` (h, w) is 255, `carried` where it is 0, mixed between."""
    if cv2.countNonZero(fresh) == 0:
        return carried
    weight = cv2.resize(fresh, styled.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    weight = weight.astype(np.float32) * np.float32(1 / 255)
    return cv2.blendLinear(styled, carried, weight, 1 - weight)


def _aging_table(life: float, fade: int) -> np.ndarray:
    """256 weights 0..255 of the new paint by age: 0 up to `life`, then 1/n, 1/(n-1) ... 1."""
    left = np.maximum(1, fade - np.floor(np.arange(256) - life))
    return np.round(np.where(np.arange(256) < life, 0, 255 / left)).astype(np.uint8)


def random_tiles(small: tuple[int, int], low: float, high: float) -> np.ndarray:
    """A random number per tile, always the same ones, so that tiles do not change together: (h, w)
    float32, low..high."""
    rows, columns = (-(-side // TILE) for side in small)
    numbers = np.random.default_rng(0).uniform(low, high, (rows, columns)).astype(np.float32)
    tiles = np.kron(numbers, np.ones((TILE, TILE), np.float32))
    return np.ascontiguousarray(tiles[: small[0], : small[1]])


PLUGIN = Live
