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
from ._blocks import shrink, spread
from ._denoise import Denoiser
from ._heap import keep_pictures
from ._memory import MAX_AGE, Memory

# Frames a stroke lives at strength 1; three seconds at 30 frames/s.
LIFE = 90
# Frames over which an aged stroke is exchanged for a new one. All strokes that are being exchanged
# are equally far: their ages are equal modulo FADE, so that one blend serves them all.
FADE = 4
# Side, in flow pixels, of the tiles that age together.
TILE = 8
# Flow pixels that are mixed around new paint.
RIM = np.ones((3, 3), np.uint8)
# Share of pixels that must still be recognizable; below it everything is painted anew.
MIN_KEPT = 0.15


class Live:
    """See the module's text; `cut` is True when the last frame started from nothing."""

    def __init__(self, strength: float = 1.0):
        self.strength = _flow.check_strength(strength)
        keep_pictures()
        life = LIFE**self.strength
        self.fade = int(min(FADE, max(1, life / 2)))
        # A multiple of `fade`, see FADE.
        self.life = max(1, round(life / self.fade)) * self.fade
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
        self._lost: np.ndarray | None = None
        self._count = 0

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
        small = shrink(image, memory.small)
        tiny = cv2.resize(small, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        self.cut = (
            memory.empty
            or self._tiny is None
            or _flow.hsv_difference(self._tiny, tiny) > _flow.CUT_HSV
        )
        self._tiny, self._small, self._lost = tiny, small, None
        self._count += 1
        if not self.cut:
            flow, error = memory.follow(small)
            lost = cv2.compare(error, _flow.GATE, cv2.CMP_GE)
            self.cut = cv2.countNonZero(lost) > lost.size * (1 - MIN_KEPT)
        if self.cut:
            self._anchor.reset()
            return None
        self._lost = lost
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
        memory, lost, self._pending = self._memory_for(image), self._lost, None
        if lost is None:
            memory.store(styled, self._small, None)
            ages = random_tiles(memory.small, 0, self.life // self.fade).astype(np.uint8)
            memory.age = ages * np.uint8(self.fade) + np.uint8(self._count % self.fade)
            return styled
        propagated = memory.draw()
        fresh = cv2.bitwise_or(lost, cv2.compare(memory.age, self._spent, cv2.CMP_GE))
        aging = cv2.inRange(memory.age, self.life, self._spent - 1) & ~fresh
        # Around what is painted anew a mixture hides the seam.
        touched = cv2.dilate(fresh, RIM)
        self._anchor.learn(styled, propagated)
        self._anchor.release(fresh)
        painted = self._paint(styled, propagated, fresh, aging, touched & ~fresh)
        memory.set_age(self._count % self.fade, fresh)
        memory.store(painted, self._small, touched | aging)
        return self._anchor.apply(painted)

    @property
    def _spent(self) -> int:
        """The age at which nothing is left of a stroke."""
        return self.life + self.fade - 1

    def _paint(
        self,
        styled: Image,
        propagated: Image,
        fresh: np.ndarray,
        aging: np.ndarray,
        rim: np.ndarray,
    ) -> Image:
        """`propagated`, with `styled` where `fresh` is 255 and a share of it elsewhere."""
        size = styled.shape[:2]
        if cv2.countNonZero(partly := aging | rim):
            # 1/n, 1/(n-1) ... of the new paint are equal shares of it in every frame.
            share = 1 / max(2, self.fade - self._count % self.fade)
            mixed = cv2.addWeighted(styled, share, propagated, 1 - share, 0)
            propagated = cv2.copyTo(mixed, spread(partly, size), propagated)
        if cv2.countNonZero(fresh):
            propagated = cv2.copyTo(styled, spread(fresh, size), propagated)
        return propagated

    def skip(self, image: Image) -> Image | None:
        """Carry the last output along to `image`, without the network."""
        if self.strength == 0 or self._memory is None or self._memory.empty:
            return None
        self._denoiser, self._pending = Denoiser(), None
        if self._follow(image) is None or self._lost is None:
            self.reset()
            return None
        memory = self._memory
        memory.clamp()
        propagated = memory.draw()
        # What is not recognizable any more is painted as soon as the network is back.
        memory.set_age(MAX_AGE, self._lost)
        memory.store(propagated, self._small, np.zeros(memory.small, np.uint8))
        return self._anchor.apply(propagated)

    def _memory_for(self, image: Image) -> Memory:
        if self._memory is None or self._memory.size != image.shape[:2]:
            self.reset()
            self._memory = Memory(*image.shape[:2])
        return self._memory


def random_tiles(small: tuple[int, int], low: float, high: float) -> np.ndarray:
    """A random number per tile, always the same ones, so that tiles do not change together: (h, w)
    float32, low..high."""
    rows, columns = (-(-side // TILE) for side in small)
    numbers = np.random.default_rng(0).uniform(low, high, (rows, columns)).astype(np.float32)
    tiles = np.kron(numbers, np.ones((TILE, TILE), np.float32))
    return np.ascontiguousarray(tiles[: small[0], : small[1]])


PLUGIN = Live
