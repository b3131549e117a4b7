"""The network of ReCoNet (Gao, Gu, Zhang, Yu, ACCV 2018, arXiv:1807.01197), a peer for video.

    conv 9x9 (w) -> conv 3x3 /2 (2w) -> conv 3x3 /2 (4w) -> 4 residual blocks (4w)
    -> 2 x [nearest resize x2 -> conv 3x3] -> conv 9x9 -> scaled tanh

Johnson's plan at 1.5 times the width, one block fewer, and a ReLU after each sum. Its temporal
losses belong to training; the network alone decides the speed.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ..settings import Channels, Layers
from . import johnson
from .layers import Residual


@dataclass(frozen=True)
class Config(johnson.Config):
    """Shape of a ReCoNet generator; the paper's is width 48, 4 blocks."""

    width: Channels = 48  # channels of the first layer; the trunk has four times as many
    blocks: Layers = 4  # residual blocks at 1/4 resolution


class ResidualRelu(Residual):
    """relu(x + f(x)): the sum passes a ReLU, unlike in the network of Johnson et al."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape, not negative."""
        return F.relu(super().forward(x))


class Generator(johnson.Generator):
    """images (N, 3, H, W) RGB in [0, 1] -> styled images in [0, 1], same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.trunk = nn.Sequential(
            *(
                ResidualRelu(4 * config.width, config.normalization, config.padding)
                for _ in range(config.blocks)
            )
        )


PLUGIN = (Config, Generator)
