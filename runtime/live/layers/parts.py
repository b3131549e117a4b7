"""In which part of the picture the style is seen: a mask for each frame, faded when it changes."""

from collections.abc import Callable

import numpy as np

from ...frame import Image
from ...regions import Region
from ...regions.matte import Matte
from .layer import smooth


class Parts:
    """Masks of the frames; for one thread.

    Args:
        open_matte: opens what finds people; called when a part is asked for first.
    """

    def __init__(self, open_matte: Callable[[], Matte]) -> None:
        self._open, self._matte = open_matte, None
        self._region: Region | None = None  # before the first picture
        self._before: Region = "all"
        self._began = 0.0

    def mask(
        self, image: Image, region: Region, moment: float, fade: float, *, cut: bool = False
    ) -> np.ndarray | None:
        """Where the style is seen.

        Args:
            image: the camera's picture, (H, W, 3).
            region: where it is to be seen from now on.
            moment: when it was taken, in seconds.
            fade: seconds over which a new region comes in.
            cut: the picture has nothing to do with the last one.

        Returns:
            (H, W) float32 in 0..1; None for everywhere.
        """
        if region != self._region:
            # What is asked for from the start is there at once.
            self._before, self._region, self._began = self._region or region, region, moment
        weight = smooth((moment - self._began) / fade) if fade > 0 else 1.0
        if weight >= 1.0:
            self._before = region
        if region == "all" and self._before == "all":
            return None
        matte = self._matte = self._matte or self._open()
        if cut:
            matte.reset()
        person = matte.of(image)
        now = _of(region, person)
        return now if weight >= 1.0 else weight * now + (1.0 - weight) * _of(self._before, person)


def _of(region: Region, person: np.ndarray) -> np.ndarray:
    if region == "all":
        return np.ones_like(person)
    return person if region == "person" else 1.0 - person
