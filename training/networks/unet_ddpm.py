"""The denoiser of DDPM: a U-Net that knows how noisy its input is (Ho, Jain, Abbeel 2020).

    conv 3x3 -> [blocks x (residual, attention?), conv 3x3 /2] per level -> residual, attention,
    residual -> mirrored, each block with the features of its mirror beside it -> norm, SiLU, conv

A residual block is x + conv(drop(silu(norm(conv(silu(norm(x))) + dense(t))))); t is the sinusoidal
embedding of Vaswani et al. 2017 after two dense layers. Group normalization of up to 32 groups.

Reference: arXiv:2006.11239, appendix B. For 32 px the paper's shape is the default: 35.7 million
weights. Deviation: the last layers of the blocks do not begin at zero, the output's does.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.fields import Between

from ..settings import Channels, Share

GROUPS = 32
LONGEST = 10_000.0  # longest wave of the embedding, Vaswani et al. 2017


@dataclass(frozen=True)
class Config:
    """Shape of a denoiser."""

    width: Channels = 128  # channels of the first level
    multiples: tuple[Annotated[int, Between(1, 64)], ...] = (1, 2, 2, 2)  # of it, one per level
    blocks: Annotated[int, Between(1, 16)] = 2  # residual blocks per level
    attention: tuple[Annotated[int, Between(0, 15)], ...] = (1,)  # levels with self-attention
    dropout: Share = 0.1

    def __post_init__(self) -> None:
        if not self.multiples:
            raise ValueError("multiples is empty, one number per level is needed: [1, 2, 2]")
        if self.width % 2:
            raise ValueError(f"width is {self.width}, an even number is needed (sine and cosine)")


def time_embedding(times: Tensor, width: int) -> Tensor:
    """(N,) -> (N, width): [cos(t w_i), sin(t w_i)], w_i = 10000^(-i / (width / 2))."""
    half = width // 2
    rates = torch.exp(-math.log(LONGEST) / half * torch.arange(half, device=times.device))
    angles = times.float()[:, None] * rates
    return torch.cat([angles.cos(), angles.sin()], 1)


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalization with as many groups as divide both 32 and the channels."""
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


class Block(nn.Module):
    """Residual block; see the module's docstring."""

    def __init__(self, before: int, after: int, embedding: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(before), nn.Conv2d(before, after, 3, padding=1)
        self.time = nn.Linear(embedding, after)
        self.norm2, self.conv2 = group_norm(after), nn.Conv2d(after, after, 3, padding=1)
        self.drop = nn.Dropout(dropout)
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """(N, before, h, w) and (N, embedding) -> (N, after, h, w)."""
        y = self.conv1(F.silu(self.norm1(x))) + self.time(time)[:, :, None, None]
        return self.skip(x) + self.conv2(self.drop(F.silu(self.norm2(y))))


class Attention(nn.Module):
    """x + out(softmax(q k / sqrt(C)) v) over all positions, one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.mix = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to the same shape."""
        query, key, value = self.mix(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, 2)
        seen = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(seen.transpose(1, 2).reshape(x.shape))


class Level(nn.Module):
    """A block, and attention where the level has it."""

    def __init__(self, block: Block, attention: Attention | None) -> None:
        super().__init__()
        self.block, self.attention = block, attention or nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """As `Block`."""
        return self.attention(self.block(x, time))


class Generator(nn.Module):
    """Noisy pictures (N, 3, H, W), about -1..1, and times (N,), 0 is the cleanest -> the noise in
    them, same shape."""

    from_noise = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        levels = len(config.multiples)
        self.multiple_of = 2 ** (levels - 1)
        self.width, embedding = config.width, 4 * config.width
        self.time = nn.Sequential(
            nn.Linear(config.width, embedding),
            nn.SiLU(),
            nn.Linear(embedding, embedding),
            nn.SiLU(),
        )

        def level(index: int, before: int, after: int) -> Level:
            attention = Attention(after) if index in config.attention else None
            return Level(Block(before, after, embedding, config.dropout), attention)

        widths = [config.width * multiple for multiple in config.multiples]
        self.first = nn.Conv2d(3, config.width, 3, padding=1)
        self.down, self.smaller = nn.ModuleList(), nn.ModuleList()
        now, kept = config.width, [config.width]
        for index, width in enumerate(widths):
            row = nn.ModuleList()
            for _ in range(config.blocks):
                row.append(level(index, now, width))
                now = width
                kept.append(now)
            self.down.append(row)
            if index < levels - 1:
                self.smaller.append(nn.Conv2d(now, now, 3, 2, 1))
                kept.append(now)
        self.middle = nn.ModuleList(
            [
                Level(Block(now, now, embedding, config.dropout), Attention(now)),
                Level(Block(now, now, embedding, config.dropout), None),
            ]
        )
        self.up, self.larger = nn.ModuleList(), nn.ModuleList()
        for index in reversed(range(levels)):
            row = nn.ModuleList()
            for _ in range(config.blocks + 1):
                row.append(level(index, now + kept.pop(), widths[index]))
                now = widths[index]
            self.up.append(row)
            if index:
                self.larger.append(nn.Conv2d(now, now, 3, padding=1))
        self.norm, self.last = group_norm(now), nn.Conv2d(now, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, noisy: Tensor, times: Tensor) -> Tensor:
        """The noise; height and width must be multiples of `multiple_of`."""
        time = self.time(time_embedding(times, self.width))
        x = self.first(noisy)
        kept = [x]
        for index, row in enumerate(self.down):
            for level in row:
                x = level(x, time)
                kept.append(x)
            if index < len(self.smaller):
                x = self.smaller[index](x)
                kept.append(x)
        for level in self.middle:
            x = level(x, time)
        for index, row in enumerate(self.up):
            for level in row:
                x = level(torch.cat([x, kept.pop()], 1), time)
            if index < len(self.larger):
                x = self.larger[index](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.last(F.silu(self.norm(x))).float()


PLUGIN = (Config, Generator)
