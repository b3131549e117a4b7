"""The U-Net of pix2pix (Isola, Zhu, Zhou, Efros, CVPR 2017, arXiv:1611.07004).

    `depth` strided 4x4 convolutions down to 1/2^depth, as many transposed ones up, each level's
    features handed across to its mirror; dropout in the three deepest levels on the way up

With `noise`, numbers z of N(0, 1) choose one of many answers (BicycleGAN; Zhu et al., NIPS 2017,
arXiv:1711.11586): constant planes beside what each level on the way down takes in.

The paper's is width 64, depth 8, for 256 px. Deviations: pictures in [0, 1] instead of [-1, 1];
instance normalization (equal to the paper's batch normalization over one picture); dropout is off
outside training, where the paper keeps it as its only noise: an exported network is deterministic.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from runtime.fields import Between

from ..settings import Channels, Normalization
from . import Graph
from .bicycle import noise_graph
from .layers import norm

NOISY_LEVELS = 3  # levels with dropout, counted from the deepest
DROPOUT = 0.5


@dataclass(frozen=True)
class Config:
    """Shape of a pix2pix U-Net."""

    width: Channels = 64  # channels of the first level; levels double it up to 8 times
    depth: Annotated[int, Between(2, 12)] = 8  # levels; sides are multiples of 2^depth
    normalization: Normalization = "instance"
    noise: Annotated[int, Between(0, 4096)] = 0  # numbers in z


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] -> translated images in [0, 1], same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 2**config.depth
        self.minimum = self.multiple_of
        self.normalization = config.normalization
        self.overlap = 3 * self.multiple_of
        widths = [config.width * min(2**level, 8) for level in range(config.depth)]
        self.noise = config.noise
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        last = config.depth - 1
        for level, width in enumerate(widths):
            layers: list[nn.Module] = [] if level == 0 else [nn.LeakyReLU(0.2)]
            before = (3 if level == 0 else widths[level - 1]) + config.noise
            layers.append(nn.Conv2d(before, width, 4, 2, 1))
            # No normalization at the ends: the first as published, the last has one pixel.
            if 0 < level < last:
                layers.append(norm(config.normalization, width))
            self.down.append(nn.Sequential(*layers))
        for level in reversed(range(config.depth)):
            before = widths[level] * (1 if level == last else 2)
            after = 3 if level == 0 else widths[level - 1]
            layers = [nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1)]
            if level > 0:
                layers.append(norm(config.normalization, after))
            if last > level >= max(1, last - NOISY_LEVELS):
                layers.append(nn.Dropout(DROPOUT))
            self.up.append(nn.Sequential(*layers))

        if config.noise:
            self.exports = self._exports  # without noise it has one graph of pictures, as most

    def _exports(self, name: str) -> list[Graph]:
        return [noise_graph(self, self.noise)]

    def forward(self, images: Tensor, z: Tensor | None = None) -> Tensor:
        """Translate a batch; height and width must be multiples of `multiple_of`.

        Args:
            z: (N or 1, noise), for networks with noise.
        """
        x = 2 * images - 1
        levels = []
        for down in self.down:
            if z is not None:
                planes = z[:, :, None, None].to(x.dtype).expand(len(x), -1, *x.shape[2:])
                x = torch.cat([x, planes], 1)
            x = down(x)
            levels.append(x)
        x = self.up[0](levels.pop())
        for up in list(self.up)[1:]:
            x = up(torch.cat([x, levels.pop()], 1))
        return 0.5 + 0.5 * torch.tanh(x.float())


PLUGIN = (Config, Generator)
