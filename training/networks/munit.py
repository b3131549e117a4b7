"""Content and style apart: the networks of MUNIT (Huang, Liu, Belongie, Kautz, ECCV 2018,
arXiv:1804.04732) and, without a style, of UNIT (Liu, Breuel, Kautz, NIPS 2017, arXiv:1703.00848).

    content encoder   conv 7x7 (w), `halvings` x conv 4x4 /2, `blocks` residual blocks, instance
                      normalization
    style encoder     conv 7x7 (w), `halvings` + 2 x conv 4x4 /2, mean over positions, linear
    decoder           `blocks` residual blocks with AdaIN, whose scales and shifts an MLP makes of
                      the style, `halvings` x (nearest x2, conv 5x5, layer normalization), conv 7x7,
                      tanh

One network here goes one way: it encodes the content of its first domain, and encodes styles of and
decodes to its second, so that the one that is shipped holds what it needs and no more. Deviation:
pictures in [0, 1] instead of [-1, 1].
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.card import Port
from runtime.fields import Between

from ..settings import Channels, Layers
from . import Graph
from ._parts.graphs import Frame, Style
from .layers import InstanceNorm, LayerNorm, Residual


@dataclass(frozen=True)
class Config:
    """Shape of one way; MUNIT's is width 64, 2 halvings, 4 blocks, style 8, hidden 256."""

    width: Channels = 64  # channels of the first layer, doubled by each halving
    halvings: Annotated[int, Between(1, 4)] = 2
    blocks: Layers = 4  # residual blocks of the content encoder and of the decoder
    style: Annotated[int, Between(0, 4096)] = 8  # numbers of a style; 0: UNIT, which has none
    hidden: Channels = 256  # width of the MLP


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] of the first domain, styles (N or 1, S) of the second
    -> images of the second in [0, 1], same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.style, self.halvings = config.style, config.halvings
        self.multiple_of = 2**config.halvings
        self.minimum, self.normalization = 4 * self.multiple_of, "instance"
        trunk = config.width * self.multiple_of
        self.overlap = 4 * self.multiple_of * (config.blocks + 2)
        # Sides of a style picture.
        self.style_multiple = 4 * self.multiple_of

        def conv(before: int, after: int, size: int, stride: int = 1) -> nn.Conv2d:
            edge = (size - stride + 1) // 2
            return nn.Conv2d(before, after, size, stride, edge, padding_mode="reflect")

        widths = [config.width * 2**level for level in range(config.halvings + 1)]
        pairs = list(pairwise(widths))
        content: list[nn.Module] = [conv(3, config.width, 7), InstanceNorm(config.width), nn.ReLU()]
        for before, after in pairs:
            content += [conv(before, after, 4, 2), InstanceNorm(after), nn.ReLU()]
        content += [Residual(trunk, "instance", "reflect") for _ in range(config.blocks)]
        self.content_encoder = nn.Sequential(*content)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({name: conv(trunk, trunk, 3) for name in ("conv1", "conv2")})
            if config.style
            else Residual(trunk, "instance", "reflect")
            for _ in range(config.blocks)
        )
        up: list[nn.Module] = []
        for before, after in reversed(pairs):
            up += [nn.Upsample(scale_factor=2), conv(after, before, 5), LayerNorm(before)]
            up += [nn.ReLU()]
        self.up = nn.Sequential(*up, conv(config.width, 3, 7))
        self.shape = (2 * config.blocks, 2, trunk)  # of the decoder's scales and shifts
        if config.style:
            first = [conv(3, config.width, 7), nn.ReLU()]
            for before, after in [*pairs, (trunk, trunk), (trunk, trunk)]:
                first += [conv(before, after, 4, 2), nn.ReLU()]
            self.style_encoder = nn.Sequential(*first)
            self.to_style = nn.Linear(trunk, config.style)
            self.mix = nn.Sequential(
                nn.Linear(config.style, config.hidden),
                nn.ReLU(),
                nn.Linear(config.hidden, config.hidden),
                nn.ReLU(),
            )
            self.write = nn.Linear(config.hidden, 2 * 2 * config.blocks * trunk)
            self.exports = self._exports  # UNIT has one graph, as most networks

    def content(self, images: Tensor) -> Tensor:
        """What is to be seen, (N, C, h, w), of pictures of the first domain."""
        return self.content_encoder(2 * images - 1)

    def encode(self, style: Tensor) -> Tensor:
        """Styles (N, S) of pictures (N, 3, H, W) of the second domain; sides multiples of
        `style_multiple`."""
        if not self.style:
            return style.new_zeros(len(style), 0)
        pooled = self.style_encoder(2 * style - 1).mean((2, 3))
        return self.to_style(pooled.to(self.to_style.weight.dtype))

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Pictures of the second domain in [0, 1]."""
        x = content
        if self.style:
            written = self.write(self.mix(style.to(self.write.weight.dtype)))
            modulation = written.view(-1, *self.shape)
            for index, block in enumerate(self.blocks):
                y = _adain(block["conv1"](x), modulation[:, 2 * index])  # type: ignore[index,operator]
                y = block["conv2"](F.relu(y))  # type: ignore[index,operator]
                x = x + _adain(y, modulation[:, 2 * index + 1])
        else:
            for block in self.blocks:
                x = block(x)
        return 0.5 + 0.5 * torch.tanh(self.up(x).float())

    def forward(self, images: Tensor, style: Tensor | None = None) -> Tensor:
        """Translate a batch; height and width must be multiples of `multiple_of`."""
        code = images.new_zeros(len(images), 0) if style is None else style
        return self.decode(self.content(images), code)

    def _exports(self, name: str) -> list[Graph]:
        """The frame's graph, and the style's."""
        shape = (1, 3, "height", "width")
        image, styled = Port("image", shape=shape), Port("styled", shape=shape)
        size = (1, self.style)
        companion = f"{name}.style.onnx"
        code = Port("code", "code", size, low=-1e6, high=1e6, companion=companion)
        plain = Port("code", "code", size, low=-1e6, high=1e6)
        return [
            Graph("", Frame(self), (image, code), (styled,)),
            Graph(".style", Style(self), (Port("style", shape=shape),), (plain,)),
        ]


def _adain(x: Tensor, modulation: Tensor) -> Tensor:
    """Normalized, then scaled by 1 + the first and shifted by the second row (N, 2, C)."""
    scale, shift = modulation[:, 0, :, None, None], modulation[:, 1, :, None, None]
    return F.instance_norm(x) * (1 + scale.to(x.dtype)) + shift.to(x.dtype)


PLUGIN = (Config, Generator)
