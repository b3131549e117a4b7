"""Pictures whose people and background are painted differently."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..pictures.reading import Picture
from ..regions import Region
from ..regions.matte import Matte, mix


class Paints(Protocol):
    """What paints a picture: a `StillPainter`."""

    def paint(self, picture: Picture) -> Picture:
        """The painted picture, of the same size."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a painting goes, and what the rest is.

    Attributes:
        region: where it goes.
        matte: says where people are.
        beside: paints the rest; None leaves it as it was.
    """

    region: Region
    matte: Matte
    beside: Paints | None = None

    def together(self, picture: Picture, painted: Picture) -> Picture:
        """`painted` in its region, the rest around it.

        Args:
            picture: what was painted, of the same size.
            painted: with (H, W, 3) pixels of 8 or 16 bits.
        """
        original = picture.pixels
        rest = original if self.beside is None else self.beside.paint(picture).pixels
        # 257 = 65535 / 255.
        image = original if original.dtype == np.uint8 else (original // 257).astype(np.uint8)
        mask = self.matte.of(np.ascontiguousarray(image))
        if self.region == "background":
            mask = 1.0 - mask
        return replace(painted, pixels=_mixed(painted.pixels, rest, mask))


def _mixed(inside: np.ndarray, outside: np.ndarray, mask: np.ndarray) -> np.ndarray:
    if inside.dtype == np.uint8:
        return mix(inside, np.ascontiguousarray(outside), mask)
    weight = mask[:, :, None]
    return np.rint(weight * inside + (1.0 - weight) * outside).astype(inside.dtype)
