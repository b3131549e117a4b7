"""Stabilizer for live streams: one frame in, one frame out, no look-ahead, a few milliseconds.

The network paints every frame; what is shown are brush strokes of earlier frames, warped along the
motion of the scene for as long as the scene under them stays recognizable. See `_memory` for how
strokes are warped without blur, `_denoise` for the input, `_anchor` for slow changes of light.

`strength` s is how long a stroke may live: 90^s frames (1: three seconds at 30 frames/s; 0: one
frame, which is the network's own output).
"""

import cv2
import numpy as np

from ..frame import Image, keep_pictures
from ..state import State, keep, nest, part, put_back
from . import _flow
from ._anchor import Anchor
from ._blocks import shrink
from ._denoise import Denoiser
from ._handover import turns
from ._memory import Memory
from ._pack import mix
from ._reach import Reach

# Frames a stroke lives at strength 1; three seconds at 30 frames/s.
LIFE = 90
# Frames over which an aged stroke is exchanged for a new one.
FADE = 6
# Flow pixels over which new paint is mixed into what is around it.
RIM = (3, 3)
# Share of pixels that must still be recognizable; below it everything is painted anew.
MIN_KEPT = 0.15


class Live:
    """See the module's text; `cut` is True when the last frame started from nothing."""

    def __init__(self, strength: float = 1.0):
        self.strength = _flow.check_strength(strength)
        keep_pictures()
        life = LIFE**self.strength
        self.fade = int(min(FADE, max(1, life / 2)))
        self.life = max(1, round(life))
        # Share of new paint by age: 1/n, 1/(n-1) ... 1 are equal shares of it in every frame.
        self._shares = np.zeros(256, np.uint8)
        steps = np.arange(self.fade, 0, -1)
        self._shares[self.life : self.life + self.fade] = np.rint(255 / steps)
        self._shares[self.life + self.fade :] = 255
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.cut = True
        self._memory: Memory | None = None
        self._denoiser = Denoiser()
        self._anchor = Anchor()
        self._reach = Reach()
        self._tiny: Image | None = None
        self._pending: Image | None = None
        self._small = np.empty((0, 0, 3), np.uint8)
        self._lost: np.ndarray | None = None
        self._count = 0

    def state(self) -> State:
        """All that it remembers, between two frames."""
        found = keep(self, "_tiny", "_count")
        found |= nest("denoiser", self._denoiser.state()) | nest("anchor", self._anchor.state())
        found |= nest("reach", self._reach.state())
        return found if self._memory is None else found | nest("memory", self._memory.state())

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        self.reset()
        put_back(self, state, "_tiny", "_count")
        self._denoiser.resume(part("denoiser", state))
        self._anchor.resume(part("anchor", state))
        self._reach.resume(part("reach", state))
        memory = part("memory", state)
        self._memory = Memory.restored(memory) if memory else None

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
            self._reach = Reach()
            return None
        self._lost = lost
        self._anchor.follow(flow, memory.moved)
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
            memory.store(styled.copy(), self._small, None)
            # Whole groups of strokes are of one age, and are exchanged together.
            memory.age = (self.life * turns(*memory.small)).astype(np.uint8)
            return styled
        shown = memory.draw()
        gap = self._anchor.learn(styled, shown, memory.small)
        if gap is not None:
            stale = self._reach.stale(gap, memory.moving(lost))
            lost = lost if stale is None else lost | stale
        share = cv2.LUT(memory.age, self._shares)
        fresh = cv2.compare(cv2.max(share, lost), 255, cv2.CMP_EQ)
        # Around what is not recognizable any more a mixture hides the seam; what ages has soft
        # edges already.
        share = cv2.max(cv2.max(share, cv2.blur(lost, RIM)), lost)
        self._anchor.release(share)
        mix(shown, styled, share)
        memory.renew(fresh)
        memory.store(shown, self._small, cv2.compare(share, 0, cv2.CMP_GT))
        return self._anchor.apply(shown)

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
        memory.expire(self._lost)
        memory.store(propagated, self._small, np.zeros(memory.small, np.uint8))
        return self._anchor.apply(propagated)

    def _memory_for(self, image: Image) -> Memory:
        if self._memory is None or self._memory.size != image.shape[:2]:
            self.reset()
            self._memory = Memory(*image.shape[:2])
        return self._memory


PLUGIN = Live
