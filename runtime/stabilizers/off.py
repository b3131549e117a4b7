"""No stabilization: the network's frames as they are."""

from ..frame import Image
from ..state import State
from ._flow import check_strength


class Off:
    """Pass everything through; the baseline every other stabilizer is measured against."""

    def __init__(self, strength: float = 1.0):
        self.strength = check_strength(strength)
        self.cut = False

    def prepare(self, image: Image) -> Image:
        """Return `image` itself."""
        return image

    def step(self, image: Image, styled: Image) -> Image:
        """Return `styled` itself."""
        return styled

    def skip(self, image: Image) -> Image | None:
        """Return None: without a memory there is nothing to warp."""
        return None

    def reset(self) -> None:
        """Nothing to forget."""

    def state(self) -> State:
        """Nothing."""
        return {}

    def resume(self, state: State) -> None:
        """Nothing to restore."""


PLUGIN = Off
