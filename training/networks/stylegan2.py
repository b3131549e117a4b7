"""The generator of StyleGAN2 (Karras et al., CVPR 2020, arXiv:1912.04958), form "skip".

    z -> unit length -> dense layers at 1/100 of the learning rate -> w
    constant 4x4 -> [modulated conv 3x3, noise, LeakyReLU] and a picture by a modulated conv 1x1;
    per doubling: up -> two of them, and their picture on top of the one before, enlarged

A style w scales a convolution's input channels (modulation) and its outputs are divided by what
that does to their deviation (demodulation, eq. 3). Weights are N(0, 1), divided by the root of
their fan-in where they are used (equalized learning rate, Karras et al. 2018).

Deviations: pictures in [0, 1]; bilinear enlargement before the first convolution of a size instead
of a transposed one with a blur; modulation scales activations, which is the same thing.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.fields import Between

from ..settings import Channels
from .layers import EqualizedDense, leaky, levels_of

MAPPING_RATE = 0.01  # learning rate of the mapping, as a share
MEAN_DECAY = 0.998  # of the mean style, per batch (the paper's code has 0.998 for w_avg)


@dataclass(frozen=True)
class Config:
    """Shape of a StyleGAN2 generator; the paper's has most 512 and 8 layers of mapping."""

    latent: Channels = 512  # length of z and of w
    mapping: Annotated[int, Between(1, 16)] = 8  # dense layers from z to w
    width: Channels = 64  # channels at the full size; twice as many at half of the size
    most: Channels = 512  # channels at most
    side: Annotated[int, Between(8, 1024)] = 64  # px of the square pictures, a power of two

    def __post_init__(self) -> None:
        levels_of(self.side)


class Modulated(nn.Module):
    """Convolution whose input channels a style scales.

        y = d_o sum_i (W_oi * (s_i x_i)),   d_o = (sum_i,k (s_i W_oik)^2 + 1e-8)^(-1/2), s = A w + 1

    d only with demodulation.
    """

    def __init__(self, before: int, after: int, kernel: int, style: int, demodulate: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, kernel, kernel))
        self.gain = (before * kernel * kernel) ** -0.5
        self.affine = EqualizedDense(style, before, start=1.0)
        self.demodulate = demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(N, before, h, w) and (N, style) -> (N, after, h, w)."""
        scale, weight = self.affine(style), self.weight * self.gain
        y = F.conv2d(x * scale[:, :, None, None], weight, padding=weight.shape[2] // 2)
        if not self.demodulate:
            return y
        energy = scale.square() @ weight.square().sum((2, 3)).t()
        return y * (energy + 1e-8).rsqrt()[:, :, None, None]


class Layer(nn.Module):
    """Modulated convolution, noise of a learned strength, LeakyReLU."""

    def __init__(self, before: int, after: int, style: int, side: int) -> None:
        super().__init__()
        self.conv = Modulated(before, after, 3, style, demodulate=True)
        self.bias = nn.Parameter(torch.zeros(after))
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(1, 1, side, side))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """New noise in training; else the same for every picture."""
        y = self.conv(x, style)
        noise = torch.randn_like(y[:, :1]) if self.training else self.noise
        return leaky(y + self.strength * noise + self.bias[:, None, None])


class Generator(nn.Module):
    """z (N, latent) -> pictures (N, 3, side, side) RGB, about [0, 1].

    `layers` styles decide a picture: the first ones its composition, the last ones its colors.
    """

    from_noise = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.latent, self.side = config.latent, config.side
        levels = levels_of(config.side)
        self.layers = 2 * levels + 2
        style = config.latent
        self.mapping = nn.ModuleList(
            EqualizedDense(style, style, MAPPING_RATE) for _ in range(config.mapping)
        )
        self.register_buffer("mean_style", torch.zeros(style))
        widths = [min(config.most, config.width * 2**n) for n in reversed(range(levels + 1))]
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.convs = nn.ModuleList([Layer(widths[0], widths[0], style, 4)])
        self.colors = nn.ModuleList([Modulated(widths[0], 3, 1, style, demodulate=False)])
        for number, (before, after) in enumerate(pairwise(widths), 1):
            side = 4 * 2**number
            self.convs.append(Layer(before, after, style, side))
            self.convs.append(Layer(after, after, style, side))
            self.colors.append(Modulated(after, 3, 1, style, demodulate=False))
        self.color_bias = nn.Parameter(torch.zeros(3, 1, 1))

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """Z (count, latent), standard normal."""
        drawn = rng.standard_normal((count, self.latent), np.float32)
        return torch.from_numpy(drawn).to(self.constant.device)

    def map(self, latents: Tensor) -> Tensor:
        """Z (N, latent) -> w (N, latent)."""
        x = latents * (latents.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for dense in self.mapping:
            x = leaky(dense(x))
        return x

    def styles(self, latents: Tensor, truncation: float = 1.0) -> Tensor:
        """(N, layers, latent): w for each layer, drawn towards the mean style by truncation.

        In training the mean style follows w.
        """
        found = self.map(latents)
        if self.training:
            self.mean_style.lerp_(found.detach().mean(0).to(self.mean_style), 1 - MEAN_DECAY)
        if truncation != 1:
            found = torch.lerp(self.mean_style.expand_as(found), found, truncation)
        return found[:, None].expand(-1, self.layers, -1)

    def paint(self, styles: Tensor) -> Tensor:
        """Pictures of styles (N, layers, latent)."""
        x = self.constant.expand(len(styles), -1, -1, -1)
        x = self.convs[0](x, styles[:, 0])
        picture = self.colors[0](x, styles[:, 1])
        for number in range(1, len(self.colors)):
            at = 2 * number
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = self.convs[at - 1](x, styles[:, at - 1])
            x = self.convs[at](x, styles[:, at])
            picture = F.interpolate(
                picture, scale_factor=2.0, mode="bilinear", align_corners=False
            ) + self.colors[number](x, styles[:, at + 1])
        return 0.5 + 0.5 * (picture + self.color_bias).float()

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures of z."""
        return self.paint(self.styles(latents))


PLUGIN = (Config, Generator)
