"""StarGAN (Choi et al., CVPR 2018, arXiv:1711.09020): one network, many domains.

    picture and code, the code a constant plane for each domain -> conv 7x7 (w) -> conv 4x4 /2 (2w)
    -> conv 4x4 /2 (4w) -> 6 residual blocks (4w) -> 2 x transposed conv 4x4 x2 -> conv 7x7 -> tanh

A code holds the weight of each domain; (0, 1, 0, ...) is one, anything between a mix. Deviations:
pictures in [0, 1] instead of [-1, 1]; the first layer is not normalized, because instance
normalization takes a constant plane away wherever the zeros around the picture are not in sight,
that is everywhere but at the border of a picture larger than those of the training. Normalization
"none" also keeps how bright a picture is and of what color, which must come back. The lean network
for the same method is "cin". The discriminator says whether a picture is real, and of which domain:

    `layers` x (conv 4x4 /2, LeakyReLU 0.01), widths doubling from w
    -> scores: conv 3x3 to a map;  -> classes: a convolution over the whole map to K logits

without normalization, as WGAN-GP wants it; its class head takes pictures of `side` px only.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from runtime.fields import Between

from ..settings import Channels, Layers, Normalization, Side
from . import Graph, Scores
from .cin import code_graph
from .layers import Residual, norm


@dataclass(frozen=True)
class Config:
    """Shape of a StarGAN generator; the paper's is width 64, 6 blocks."""

    width: Channels = 64  # channels of the first layer; the trunk has four times as many
    blocks: Layers = 6  # residual blocks at 1/4 resolution
    normalization: Normalization = "instance"
    styles: Channels = 4  # domains
    names: tuple[str, ...] = ()  # of the domains, as people ask for them

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))  # lists, from JSON
        if len(self.names) not in (0, self.styles):
            raise ValueError(f"{len(self.names)} names for {self.styles} domains")


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] and domains (N or 1, K) -> translated images in [0, 1]."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.multiple_of, self.minimum = 4, 16
        self.normalization = kind = config.normalization
        # 3 + 2 + 4 px to 1/4 resolution, 8 px per block, 6 + 3 + 3 px back up.
        self.overlap = 9 + 8 * config.blocks + 12
        self.styles, self.names = config.styles, config.names
        w = config.width

        def layer(conv: nn.Module, channels: int) -> list[nn.Module]:
            return [conv, norm(kind, channels), nn.ReLU()]

        self.body = nn.Sequential(
            nn.Conv2d(3 + config.styles, w, 7, 1, 3),
            nn.ReLU(),
            *layer(nn.Conv2d(w, 2 * w, 4, 2, 1, bias=False), 2 * w),
            *layer(nn.Conv2d(2 * w, 4 * w, 4, 2, 1, bias=False), 4 * w),
            *(Residual(4 * w, kind, "zeros") for _ in range(config.blocks)),
            *layer(nn.ConvTranspose2d(4 * w, 2 * w, 4, 2, 1, bias=False), 2 * w),
            *layer(nn.ConvTranspose2d(2 * w, w, 4, 2, 1, bias=False), w),
            nn.Conv2d(w, 3, 7, 1, 3, bias=False),
        )

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        """Translate a batch; height and width must be multiples of 4."""
        planes = code[:, :, None, None].to(images.dtype).expand(len(images), -1, *images.shape[2:])
        y = self.body(torch.cat([2 * images - 1, planes], 1))
        return 0.5 + 0.5 * torch.tanh(y.float())

    def exports(self, name: str) -> list[Graph]:
        """One graph with a code port; without a code it paints the mean of all domains."""
        return [code_graph(self, self.styles, self.names)]


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Shape of StarGAN's discriminator; the paper's is width 64, 6 layers, for 128 px."""

    width: Channels = 64  # channels of the first layer
    layers: Annotated[int, Between(1, 10)] = 6  # strided convolutions
    channels: Channels = 3
    classes: Channels = 4
    side: Side = 128  # px of the pictures
    spectral: bool = False  # spectral normalization
    by_domain: bool = False  # a score for each domain (StarGAN v2), besides the class head

    def __post_init__(self) -> None:
        if self.side % 2**self.layers:
            raise ValueError(
                f"side is {self.side}, allowed with {self.layers} layers are multiples of "
                f"{2**self.layers} px: change data.crop or options.discriminator.layers"
            )


class Discriminator(nn.Module):
    """pictures (N, C, side, side) in [0, 1] -> `Scores` with classes."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()

        def layer(made: nn.Module) -> nn.Module:
            return spectral_norm(made) if config.spectral else made

        blocks: list[nn.Module] = []
        before = config.channels
        for index in range(config.layers):
            width = config.width * 2**index
            blocks += [layer(nn.Conv2d(before, width, 4, 2, 1)), nn.LeakyReLU(0.01)]
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.by_domain = config.by_domain
        scores = config.classes if config.by_domain else 1
        self.score = layer(nn.Conv2d(before, scores, 3, 1, 1, bias=False))
        whole = config.side // 2**config.layers
        self.classify = nn.Conv2d(before, config.classes, whole, bias=False)

    def forward(self, images: Tensor) -> Scores:
        """A map of scores, and the logits of the domains."""
        features: list[Tensor] = []
        y = 2 * images - 1
        for block in self.blocks:
            y = block(y)
            if isinstance(block, nn.LeakyReLU):
                features.append(y)
        classes = self.classify(y).flatten(1).float()
        return Scores((self.score(y).float(),), tuple(features), classes)


PLUGIN = (Config, Generator)
