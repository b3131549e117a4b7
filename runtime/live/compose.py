"""From the network's size to the picture that is shown: scale up, strength, split view, mirror."""

import cv2

from ..buffers import Pool
from ..frame import Image
from .controls import Settings
from .pipeline import LiveFrame
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
        picture = self._enlarged(painted, frame.image)
        if settings.strength < 1.0 and not frame.active.stylizer.card.has_scalar("strength"):
            picture = cv2.addWeighted(
                picture,
                settings.strength,
                self._fitted(frame.image),
                1.0 - settings.strength,
                0.0,
                dst=self._take(),
            )
        if settings.split:
            picture = self._split(frame.image, picture)
        if settings.mirror:
            picture = cv2.flip(picture, 1, dst=self._take())
        return picture

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

    def _split(self, image: Image, styled: Image) -> Image:
        """The camera's picture in the left half, the styled one in the right."""
        middle = self.width // 2
        both = self._take()
        both[:, middle:] = styled[:, middle:]
        both[:, :middle] = self._fitted(image)[:, :middle]
        thick = max(1, self.width // 640)
        both[:, max(0, middle - thick) : middle + thick] = LINE_COLOR
        return both

    def _take(self) -> Image:
        return self._pool.take(self.height, self.width, 3)
