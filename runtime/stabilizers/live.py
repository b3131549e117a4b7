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
from ._memory import AGE, Memory

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
        self.strength = check = _flow.check_strength(strength)
        self.life = float(LIFE**check)
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
        self._fresh: np.ndarray | None = None

    def prepare(self, image: Image) -> Image:
        """Follow the motion to `image` and return it with less sensor noise."""
        if self.strength == 0:
            return image
        memory = self._memory_for(image)
        small = _flow.shrink_image(image, memory.small)
        tiny = cv2.resize(small, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        self.cut = memory.newest < 0 or (self._tiny is not None and _flow.is_cut(self._tiny, tiny))
        self._tiny, self._pending = tiny, image
        gray = _flow.to_gray(small)
        self._fresh = None
        if not self.cut:
            flow, error = memory.follow(gray)
            kept = cv2.LUT(error, self._gate)
            if cv2.mean(kept)[0] < 255 * MIN_KEPT:
                self.cut = True
            else:
                self._fresh = np.maximum(255 - kept, self._worn(memory))
                self._anchor.follow(flow)
                image = self._denoiser.step(image, flow, gray, memory.scale)
        if self.cut:
            self._anchor.reset()
            image = self._denoiser.start(image, gray)
        self._gray = gray
        return image

    def step(self, image: Image, styled: Image) -> Image:
        """Return the stabilized output for this frame."""
        if self.strength == 0:
            return styled
        if self._pending is not image or styled.shape != image.shape:
            if styled.shape != image.shape:
                raise ValueError(f"styled is {styled.shape}, its image is {image.shape}")
            self.prepare(image)
        memory, self._pending = self._memory, None
        assert memory is not None
        if self._fresh is None:
            memory.store(styled, self._gray, None)
            memory.state[..., AGE] = _first_ages(memory.small, self.life)
            return styled
        carried = memory.draw()
        weight = self._fresh
        offset = self._anchor.step(styled, carried, weight)
        shown = paint = carried
        if offset is not None:
            shown = cv2.add(carried, offset, dtype=cv2.CV_8U)
        touched = weight > 0
        if touched.any():
            up = cv2.resize(weight, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            w = up.astype(np.float32) * np.float32(1 / 255)
            paint = cv2.blendLinear(styled, carried, w, 1 - w)
            shown = paint if offset is None else cv2.blendLinear(styled, shown, w, 1 - w)
            memory.state[..., AGE][weight == 255] = 0
            touched = cv2.dilate(touched.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        memory.store(paint, self._gray, touched)
        return shown

    def skip(self, image: Image) -> Image | None:
        """Carry the last output along to `image`, without the network."""
        if self.strength == 0:
            return None
        self.prepare(image)
        if self._fresh is None or self._memory is None:
            return None
        memory, self._pending = self._memory, None
        carried = memory.draw()
        # What is not recognizable any more must be painted as soon as the network is back.
        memory.state[..., AGE][self._fresh == 255] = 255
        memory.store(carried, self._gray, np.zeros(memory.small, bool))
        offset = self._anchor.offset(image.shape[:2])
        return carried if offset is None else cv2.add(carried, offset, dtype=cv2.CV_8U)

    def _memory_for(self, image: Image) -> Memory:
        if self._memory is None or self._memory.size != image.shape[:2]:
            self.reset()
            self._memory = Memory(*image.shape[:2])
        return self._memory

    def _worn(self, memory: Memory) -> np.ndarray:
        return cv2.LUT(memory.state[..., AGE].astype(np.uint8), self._aging)


def _aging_table(life: float, fade: int) -> np.ndarray:
    """256 weights 0..255 of the new paint by age: 0 up to `life`, then 1/n, 1/(n-1) ... 1."""
    left = np.maximum(1, fade - np.floor(np.arange(256) - life))
    return np.round(np.where(np.arange(256) < life, 0, 255 / left)).astype(np.uint8)


def _first_ages(small: tuple[int, int], life: float) -> np.ndarray:
    """Random ages 0..life per tile, so that tiles do not wear out together: (h, w) float32."""
    rows, columns = (-(-side // TILE) for side in small)
    ages = np.random.default_rng(0).uniform(0, life, (rows, columns)).astype(np.float32)
    return np.kron(ages, np.ones((TILE, TILE), np.float32))[: small[0], : small[1]]


PLUGIN = Live
