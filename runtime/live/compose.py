"""From the network's size to the picture that is shown: scale up, strength, parts, split view."""

import cv2
import numpy as np

from ..frame import Image
from ..model import effects
from ..pictures.buffers import Pool
from ..regions.matte import mix
from .controls import Settings
from .pipeline import LiveFrame
from .styles import Active
from .upscale import upscale

# The dividing line of the split view.
LINE_COLOR = (255, 255, 255)


class Composer:
    """Makes the shown picture; remembers only its buffers.

    Args:
        width, height: of the result in pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._pool = Pool()

    def compose(self, frame: LiveFrame, settings: Settings) -> Image:
        """The picture for screen, recording and virtual camera, without figures.

        Returns:
            (height, width, 3) uint8 RGB that nobody writes to any more.
        """
        painted = frame.painted
        if painted is None:
            raise ValueError("this frame was not painted")
        picture = self._styled(painted, frame.image, frame.active, settings)
        if frame.mask is not None:
            # After the stabilizers: no stroke crosses the edge of a part.
            rest = frame.beside
            picture = mix(
                picture,
                self._fitted(frame.image)
                if rest is None or rest.painted is None
                else self._styled(rest.painted, frame.image, rest.active, settings),
                self._fitted_mask(frame.mask),
            )
        if settings.split:
            picture = self._split(frame.image, picture, settings.divider)
        return picture

    def mirrored(self, picture: Image) -> Image:
        """Left and right exchanged, as in a mirror."""
        return cv2.flip(picture, 1, dst=self._take())

    def _styled(self, painted: Image, camera: Image, active: Active, settings: Settings) -> Image:
        """A painting at the shown size, in its colors and strength."""
        picture = self._enlarged(painted, camera)
        if settings.colors == "luminance":
            picture = effects.keep_luminance(self._fitted(camera), picture)
        elif settings.colors:
            picture = effects.match_colors(picture, self._fitted(camera))
        if settings.strength < 1.0 and not active.stylizer.card.has_scalar("strength"):
            picture = cv2.addWeighted(
                picture,
                settings.strength,
                self._fitted(camera),
                1.0 - settings.strength,
                0.0,
                dst=self._take(),
            )
        return picture

    def _fitted_mask(self, mask: np.ndarray) -> np.ndarray:
        if mask.shape == (self.height, self.width):
            return mask
        return cv2.resize(mask, (self.width, self.height), interpolation=cv2.INTER_LINEAR)

    def _enlarged(self, painted: Image, camera: Image) -> Image:
        """What was painted at a smaller working size, at the shown size."""
        size = (self.height, self.width)
        smaller = painted.shape[0] < self.height and painted.shape[1] < self.width
        if smaller and camera.shape[:2] == size:
            return upscale(painted, camera)
        return self._fitted(painted)

    def _fitted(self, image: Image) -> Image:
        if image.shape[:2] == (self.height, self.width):
            return image
        return cv2.resize(
            image, (self.width, self.height), dst=self._take(), interpolation=cv2.INTER_LINEAR
        )

    def _split(self, image: Image, styled: Image, divider: float) -> Image:
        """The camera's picture on the left, the styled one on the right."""
        middle = round(self.width * divider)
        both = self._take()
        both[:, middle:] = styled[:, middle:]
        both[:, :middle] = self._fitted(image)[:, :middle]
        thick = max(1, self.width // 640)
        both[:, max(0, middle - thick) : middle + thick] = LINE_COLOR
        return both

    def _take(self) -> Image:
        return self._pool.take(self.height, self.width, 3)
