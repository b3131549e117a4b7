"""The network of Johnson, Alahi and Fei-Fei (ECCV 2016), the reference everyone knows.

    conv 9x9 (w) -> conv 3x3 /2 (2w) -> conv 3x3 /2 (4w) -> 5 residual blocks (4w)
    -> 2 x [nearest resize x2 -> conv 3x3] -> conv 9x9 -> scaled tanh

Deviations from the paper, all customary since: instance instead of batch normalization (Ulyanov et
al. 2016), resize-convolution instead of transposed convolution (Odena et al. 2016, no checkerboard)
and reflection padding of 1 in every convolution instead of 40 px around the picture.

With `antialias` nothing is sampled without a low-pass filter before it (Zhang 2019, "Making
convolutional networks shift-invariant again", arXiv:1904.11486): a stride of 2 becomes the dense
convolution, its ReLU and a blur of stride 2, and a blur follows the nearest-neighbor resizing.
Texture then depends less on where a frame lies on the network's grid, and crawls less.
`python -m benchmarks.crawl` measures by how much, and what it costs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..settings import Channels, Layers, Normalization, Padding, Share
from .layers import Residual, blur, norm


@dataclass(frozen=True)
class Config:
    """Shape of a Johnson generator; the paper's is width 32, 5 blocks."""

    width: Channels = 32  # channels of the first layer; the trunk has four times as many
    blocks: Layers = 5  # residual blocks at 1/4 resolution
    normalization: Normalization = "instance"
    padding: Padding = "reflect"  # of every convolution
    antialias: bool = False  # low-pass filters where the picture is sampled down or up
    squash: bool = True  # the scaled tanh at the end; without it pictures are cut off at 0 and 1
    # Half of what the tanh spans. The paper scales it to 0..255; 5 % more keeps black and white
    # reachable.
    reach: Share = 0.525


class ConvNormRelu(nn.Module):
    """relu(norm(conv(x))), with `upsample` times nearest-neighbor resizing in front.

    With `config.antialias`, a blur follows the resizing, and a last blur takes the stride.
    """

    def __init__(
        self, channels: tuple[int, int], kernel: int, config: Config, stride=1, upsample=1
    ) -> None:
        super().__init__()
        self.upsample, self.antialias = upsample, config.antialias
        self.stride = stride if config.antialias else 1  # taken by the blur, not the convolution
        self.conv = nn.Conv2d(
            *channels, kernel, stride // self.stride, kernel // 2, padding_mode=config.padding
        )
        self.norm = norm(config.normalization, channels[1])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H * upsample / stride, W * upsample / stride)."""
        if self.upsample > 1:
            x = F.interpolate(x, scale_factor=self.upsample, mode="nearest")
            x = blur(x) if self.antialias else x
        x = F.relu(self.norm(self.conv(x)))
        return blur(x, self.stride) if self.stride > 1 else x


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] -> styled images in [0, 1], same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 4
        self.normalization = config.normalization
        self.squash, self.reach = config.squash, config.reach
        # 4 + 1 + 2 px to reach 1/4 resolution, 8 px per block, 4 + 2 + 4 px back up.
        # With blurs 1 + 2 more down, and 2 + 1 up.
        self.overlap = 7 + 8 * config.blocks + 10 + (6 if config.antialias else 0)
        w = config.width
        self.down = nn.Sequential(
            ConvNormRelu((3, w), 9, config),
            ConvNormRelu((w, 2 * w), 3, config, stride=2),
            ConvNormRelu((2 * w, 4 * w), 3, config, stride=2),
        )
        self.trunk = nn.Sequential(
            *(Residual(4 * w, config.normalization, config.padding) for _ in range(config.blocks))
        )
        self.up = nn.Sequential(
            ConvNormRelu((4 * w, 2 * w), 3, config, upsample=2),
            ConvNormRelu((2 * w, w), 3, config, upsample=2),
        )
        self.head = nn.Conv2d(w, 3, 9, padding=4, padding_mode=config.padding)

    def forward(self, images: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of 4 and at least 12."""
        y = self.head(self.up(self.trunk(self.down(images - 0.5))))
        if not self.squash:
            return y.float()
        return 0.5 + self.reach * torch.tanh(y.float())


PLUGIN = (Config, Generator)
