"""The ResNet generator of CycleGAN (Zhu, Park, Isola, Efros, ICCV 2017, arXiv:1703.10593).

    conv 7x7 (w) -> conv 3x3 /2 (2w) -> conv 3x3 /2 (4w) -> 9 residual blocks (4w)
    -> 2 x transposed conv 3x3 x2 -> conv 7x7 -> tanh

Nine blocks are the paper's for pictures of 256 px and more, six for 128 px. As in the authors'
code the 7x7 ends and the blocks pad by reflection, the strided convolutions with zeros.
Deviations: pictures in [0, 1] instead of [-1, 1]; the normalization has a scale and a shift, which
the authors' lacks; `upsample="resize"` (nearest, then conv 3x3) avoids the checkerboard of
transposed convolutions (Odena et al. 2016).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..settings import Channels, Layers, Normalization, Padding
from .layers import Residual, norm


@dataclass(frozen=True)
class Config:
    """Shape of a CycleGAN generator; the paper's is width 64, 9 blocks."""

    width: Channels = 64  # channels of the first layer; the trunk has four times as many
    blocks: Layers = 9  # residual blocks at 1/4 resolution
    normalization: Normalization = "instance"
    padding: Padding = "reflect"  # of the blocks and the 7x7 ends
    upsample: str = "transposed"  # "transposed" (the paper's) or "resize"

    def __post_init__(self) -> None:
        if self.upsample not in ("transposed", "resize"):
            raise ValueError(f'upsample is "{self.upsample}", allowed are transposed, resize')


def _wider(count: int, out: int) -> list[nn.Module]:
    """Half the resolution, `out` channels."""
    return [nn.Conv2d(count, out, 3, stride=2, padding=1)]


def _larger(count: int, out: int, how: str) -> list[nn.Module]:
    """Twice the resolution, `out` channels."""
    if how == "transposed":
        return [nn.ConvTranspose2d(count, out, 3, stride=2, padding=1, output_padding=1)]
    return [nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(count, out, 3, padding=1)]


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] -> translated images in [0, 1], same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 4
        self.normalization = config.normalization
        # 3 + 1 + 2 px to reach 1/4 resolution, 8 px per block, 4 + 2 + 3 px back up.
        self.overlap = 6 + 8 * config.blocks + 9
        w = config.width
        ends = {"kernel_size": 7, "padding": 3, "padding_mode": config.padding}

        def tail(channels: int) -> list[nn.Module]:
            return [norm(config.normalization, channels), nn.ReLU()]

        self.down = nn.Sequential(
            *(nn.Conv2d(3, w, **ends), *tail(w)),
            *(*_wider(w, 2 * w), *tail(2 * w)),
            *(*_wider(2 * w, 4 * w), *tail(4 * w)),
        )
        self.trunk = nn.Sequential(
            *(Residual(4 * w, config.normalization, config.padding) for _ in range(config.blocks))
        )
        self.up = nn.Sequential(
            *(*_larger(4 * w, 2 * w, config.upsample), *tail(2 * w)),
            *(*_larger(2 * w, w, config.upsample), *tail(w)),
        )
        self.head = nn.Conv2d(w, 3, **ends)

    def forward(self, images: Tensor) -> Tensor:
        """Translate a batch; height and width must be multiples of 4 and at least 12."""
        y = self.head(self.up(self.trunk(self.down(2 * images - 1))))
        return 0.5 + 0.5 * torch.tanh(y.float())


PLUGIN = (Config, Generator)
