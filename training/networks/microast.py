"""Any style without VGG at run time: a small style encoder writes the modulation of a lean trunk.

After MicroAST (Wang et al., AAAI 2023, arXiv:2211.15313): micro style encoder, micro content
network, modulation of the normalizations. Deviations: the trunk is our lean one, one encoder
instead of two, means and deviations of its features pooled into the code, no contrastive loss.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.card import Port

from ..feature_statistics import channel_moments
from ..settings import Channels
from . import Graph
from ._parts.graphs import Frame, Style
from ._parts.styled import StyledConfig, StyledTrunk


@dataclass(frozen=True)
class Config(StyledConfig):
    """Shape of the trunk, and of the style encoder."""

    encoder_width: Channels = 32  # channels at 1/4 resolution; doubled at 1/8 and at 1/16
    hidden: Channels = 128  # width of the layer that mixes the pooled statistics


class Generator(StyledTrunk):
    """images (N, 3, H, W) RGB in [0, 1] and codes (N or 1, D) -> styled images, same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        widths = [config.encoder_width * factor for factor in (1, 2, 4)]
        self.encoder = nn.ModuleList(
            [
                nn.Conv2d(48, widths[0], 3, padding=1),
                nn.Conv2d(widths[0], widths[1], 3, stride=2, padding=1),
                nn.Conv2d(widths[1], widths[2], 3, stride=2, padding=1),
            ]
        )
        self.mix = nn.Linear(2 * sum(widths), config.hidden)
        self.code_size = 2 * self.num_norms * config.width
        self.write = nn.Linear(config.hidden, self.code_size)
        # All styles begin alike, at the plain lean network.
        nn.init.normal_(self.write.weight, 0.0, 0.01)
        with torch.no_grad():
            self.write.bias.copy_(self.neutral_modulation().flatten())
        # Sides of a style picture: space-to-depth 4 and two strides.
        self.style_multiple = 16

    @torch.no_grad()
    def begin_at(self, modulation: Tensor) -> None:
        """Every style begins near this one, (L, 2, width)."""
        self.write.bias.copy_(modulation.flatten())

    def encode(self, style: Tensor) -> Tensor:
        """Codes (N, D) of style pictures (N, 3, H, W), sides multiples of 4."""
        x = F.pixel_unshuffle(style - 0.5, 4)
        pooled = []
        for conv in self.encoder:
            x = F.relu(conv(x))
            pooled += channel_moments(x)
        return self.write(F.relu(self.mix(torch.cat(pooled, 1).to(self.mix.weight.dtype))))

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of `multiple_of`."""
        return self.paint(images, code.view(-1, self.num_norms, 2, self.width))

    def exports(self, name: str) -> list[Graph]:
        """The frame's graph and the style's."""
        shape, size = (1, 3, "height", "width"), (1, self.code_size)
        companion = f"{name}.style.onnx"
        code = Port("code", "code", size, low=-1e6, high=1e6, companion=companion)
        plain = Port("code", "code", size, low=-1e6, high=1e6)
        image, styled = Port("image", shape=shape), Port("styled", shape=shape)
        return [
            Graph("", Frame(self), (image, code), (styled,)),
            Graph(".style", Style(self), (Port("style", shape=shape),), (plain,)),
        ]


PLUGIN = (Config, Generator)
