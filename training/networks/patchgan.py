"""The 70x70 PatchGAN discriminator of pix2pix (Isola et al., CVPR 2017, arXiv:1611.07004).

    conv 4x4 /2 (w), LeakyReLU -> [conv 4x4 /2, norm, LeakyReLU] x (layers - 1), widths doubling up
    to 8 w -> conv 4x4 (8 w), norm, LeakyReLU -> conv 4x4 (1)

Each score sees 70 px with three strided layers (16 with one, 34 with two). Instance normalization
as in CycleGAN; pix2pix' batch normalization over a batch of one is the same thing.

Options that steady a game, off by default: `spectral`, each convolution divided by its largest
singular value (Miyato et al., ICLR 2018, arXiv:1802.05957); `scales`, as many such networks on the
picture, its half, its quarter (Wang et al., CVPR 2018, arXiv:1711.11585, with 3);
`minibatch_deviation` before the last convolution (Karras et al., ICLR 2018, arXiv:1710.10196).
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from runtime.errors import UsageError
from runtime.fields import Between

from ..settings import Channels, Normalization
from . import Scores
from .layers import minibatch_deviation, norm

LEAST = 3  # scores before the last two convolutions, each of which takes one away


@dataclass(frozen=True)
class Config:
    """Shape of a PatchGAN; the paper's is width 64, 3 layers."""

    width: Channels = 64  # channels of the first layer
    layers: Annotated[int, Between(1, 12)] = 3  # strided convolutions
    channels: Channels = 3  # 6 for pix2pix: the input picture beside the output
    normalization: Normalization = "instance"  # "instance" or "none" (WGAN-GP wants "none")
    spectral: bool = False  # spectral normalization
    scales: Annotated[int, Between(1, 6)] = 1  # discriminators, each on half of the last one's size
    minibatch_deviation: bool = False


class Generator(nn.Module):
    """pictures (N, C, H, W) in [0, 1] -> `Scores`, a map (N, 1, h, w) for each scale: a
    discriminator, not a generator; the class has the name every plugin of this folder has."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 2**config.layers
        self.normalization = config.normalization
        self.overlap = 0
        self.deviation = config.minibatch_deviation
        self.blocks = _one_scale(config)
        self.coarser = nn.ModuleList(_one_scale(config) for _ in range(config.scales - 1))

    def forward(self, images: Tensor) -> Scores:
        """Scores. Raises UsageError: sides of less than 3 * 2^layers px at the coarsest scale."""
        x = 2 * images - 1
        maps: list[Tensor] = []
        features: list[Tensor] = []
        for index, blocks in enumerate((self.blocks, *self.coarser)):
            if index:
                x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
            if min(x.shape[2:]) // self.multiple_of < LEAST:
                height, width = images.shape[2:]
                needed = 2 ** len(self.coarser) * LEAST * self.multiple_of
                raise UsageError(
                    f"pictures of {width}x{height} px are too small for this discriminator, they "
                    f"need {needed} px: raise data.crop, or lower "
                    "options.discriminator.layers or options.discriminator.scales"
                )
            y = x
            for block in list(blocks)[:-1]:  # type: ignore[arg-type]
                y = block(y)
                if isinstance(block, nn.LeakyReLU):
                    features.append(y)
            y = minibatch_deviation(y) if self.deviation else y
            maps.append(blocks[-1](y).float())  # type: ignore[index]
        return Scores(tuple(maps), tuple(features))


def _one_scale(config: Config) -> nn.Sequential:
    def conv(before: int, width: int, stride: int) -> nn.Module:
        made = nn.Conv2d(before, width, 4, stride, 1)
        return spectral_norm(made) if config.spectral else made

    blocks: list[nn.Module] = [conv(config.channels, config.width, 2), nn.LeakyReLU(0.2)]
    before = config.width
    for index in range(1, config.layers + 1):
        width = config.width * min(2**index, 8)
        stride = 2 if index < config.layers else 1
        blocks += [
            conv(before, width, stride),
            norm(config.normalization, width),
            nn.LeakyReLU(0.2),
        ]
        before = width
    return nn.Sequential(*blocks, conv(before + config.minibatch_deviation, 1, 1))


def start_small(network: nn.Module) -> None:
    """Weights from N(0, 0.02), biases 0, in place: the start of both papers' code.

    Large starting gains are one cause of color inversion in CycleGAN. Layers with spectral
    normalization keep their weights, whose size it takes away.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if not parametrize.is_parametrized(module):
                nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


PLUGIN = (Config, Generator)
