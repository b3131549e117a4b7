"""Discriminators that look at a whole picture and give it one score: DCGAN's and StyleGAN2's.

plain (Radford et al. 2016): conv 4x4 /2, LeakyReLU -> [conv 4x4 /2, batch norm, LeakyReLU] down to
4x4 -> conv 4x4.
residual (Karras et al. 2020, form "resnet"): conv 1x1 -> [conv 3x3, blurred conv 3x3 /2, beside it
a blurred conv 1x1 /2; (sum) / sqrt 2] down to 4x4 -> conv 3x3 -> two dense layers; equalized
learning rates, no normalization.

Both see the minibatch deviation at 4x4 where it is asked for (`layers.minibatch_deviation`).
Deviation: the blur is (1 2 1) where StyleGAN2 has (1 3 3 1).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

from torch import Tensor, nn

from runtime.fields import Between

from ..settings import Channels
from .layers import EqualizedConv, EqualizedDense, blur, leaky, levels_of, minibatch_deviation


@dataclass(frozen=True)
class Config:
    """Shape of a discriminator; DCGAN's has width 128 of at most 1024, StyleGAN2's 64 of 512."""

    form: Literal["plain", "residual"] = "plain"
    width: Channels = 64  # channels at the largest size; twice as many at half of it
    most: Channels = 512  # channels at most
    side: Annotated[int, Between(8, 1024)] = 64  # px of the square pictures, a power of two
    channels: Channels = 3
    minibatch_deviation: bool = False

    def __post_init__(self) -> None:
        levels_of(self.side)


class Residual(nn.Module):
    """Half the size; see the module's docstring."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = EqualizedConv(before, before, 3)
        self.conv2 = EqualizedConv(before, after, 3, 2)
        self.skip = EqualizedConv(before, after, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, h, w) -> (N, after, h / 2, w / 2)."""
        y = leaky(self.conv2(blur(leaky(self.conv1(x)))))
        return (y + self.skip(blur(x, 2))) * 0.5**0.5


class Generator(nn.Module):
    """pictures (N, C, side, side) in [0, 1] -> scores (N, 1): a discriminator, not a generator; the
    class has the name every plugin of this folder has."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.deviation = config.minibatch_deviation
        levels, more = levels_of(config.side), int(config.minibatch_deviation)
        widths = [min(config.most, config.width * 2**n) for n in range(levels + 1)]
        blocks: list[nn.Module] = []
        if config.form == "plain":
            for number, (before, after) in enumerate(
                zip([config.channels, *widths], widths[:levels], strict=False)
            ):
                blocks.append(nn.Conv2d(before, after, 4, 2, 1, bias=not number))
                blocks += [nn.BatchNorm2d(after)] * bool(number) + [nn.LeakyReLU(0.2)]
            self.head: nn.Module = nn.Conv2d(widths[levels - 1] + more, 1, 4)
        else:
            blocks += [EqualizedConv(config.channels, widths[0], 1), Leaky()]
            blocks += [Residual(*pair) for pair in pairwise(widths)]
            last = widths[levels]
            self.head = nn.Sequential(
                *(EqualizedConv(last + more, last, 3), Leaky(), nn.Flatten()),
                *(EqualizedDense(16 * last, last), Leaky(), EqualizedDense(last, 1)),
            )
        self.blocks = nn.Sequential(*blocks)

    def forward(self, images: Tensor) -> Tensor:
        """One score per picture."""
        x = self.blocks(2 * images - 1)
        if self.deviation:
            x = minibatch_deviation(x)
        return self.head(x).flatten(1).float()


class Leaky(nn.Module):
    """`layers.leaky` as a module."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return leaky(x)


PLUGIN = (Config, Generator)
