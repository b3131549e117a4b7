"""One picture, many answers: the networks of BicycleGAN (Zhu et al., NIPS 2017, arXiv:1711.11586).

The generator is our lean trunk, whose scales and shifts are written by the noise z, as
`networks.microast` writes them from a style; the published one is "unet_pix2pix" with `noise = 8`.
The encoder, the paper's E, exists in training only:

    conv 4x4 /2 (w) -> `layers` residual blocks, each half as large and wider -> mean over positions
    -> means and log variances of z
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.card import Port

from ..settings import Channels, Layers
from . import Graph
from ._parts.styled import StyledConfig, StyledTrunk


@dataclass(frozen=True)
class Config(StyledConfig):
    """Shape of the trunk, and of what writes its modulation."""

    noise: Channels = 8  # numbers in z
    hidden: Channels = 64  # width of the two layers between z and the modulation


class Generator(StyledTrunk):
    """images (N, 3, H, W) RGB in [0, 1] and z (N or 1, noise) of N(0, 1) -> pictures, same
    shape."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.noise = config.noise
        size = 2 * self.num_norms * config.width
        self.mix = nn.Sequential(
            nn.Linear(config.noise, config.hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(config.hidden, config.hidden),
            nn.LeakyReLU(0.2),
        )
        self.write = nn.Linear(config.hidden, size)
        # As large behind the layers as z is before them: what hardly changes an answer is not
        # learned, and the encoder then says nothing (posterior collapse).
        for layer in (self.mix[0], self.mix[2]):
            assert isinstance(layer, nn.Linear)
            nn.init.kaiming_normal_(layer.weight, a=0.2)
        with torch.no_grad():
            self.write.bias.copy_(self.neutral_modulation().flatten())

    def forward(self, images: Tensor, z: Tensor) -> Tensor:
        """Paint a batch; height and width must be multiples of `multiple_of`."""
        code = self.write(self.mix(z.to(self.write.weight.dtype)))
        return self.paint(images, code.view(-1, self.num_norms, 2, self.width))

    def exports(self, name: str) -> list[Graph]:
        """One graph with a noise port; without a variation z is 0, the middle of all answers."""
        return [noise_graph(self, self.noise)]


@dataclass(frozen=True)
class EncoderConfig:
    """Shape of the encoder; the paper's is width 64, 4 layers, for 256 px."""

    width: Channels = 64  # channels of the first layer
    layers: Layers = 4  # residual blocks
    noise: Channels = 8


class Encoder(nn.Module):
    """pictures (N, 3, H, W) in [0, 1] -> means and log variances of z, (N, noise) each."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        widths = [config.width * min(n, 4) for n in range(1, config.layers + 2)]
        self.stem = nn.Conv2d(3, config.width, 4, 2, 1)
        self.blocks = nn.ModuleList(_Halving(before, after) for before, after in pairwise(widths))
        self.mean = nn.Linear(widths[-1], config.noise)
        self.log_variance = nn.Linear(widths[-1], config.noise)
        # What is normalized has lost its color, which only the shortcuts hand on: with the small
        # weights that GANs usually begin with, nothing of it would arrive.
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, a=0.2)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Sides of at least 2^(layers + 1) px."""
        x = self.stem(2 * images - 1)
        for block in self.blocks:
            x = block(x)
        pooled = F.leaky_relu(x, 0.2).mean((2, 3))
        return self.mean(pooled).float(), self.log_variance(pooled).float()


class _Halving(nn.Module):
    """The paper's residual block: convolutions and mean pooling beside pooling and a 1x1 one."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, before, 3, 1, 1)
        self.conv2 = nn.Conv2d(before, after, 3, 1, 1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.leaky_relu(F.instance_norm(x), 0.2))
        y = self.conv2(F.leaky_relu(F.instance_norm(y), 0.2))
        return F.avg_pool2d(y, 2) + self.shortcut(F.avg_pool2d(x, 2))


def noise_graph(generator: nn.Module, size: int) -> Graph:
    """A graph whose noise port holds z, `size` numbers of N(0, 1)."""
    shape = (1, 3, "height", "width")
    z = Port("z", "noise", (1, size), low=-1e6, high=1e6, default=0.0)
    image, styled = Port("image", shape=shape), Port("styled", shape=shape)
    return Graph("", _Clamped(generator), (image, z), (styled,))


class _Clamped(nn.Module):
    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, z: Tensor) -> Tensor:
        return self.generator(image, z).clamp(0.0, 1.0)


PLUGIN = (Config, Generator)
