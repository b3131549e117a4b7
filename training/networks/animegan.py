"""The generator of AnimeGANv2 (Chen, Liu, Chen 2019/2020, "AnimeGAN"), a peer for cartoons.

    A  conv 7x7 (w) -> conv 3x3 /2 (2w) -> conv 3x3 (2w)
    B  conv 3x3 /2 (4w) -> conv 3x3 (4w)
    C  conv 3x3 (4w) -> inverted residuals (8w), the first without a sum -> conv 3x3 (4w)
    D  resize x2 -> 2 convs 3x3 (4w)
    E  resize x2 -> 2 convs 3x3 (2w) -> conv 7x7 (w)
    conv 1x1 -> tanh

Every convolution but the last is followed by a normalization over channels, rows and columns
together (group normalization with one group) and a leaky ReLU of slope 0.2. An inverted residual
(Sandler et al. 2018) widens twice by a 1x1 convolution, filters each channel by 3x3, and narrows
without an activation. Resizing is bilinear. Pictures are -1..1 inside.

Deviations from the paper: those of the second version that its authors publish (layer in place of
instance normalization, four inverted residuals, resizing in place of strided decoders).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..settings import Channels, Layers

SLOPE = 0.2
WIDENING = 2  # channels inside an inverted residual, times those outside
EPSILON = 1e-5  # PyTorch's, which published weights were trained with


@dataclass(frozen=True)
class Config:
    """Shape of an AnimeGANv2 generator; the published one is width 32, 4 blocks."""

    width: Channels = 32  # channels of the first layer
    blocks: Layers = 4  # inverted residuals at 1/4 resolution
    align_corners: bool = True  # of the bilinear resizing: the corners' pixels stay in place


class _Norm(nn.Module):
    """One mean and variance for the whole picture, a scale and shift for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, 1, self.weight.to(x.dtype), self.bias.to(x.dtype), EPSILON)


class _Layer(nn.Module):
    """leaky(norm(conv(x))), mirrored at the border; with a stride, below and right only."""

    def __init__(
        self, channels: tuple[int, int], kernel: int = 3, stride: int = 1, *, each: bool = False
    ) -> None:
        super().__init__()
        before = 0 if stride > 1 else kernel // 2
        self.pad = (before, kernel // 2, before, kernel // 2)
        self.conv = nn.Conv2d(
            *channels, kernel, stride, groups=channels[0] if each else 1, bias=each
        )
        self.norm = _Norm(channels[1])

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, self.pad, mode="reflect") if any(self.pad) else x
        return F.leaky_relu(self.norm(self.conv(x)), SLOPE)


class _InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow; added to the input where the channels are as many."""

    def __init__(self, channels: tuple[int, int]) -> None:
        super().__init__()
        wide = WIDENING * channels[0]
        self.widen = _Layer((channels[0], wide), 1)
        self.filter = _Layer((wide, wide), each=True)
        self.narrow = nn.Conv2d(wide, channels[1], 1, bias=False)
        self.norm = _Norm(channels[1])
        self.sums = channels[0] == channels[1]

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.narrow(self.filter(self.widen(x))))
        return x + y if self.sums else y


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] -> styled images in [0, 1], same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 4
        self.normalization = "instance"  # the output depends on the whole picture
        # 3 + 2 + 2 + 4 px to 1/4 resolution, 4 a layer there, 2 + 2 and 1 + 1 + 3 back up, and the
        # resizing's own pixel at both scales.
        self.overlap = 11 + 4 * (config.blocks + 2) + 16
        self._corners = config.align_corners
        w = config.width
        self.a = nn.Sequential(
            _Layer((3, w), 7), _Layer((w, 2 * w), stride=2), _Layer((2 * w, 2 * w))
        )
        self.b = nn.Sequential(_Layer((2 * w, 4 * w), stride=2), _Layer((4 * w, 4 * w)))
        first = _InvertedResidual((4 * w, 8 * w))
        others = [_InvertedResidual((8 * w, 8 * w)) for _ in range(config.blocks - 1)]
        self.c = nn.Sequential(_Layer((4 * w, 4 * w)), first, *others, _Layer((8 * w, 4 * w)))
        self.d = nn.Sequential(_Layer((4 * w, 4 * w)), _Layer((4 * w, 4 * w)))
        self.e = nn.Sequential(
            _Layer((4 * w, 2 * w)), _Layer((2 * w, 2 * w)), _Layer((2 * w, w), 7)
        )
        self.head = nn.Conv2d(w, 3, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of 4 and at least 12."""
        y = self.c(self.b(self.a(2.0 * images - 1.0)))
        y = self.e(self._twice(self.d(self._twice(y))))
        return 0.5 + 0.5 * torch.tanh(self.head(y).float())

    def _twice(self, x: Tensor) -> Tensor:
        return F.interpolate(
            x, scale_factor=2.0, mode="bilinear", align_corners=self._corners or None
        )


PLUGIN = (Config, Generator)
