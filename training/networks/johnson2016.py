"""Johnson's network as it was published (ECCV 2016, supplement), for weights of that time.

    reflection padding (8 px a block) -> conv 9x9 (w) -> conv 3x3 /2 (2w) -> conv 3x3 /2 (4w)
    -> residual blocks of two unpadded convolutions, their input cropped by 2 on each side
    -> 2 x transposed conv 3x3 x2 -> conv 9x9 -> 150 tanh

Every convolution but those of the blocks pads with zeros. Pictures inside are 0..255 less the mean
of ImageNet's, as VGG networks see them: `training.networks.johnson` is what one trains today.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..settings import Channels, Layers, Normalization
from .layers import norm

# What the authors of VGG subtract, RGB of 0..255.
IMAGENET_MEAN = (123.68, 116.779, 103.939)
# Half of what the tanh spans, in levels: "tanh_constant" of the published code.
REACH = 150.0
LEVELS = 255.0


@dataclass(frozen=True)
class Config:
    """Shape of the generator; the paper's is width 32, 5 blocks."""

    width: Channels = 32  # channels of the first layer; the trunk has four times as many
    blocks: Layers = 5  # residual blocks at 1/4 resolution
    normalization: Normalization = "instance"


class Unpadded(nn.Module):
    """crop(x) + norm(conv(relu(norm(conv(x))))): four pixels lower and narrower."""

    def __init__(self, channels: int, normalization: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3)
        self.norm1 = norm(normalization, channels)
        self.conv2 = nn.Conv2d(channels, channels, 3)
        self.norm2 = norm(normalization, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H - 4, W - 4)."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return x[:, :, 2:-2, 2:-2] + y


class Layer(nn.Module):
    """relu(norm(conv(x))), for any convolution."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d, normalization: str) -> None:
        super().__init__()
        self.conv = conv
        self.norm = norm(normalization, conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the convolution's shape, not negative."""
        return F.relu(self.norm(self.conv(x)))


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] -> styled images, same shape, -0.18..1.07 at most."""

    mean: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 4
        self.normalization = config.normalization
        # A block takes 2 px at 1/4 resolution from each side.
        self.padding = 8 * config.blocks
        # Reflection needs more pixels than it repeats.
        self.minimum = self.padding + self.multiple_of
        # 4 + 1 + 2 px to reach 1/4 resolution, 8 px per block, 4 + 2 + 4 px back up.
        self.overlap = 7 + 8 * config.blocks + 10
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        w, kind = config.width, config.normalization
        up = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}
        self.down = nn.Sequential(
            Layer(nn.Conv2d(3, w, 9, padding=4), kind),
            Layer(nn.Conv2d(w, 2 * w, 3, 2, padding=1), kind),
            Layer(nn.Conv2d(2 * w, 4 * w, 3, 2, padding=1), kind),
        )
        self.trunk = nn.Sequential(*(Unpadded(4 * w, kind) for _ in range(config.blocks)))
        self.up = nn.Sequential(
            Layer(nn.ConvTranspose2d(4 * w, 2 * w, **up), kind),
            Layer(nn.ConvTranspose2d(2 * w, w, **up), kind),
        )
        self.head = nn.Conv2d(w, 3, 9, padding=4)

    def forward(self, images: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of 4 and above `padding`."""
        x = LEVELS * images - self.mean
        x = F.pad(x, [self.padding] * 4, mode="reflect")
        y = self.head(self.up(self.trunk(self.down(x))))
        return (REACH * torch.tanh(y.float()) + self.mean) / LEVELS


PLUGIN = (Config, Generator)
