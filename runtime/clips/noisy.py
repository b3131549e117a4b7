"""A painter that sees frames with input noise where they are flat."""

from ..frame import Image
from ..input_noise.scene import SceneNoise
from ..state import State, nest, part
from .steady import Painter


class NoisyPainter(Painter):
    """Paints what another painter paints of frames with input noise.

    Args:
        painter: of the frames.
        noise: of the same stream, fresh.
    """

    def __init__(self, painter: Painter, noise: SceneNoise) -> None:
        self._painter, self._noise = painter, noise

    @property
    def remembers(self) -> bool:
        """Always: the noise follows the camera."""
        return True

    @property
    def begins_scene(self) -> bool:
        """Never by itself: where the noise lies depends on all frames since the last reset."""
        return False

    def stylize(self, image: Image) -> Image:
        """Paint one picture."""
        return self._painter.stylize(self._noise.add(image))

    def reset(self) -> None:
        """Forget the pictures before."""
        self._noise.reset()
        self._painter.reset()

    def state(self) -> State | None:
        """What the pictures before left; None if that cannot be told."""
        found = self._painter.state()
        if found is None:
            return None
        return nest("painter", found) | nest("noise", self._noise.state())

    def resume(self, state: State) -> None:
        """Go on where another one was."""
        self._painter.resume(part("painter", state))
        self._noise.resume(part("noise", state))
