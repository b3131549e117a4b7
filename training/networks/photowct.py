"""Photorealistic whitening and coloring in one pass, with Haar pooling whose details go around.

    encoder, at relu1_1, relu2_1, ...:   x = a color(whiten(x)) + (1 - a) x
    pooling:     low = (p + q + r + s) / 4 goes on; three differences go to the decoder
    unpooling:   exactly the inverse, from the decoded low band and these differences
    once more at relu1_1 with its published pair, which gives the style's very colors
    smoothing:   the result as locally affine maps of the photo (`training.photoreal.smoothing`)

Edges are in the differences, which no layer recomputes, so that they stay in place: Yoo, Uh, Chun,
Kang, Ha, "Photorealistic Style Transfer via Wavelet Transforms" (WCT2), ICCV 2019
(arXiv:1903.09760), its "sum" form. Several passes and a smoothing step: Li, Liu, Li, Yang, Kautz,
"A Closed-form Solution to Photorealistic Image Stylization" (PhotoWCT), ECCV 2018
(arXiv:1802.06474).

Deviations: the encoder is the 16x compressed one (Wang et al. 2020), as published; the low band is
the mean, not twice the mean, so that the layer behind it sees what it was trained for; styles are
applied in the encoder only; a guided filter in place of Li et al.'s closed form, as they offer for
speed; no segmentation (the runtime's `--only` has one).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..feature_statistics import color, coloring, covariance, ridge, roots
from ..photoreal.smoothing import fast_local_affine
from . import Graph
from ._parts.graphs import mixed_graphs
from ._parts.vgg16x import Decoder, Encoder, channels, load_pretrained

# Of the smoothing: pictures are reduced so much for it, windows have so many of those pixels on
# each side, and such a variance of colors counts as flat. Chosen by eye among 2, 4, 8 and 1e-4 to
# 1e-2 on four pairs of photos: smaller windows leave halos, a larger variance takes contrast.
REDUCED, RADIUS, FLAT = 4, 8, 1e-3


@dataclass(frozen=True)
class Config:
    """How deep; the paper goes down to relu4_1."""

    level: int = 3  # relu{level}_1 is the deepest layer
    alpha: float = 1.0  # share of the style; the default of the graph's knob

    def __post_init__(self) -> None:
        if not 2 <= self.level <= 4:
            raise ValueError(f"level is {self.level}, allowed is 2 to 4")
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"alpha is {self.alpha}, allowed is 0..1")


Visit = Callable[[Tensor], Tensor]


def haar(x: Tensor) -> tuple[Tensor, Tensor]:
    """(N, C, H, W), even sides -> mean of every 2x2 block (N, C, H/2, W/2), and its horizontal,
    vertical and diagonal differences (N, 3 C, H/2, W/2), each a quarter of a sum of four."""
    p, q = x[..., ::2, ::2], x[..., ::2, 1::2]
    r, s = x[..., 1::2, ::2], x[..., 1::2, 1::2]
    details = [p - q + r - s, p + q - r - s, p - q - r + s]
    return (p + q + r + s) / 4, torch.cat(details, 1) / 4


def inverse_haar(low: Tensor, details: Tensor) -> Tensor:
    """What `haar` took apart."""
    across, down, diagonal = details.chunk(3, 1)
    corners = [
        low + across + down + diagonal,
        low - across + down - diagonal,
        low + across - down - diagonal,
        low - across - down + diagonal,
    ]
    return F.pixel_shuffle(torch.stack(corners, 2).flatten(1, 2), 2)


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] and a style's codes -> recolored images, same shape.

    A code is (1, C, C + 1): root of the style's covariance beside its mean, one per level. Without
    codes the images come back (what the decoder is trained for).
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.level, self.alpha = config.level, config.alpha
        self.multiple_of = max(REDUCED, 2 ** (self.level - 1))
        self.minimum = 2 * self.multiple_of  # reflection padding needs two pixels
        self.normalization = "instance"  # statistics of the whole picture
        self.overlap = 8 * self.multiple_of + 2 * REDUCED * RADIUS
        self.encoder, self.decoder = Encoder(self.level), Decoder(self.level, linear=True)
        self.near_encoder, self.near_decoder = Encoder(1), Decoder(1)
        for fixed in (self.encoder, self.near_encoder, self.near_decoder):
            fixed.requires_grad_(False)
        widths = (*(16, 32, 64, 128)[: self.level], channels(1))
        self.code_shapes = [(1, width, width + 1) for width in widths]

    def load_pretrained(self, folder: str | Path | None = None) -> None:
        """Fill in the published weights, from which the decoder is trained on."""
        for half in (self.encoder, self.decoder, self.near_encoder, self.near_decoder):
            load_pretrained(half, folder)

    def encode(self, style: Tensor) -> list[Tensor]:
        """Codes of a style picture (1, 3, H, W), fine to coarse, and that of the last pass."""
        found: list[Tensor] = []

        def keep(features: Tensor) -> Tensor:
            mean, root = coloring(features)
            found.append(torch.cat([root, mean[:, :, None]], 2))
            return features

        self._down(style, keep)
        keep(self.near_encoder(style))
        return found

    def _down(self, images: Tensor, visit: Visit) -> tuple[Tensor, list[Tensor]]:
        """Deepest features and the differences of every pooling; `visit` may change each relu_1."""
        x, details = self.encoder.conv0(images), []
        for name, _, _ in self.encoder.order:
            if name == "pool":
                x, detail = haar(x)
                details.append(detail)
                continue
            x = F.relu(getattr(self.encoder, name)(F.pad(x, (1, 1, 1, 1), mode="reflect")))
            x = visit(x) if name.endswith("1") else x
        return x, details

    def features(self, images: Tensor) -> Tensor:
        """The deepest features, unchanged."""
        return self._down(images, lambda x: x)[0]

    def forward(self, images: Tensor, *codes: Tensor, alpha: Tensor | float | None = None):
        """Recolor a batch; height and width must be multiples of `multiple_of`."""
        if not codes:
            return self._through(images, lambda x: x)
        share = self.alpha if alpha is None else alpha
        left = list(codes)

        def apply(features: Tensor) -> Tensor:
            code = left.pop(0)
            mean, matrix = covariance(features)
            _, inverse = roots(ridge(matrix))
            centered = features.flatten(2) - mean[:, :, None]
            white = (inverse @ centered).view_as(features)
            styled = color(white, code[:, :, -1], code[:, :, :-1])
            return share * styled + (1 - share) * features

        x = self._through(images, apply).clamp(0, 1)
        x = self.near_decoder(apply(self.near_encoder(x))).clamp(0, 1)
        return fast_local_affine(x, images, RADIUS, FLAT, REDUCED)

    def _through(self, images: Tensor, visit: Visit) -> Tensor:
        """Down and up again."""
        x, details = self._down(images, visit)
        for name, _, _ in self.decoder.order:
            if name == "pool":
                x = inverse_haar(x, details.pop())
                continue
            x = getattr(self.decoder, name)(F.pad(x, (1, 1, 1, 1), mode="reflect"))
            x = x if name == "conv11" else F.relu(x)
        return x

    def exports(self, name: str) -> list[Graph]:
        """The frame's graph and the style's."""
        codes = ((f"code{n}", code) for n, code in enumerate(self.code_shapes, 1))
        return mixed_graphs(self, name, codes, self.alpha)


PLUGIN = (Config, Generator)
