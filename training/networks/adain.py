"""Adaptive instance normalization: any style in one pass (Huang and Belongie, ICCV 2017).

    y = decode(a * AdaIN(encode(x), code) + (1 - a) * encode(x)),   code = mean | deviation of
                                                                    encode(style)

Encoder: the 16x compressed VGG-19 up to relu4_1 (Wang et al. 2020), frozen. Decoder: its trained
inverse as a start, which `methods.adain` trains further. Deviations: compressed encoder, nearest
upsampling followed by the convolutions of the published inverse. Reference: arXiv:1703.06868.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from runtime.card import Port

from ..feature_statistics import adain, channel_moments
from . import Graph
from ._parts.graphs import Style
from ._parts.vgg16x import Decoder, Encoder, channels, load_pretrained


@dataclass(frozen=True)
class Config:
    """The paper's is level 4."""

    level: int = 4  # statistics are exchanged at relu<level>_1

    def __post_init__(self) -> None:
        if self.level not in range(1, 6):
            raise ValueError(f"level is {self.level}, allowed are 1 to 5")


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] and codes (N or 1, 2 C) -> styled images, same shape."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of = 2 ** (config.level - 1)
        self.minimum = 2 * self.multiple_of  # reflection padding needs two pixels
        self.normalization = "instance"
        self.overlap = 8 * self.multiple_of
        self.encoder = Encoder(config.level).requires_grad_(False)
        self.decoder = Decoder(config.level, linear=True)
        self.code_size = 2 * channels(config.level)

    def load_pretrained(self, folder=None) -> None:
        """Fill in the published weights; see `networks._parts.vgg16x`."""
        load_pretrained(self.encoder, folder)
        load_pretrained(self.decoder, folder)

    def encode(self, style: Tensor) -> Tensor:
        """Codes (N, 2 C) of style pictures (N, 3, H, W): means, then deviations."""
        return torch.cat(channel_moments(self.encoder(style)), 1)

    def forward(self, images: Tensor, code: Tensor, alpha: Tensor | float = 1.0) -> Tensor:
        """Style a batch; height and width must be multiples of `multiple_of`."""
        features = self.encoder(images)
        mean, deviation = code.chunk(2, 1)
        styled = adain(features, mean, deviation)
        return self.decoder(alpha * styled + (1 - alpha) * features)

    def exports(self, name: str) -> list[Graph]:
        """The frame's graph and the style's."""
        shape = (1, 3, "height", "width")
        size = (1, self.code_size)
        code = Port("code", "code", size, low=-1e6, high=1e6, companion=f"{name}.style.onnx")
        alpha = Port("alpha", "scalar", (1,), default=1.0)
        image, styled = Port("image", shape=shape), Port("styled", shape=shape)
        plain = Port("code", "code", size, low=-1e6, high=1e6)
        return [
            Graph("", _Frame(self), (image, alpha, code), (styled,)),
            Graph(".style", Style(self), (Port("style", shape=shape),), (plain,)),
        ]


class _Frame(nn.Module):
    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, alpha: Tensor, code: Tensor) -> Tensor:
        return self.generator(image, code, alpha).clamp(0.0, 1.0)


PLUGIN = (Config, Generator)
