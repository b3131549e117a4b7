"""Painting one still: bytes or 16 bits, with alpha."""

from dataclasses import replace

import numpy as np

from .look import Look
from .meter import Meter
from .pictures import Picture


def paint(picture: Picture, look: Look, meter: Meter) -> Picture:
    """The painted picture; alpha and metadata are those of the original."""
    with meter("style"):
        if picture.pixels.dtype == np.uint16:
            image = picture.pixels.astype(np.float32) / np.float32(65535.0)
            styled = np.rint(look.stylize_float(image) * 65535.0).astype(np.uint16)
        else:
            styled = look.stylize(picture.pixels)
    return replace(picture, pixels=styled)
