"""Whitening and coloring transforms: any style, nothing trained (Li et al., NIPS 2017).

    for level in 5, 4, 3, 2, 1:   x = decode(a * color(whiten(encode(x))) + (1 - a) * encode(x))

Encoders and decoders are the 16x compressed pairs of Wang et al. 2020. Both roots of the covariance
come from the Newton-Schulz iteration, so that the graph holds products only, and the style's half
is computed once, by a second graph. Reference: Li, Fang, Yang, Wang, Lu, Yang (arXiv:1705.08086).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..feature_statistics import color, coloring, covariance, ridge, roots
from . import Graph
from ._parts.graphs import mixed_graphs
from ._parts.vgg16x import Decoder, Encoder, channels, load_pretrained


@dataclass(frozen=True)
class Config:
    """Which levels, coarse to fine; the paper's are all five with alpha 0.6."""

    levels: tuple[int, ...] = (5, 4, 3, 2, 1)  # relu5_1 ... relu1_1
    alpha: float = 0.6  # share of the style; the default of the graph's parameter

    def __post_init__(self) -> None:
        if not self.levels or any(level not in range(1, 6) for level in self.levels):
            raise ValueError(f"levels are 1 to 5, coarse to fine, not {self.levels}")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}, allowed is 0..1")


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] and a style's codes -> styled images, same shape.

    A code is (1, C, C + 1): root of the style's covariance beside its mean, one per level.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.levels, self.alpha = tuple(config.levels), config.alpha
        self.multiple_of = 2 ** (max(self.levels) - 1)
        self.minimum = 2 * self.multiple_of  # reflection padding needs two pixels
        self.normalization = "instance"  # statistics of the whole picture
        # Deepest level: 30 px per convolution there and half of that at every finer one.
        self.overlap = 8 * self.multiple_of
        self.encoders = nn.ModuleList(Encoder(level) for level in self.levels)
        self.decoders = nn.ModuleList(Decoder(level) for level in self.levels)
        self.code_shapes = [(1, channels(n), channels(n) + 1) for n in self.levels]

    def load_pretrained(self, folder=None) -> None:
        """Fill in the published weights; see `networks._parts.vgg16x`."""
        for half in [*self.encoders, *self.decoders]:
            load_pretrained(half, folder)

    def encode(self, style: Tensor) -> list[Tensor]:
        """Codes of a style picture (1, 3, H, W), coarse to fine."""
        found = []
        for encoder in self.encoders:
            mean, root = coloring(encoder(style))
            found.append(torch.cat([root, mean[:, :, None]], 2))
        return found

    def forward(self, images: Tensor, *codes: Tensor, alpha: Tensor | float | None = None):
        """Style a batch; height and width must be multiples of `multiple_of`."""
        share = self.alpha if alpha is None else alpha
        x = images
        for encoder, decoder, code in zip(self.encoders, self.decoders, codes, strict=True):
            features = encoder(x.clamp(0, 1))
            mean, matrix = covariance(features)
            _, inverse = roots(ridge(matrix))
            centered = features.flatten(2) - mean[:, :, None]
            white = (inverse @ centered).view_as(features)
            styled = color(white, code[:, :, -1], code[:, :, :-1])
            x = decoder(share * styled + (1 - share) * features)
        return x

    def exports(self, name: str) -> list[Graph]:
        """The frame's graph and the style's."""
        codes = ((f"code{n}", code) for n, code in zip(self.levels, self.code_shapes, strict=True))
        return mixed_graphs(self, name, codes, self.alpha)


PLUGIN = (Config, Generator)
