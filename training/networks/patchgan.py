"""The 70x70 PatchGAN discriminator of pix2pix (Isola et al., CVPR 2017, arXiv:1611.07004).

    conv 4x4 /2 (w), LeakyReLU -> [conv 4x4 /2, norm, LeakyReLU] x (layers - 1), widths doubling up
    to 8 w -> conv 4x4 (8 w), norm, LeakyReLU -> conv 4x4 (1)

Each score sees 70 px with three strided layers (16 with one, 34 with two). Instance normalization
as in CycleGAN; pix2pix' batch normalization over a batch of one is the same thing.
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from runtime.fields import Between

from ..settings import Channels, Normalization
from .layers import norm


@dataclass(frozen=True)
class Config:
    """Shape of a PatchGAN; the paper's is width 64, 3 layers."""

    width: Channels = 64  # channels of the first layer
    layers: Annotated[int, Between(1, 12)] = 3  # strided convolutions
    channels: Channels = 3  # 6 for pix2pix: the input picture beside the output
    normalization: Normalization = "instance"  # "instance" or "none" (WGAN-GP wants "none")


class Generator(nn.Module):
    """pictures (N, C, H, W) in [0, 1] -> scores (N, 1, h, w): a discriminator, not a
    generator; the class has the name every plugin of this folder has."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 2**config.layers
        self.normalization = config.normalization
        self.overlap = 0
        blocks: list[nn.Module] = [
            nn.Conv2d(config.channels, config.width, 4, 2, 1),
            nn.LeakyReLU(0.2),
        ]
        before = config.width
        for index in range(1, config.layers + 1):
            width = config.width * min(2**index, 8)
            stride = 2 if index < config.layers else 1
            blocks += [
                nn.Conv2d(before, width, 4, stride, 1),
                norm(config.normalization, width),
                nn.LeakyReLU(0.2),
            ]
            before = width
        self.blocks = nn.Sequential(*blocks, nn.Conv2d(before, 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Scores; sides of at least 4 * 2^layers px."""
        return self.blocks(2 * images - 1).float()


def start_small(network: nn.Module) -> None:
    """Weights from N(0, 0.02), biases 0, in place: the start of both papers' code.

    Large starting gains are one cause of color inversion in CycleGAN.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


PLUGIN = (Config, Generator)
