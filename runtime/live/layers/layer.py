"""One painting on its way through time: kept still by a stabilizer, and faded from the last style.

When the style changes, the network of the old one is not run any more: its last picture is warped
along the motion by a stabilizer while it fades, so that a cross-fade costs no second network.

    shown = w new + (1 - w) warped,   w = t^2 (3 - 2 t),   t = time since the change / fade
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2

from ...frame import Image
from ...stabilizers import Stabilizer

# Makes a stabilizer: (switched on, stability 0..1).
Make = Callable[[bool, float], Stabilizer]


@dataclass(slots=True)
class _Fading:
    warper: Stabilizer
    size: tuple[int, int]  # height, width it works at
    began: float
    seconds: float


class Layer:
    """A painting; for one thread.

    Attributes:
        cut: whether the last frame was the first of a new scene.
    """

    def __init__(self, make: Make) -> None:
        self.cut = False
        self._make = make
        self._stabilizer: Stabilizer | None = None
        self._last: tuple[Image, Image] | None = None
        self._fading: _Fading | None = None
        self._lesson: tuple[Image, Image] | None = None

    @property
    def fading(self) -> bool:
        """Whether an older style still shows."""
        return self._fading is not None

    def begin(
        self, on: bool, stability: float, moment: float, fade: float, before: Image | None = None
    ) -> None:
        """Another style, or another stabilizer: the strokes of the last one are no use.

        Args:
            on, stability: of the stabilizer.
            moment: of the frame to come, in seconds.
            fade: seconds over which what is shown gives way; 0 for at once.
            before: what is shown where nothing was painted yet, None for nothing.
        """
        last = self._last or (None if before is None else (before, before))
        if last is not None and fade > 0:
            # A fresh stabilizer, taught what was on the screen: that may itself be in a fade.
            warper = self._make(True, 1.0)
            warper.step(*last)
            height, width = last[0].shape[:2]
            self._fading = _Fading(warper, (height, width), moment, fade)
        self._stabilizer, self._lesson, self._last = self._make(on, stability), None, None

    def first(self, work: Image, styled: Image, image: Image, moment: float) -> Image:
        """The first frame of a style: with no past there is nothing to warp, it is shown as it was
        painted. `learn` follows, when it is already on the screen."""
        self._lesson = (work, styled)
        return self._shown(work, styled, image, moment)

    def learn(self) -> None:
        """Let the stabilizer take in what `first` showed."""
        if self._lesson is not None and self._stabilizer is not None:
            self._stabilizer.step(*self._lesson)
        self._lesson = None

    def next(self, work: Image, styled: Image | None, image: Image, moment: float) -> Image | None:
        """The picture of the next frame.

        Args:
            work: the camera's picture at the size that is painted.
            styled: the network's answer; None if it was spared.
            image: the camera's picture.
            moment: when it was taken, in seconds.

        Returns:
            as `work`; None if the network was spared and nothing can be warped.
        """
        if self._stabilizer is None:
            return styled
        if styled is None:
            painted = self._stabilizer.skip(work)
        else:
            painted = self._stabilizer.step(work, styled)
            self.cut = self._stabilizer.cut
        return None if painted is None else self._shown(work, painted, image, moment)

    def _shown(self, work: Image, painted: Image, image: Image, moment: float) -> Image:
        shown = self._faded(painted, image, moment)
        self._last = (work, shown)
        return shown

    def _faded(self, painted: Image, image: Image, moment: float) -> Image:
        fading = self._fading
        if fading is None:
            return painted
        t = (moment - fading.began) / fading.seconds
        warped = fading.warper.skip(_sized(image, fading.size)) if t < 1 else None
        if warped is None:  # over, or a cut: nothing of the old scene is left
            self._fading = None
            return painted
        weight = smooth(t)
        height, width = painted.shape[:2]
        return cv2.addWeighted(painted, weight, _sized(warped, (height, width)), 1.0 - weight, 0.0)


def smooth(t: float) -> float:
    """0 at 0, 1 at 1, level at both; t is cut to 0..1."""
    t = min(1.0, max(0.0, t))
    return t * t * (3.0 - 2.0 * t)


def _sized(image: Image, size: tuple[int, int]) -> Image:
    if image.shape[:2] == size:
        return image
    smaller = size[0] < image.shape[0]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=kind)
