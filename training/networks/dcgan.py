"""The generator of DCGAN (Radford, Metz, Chintala, ICLR 2016, arXiv:1511.06434).

    z (uniform in -1..1) -> transposed conv 4x4 to 4x4 px -> [batch norm, ReLU, transposed conv 4x4
    of stride 2] until the side is reached, widths halving

The paper's has z of 100 and 64 px with 1024 channels at 4x4, width 128 here. Deviations: pictures
in [0, 1] (1/2 + tanh / 2); kernels of 4x4 in the place of 5x5, which a stride of 2 divides evenly.
`resize` is not the paper's: nearest-neighbor enlargement and a 3x3 convolution in the place of each
transposed one paint no checkerboard, whose last traces a short run does not lose (Odena, Dumoulin,
Olah, Distill 2016).
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from runtime.fields import Between

from ..settings import Channels
from .layers import levels_of
from .patchgan import start_small


@dataclass(frozen=True)
class Config:
    """Shape of a DCGAN generator."""

    latent: Channels = 100  # length of z
    width: Channels = 128  # channels before the last layer; twice as many at half of the size
    most: Channels = 1024  # channels at most
    side: Annotated[int, Between(8, 1024)] = 64  # px of the square pictures, a power of two
    resize: bool = False  # enlarge, then convolve

    def __post_init__(self) -> None:
        levels_of(self.side)


class Generator(nn.Module):
    """z (N, latent) -> pictures (N, 3, side, side) RGB in [0, 1]. Its only layer of style is z."""

    from_noise = True
    layers = 1

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.latent, self.side = config.latent, config.side
        levels = levels_of(config.side)
        widths = [min(config.most, config.width * 2**n) for n in reversed(range(levels))]
        blocks: list[nn.Module] = [nn.ConvTranspose2d(config.latent, widths[0], 4, bias=False)]
        for number, (before, after) in enumerate(zip(widths, [*widths[1:], 3], strict=True), 1):
            blocks += [nn.BatchNorm2d(before), nn.ReLU()]
            last = number == levels  # the others are followed by a normalization
            if config.resize:
                blocks += [nn.Upsample(scale_factor=2.0, mode="nearest")]
                blocks += [nn.Conv2d(before, after, 3, padding=1, bias=last)]
            else:
                blocks += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=last)]
        self.blocks = nn.Sequential(*blocks)
        start_small(self)

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """Z (count, latent), uniform in -1..1."""
        drawn = rng.uniform(-1, 1, (count, self.latent))
        return torch.from_numpy(drawn.astype(np.float32)).to(next(self.parameters()).device)

    def styles(self, latents: Tensor, truncation: float = 1.0) -> Tensor:
        """(N, 1, latent): z, nearer to the middle of the cube where it is truncated."""
        return truncation * latents[:, None]

    def paint(self, styles: Tensor) -> Tensor:
        """Pictures of styles (N, 1, latent)."""
        return self(styles[:, 0])

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures of z."""
        return 0.5 + 0.5 * torch.tanh(self.blocks(latents[:, :, None, None]).float())


PLUGIN = (Config, Generator)
