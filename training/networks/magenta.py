"""The separable transformer of Magenta's browser models, a peer of few parameters.

    conv 9x9 (w) -> 2 x separable 3x3 /2 (2w, 4w) -> 5 separable residual blocks (4w)
    -> 2 x [nearest resize x2 -> separable 3x3] -> conv 9x9 -> sigmoid

The transformer of Ghiasi et al. 2017 (arXiv:1705.06830) with its inner convolutions split into a
depthwise 3x3 and a pointwise 1x1, as R. Nakano published it for TensorFlow.js (Magenta, 2018).
Deviations: one style instead of a style code (the normalization's scale and shift are plain
parameters), which changes neither shapes nor operations of the network per frame.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..settings import Channels, Layers, Normalization, Padding
from .layers import norm


@dataclass(frozen=True)
class Config:
    """Shape of a separable generator; the published one is width 32, 5 blocks."""

    width: Channels = 32  # channels of the first layer; the trunk has four times as many
    blocks: Layers = 5  # residual blocks at 1/4 resolution
    normalization: Normalization = "instance"
    padding: Padding = "reflect"  # of every convolution


class Separable(nn.Module):
    """norm(pointwise(depthwise(x))), with `upsample` times nearest-neighbor resizing in front."""

    def __init__(self, channels: tuple[int, int], config: Config, stride=1, upsample=1) -> None:
        super().__init__()
        self.upsample = upsample
        count, out = channels
        # The normalization's shift makes a bias idle, so the published model has none.
        bias = config.normalization == "none"
        self.depthwise = nn.Conv2d(
            *(count, count, 3, stride, 1), groups=count, bias=False, padding_mode=config.padding
        )
        self.pointwise = nn.Conv2d(count, out, 1, bias=bias)
        self.norm = norm(config.normalization, out)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H * upsample / stride, W * upsample / stride)."""
        if self.upsample > 1:
            x = F.interpolate(x, scale_factor=self.upsample, mode="nearest")
        return self.norm(self.pointwise(self.depthwise(x)))


class SeparableResidual(nn.Module):
    """x + separable(relu(separable(x)))."""

    def __init__(self, channels: int, config: Config) -> None:
        super().__init__()
        self.first = Separable((channels, channels), config)
        self.second = Separable((channels, channels), config)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + self.second(F.relu(self.first(x)))


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] -> styled images in [0, 1], same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 4
        self.normalization = config.normalization
        # As Johnson's: 7 px to reach 1/4 resolution, 8 px per block, 10 px back up.
        self.overlap = 7 + 8 * config.blocks + 10
        w = config.width
        ends = {"kernel_size": 9, "padding": 4, "padding_mode": config.padding}
        self.stem = nn.Sequential(nn.Conv2d(3, w, **ends), norm(config.normalization, w), nn.ReLU())
        self.down = nn.Sequential(
            *(Separable((w, 2 * w), config, stride=2), nn.ReLU()),
            *(Separable((2 * w, 4 * w), config, stride=2), nn.ReLU()),
        )
        self.trunk = nn.Sequential(
            *(SeparableResidual(4 * w, config) for _ in range(config.blocks))
        )
        self.up = nn.Sequential(
            *(Separable((4 * w, 2 * w), config, upsample=2), nn.ReLU()),
            *(Separable((2 * w, w), config, upsample=2), nn.ReLU()),
        )
        self.head = nn.Conv2d(w, 3, **ends)

    def forward(self, images: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of 4 and at least 12."""
        return torch.sigmoid(self.head(self.up(self.trunk(self.down(self.stem(images))))).float())


PLUGIN = (Config, Generator)
