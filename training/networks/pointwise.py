"""A color filter: every pixel is recolored by itself, wherever it lies.

    conv 1x1, ReLU -> `blocks` residual blocks of two convolutions 1x1 -> conv 1x1

The lean network at full resolution with windows of one pixel. What a lookup table of colors can
say, it learns with a thousand weights; the lean network of 3x3 windows at 1/4 resolution must hand
each of 16 pixels through its trunk unharmed first, and stays some decibels short of such a table.
"""

from dataclasses import dataclass

from ..settings import Channels, Layers
from . import lean


@dataclass(frozen=True)
class Config:
    """Shape of a pointwise generator."""

    width: Channels = 48  # multiples of 16 fill the vector units
    blocks: Layers = 0  # residual blocks of two convolutions


class Generator(lean.Generator):
    """images (N, 3, H, W) RGB in [0, 1] -> recolored images, same shape, about [0, 1], not clamped.

    It is exported, fine-tuned for bytes and clipped as every lean network is.
    """

    def __init__(self, config: Config) -> None:
        shape = lean.Config(config.width, config.blocks, scale=1, normalization="none", margin=0)
        super().__init__(shape, kernel=1)


PLUGIN = (Config, Generator)
