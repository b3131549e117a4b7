"""The two networks of CLIP, with the names that OpenCLIP's files use: a vision transformer and a
causal text transformer, whose last token speaks for the text.

    block:  x + attention(norm(x)),  x + mlp(norm(x)),   mlp of four times the width

Sizes come from the tensors' shapes; what shapes cannot say (heads, the activation) from `Facts`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Of the pictures that OpenAI's and OpenCLIP's models were trained on.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)
HEAD_WIDTH = 64  # channels of one head of attention, where the configuration says nothing


@dataclass(frozen=True)
class Facts:
    """What the shapes of the weights do not say, as `open_clip_config.json` has it."""

    vision_heads: int
    text_heads: int
    quick_gelu: bool = False  # x sigmoid(1.702 x), of OpenAI's own weights
    mean: tuple[float, ...] = MEAN
    deviation: tuple[float, ...] = DEVIATION


class QuickGelu(nn.Module):
    """x sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x * torch.sigmoid(1.702 * x)


class Block(nn.Module):
    """One layer of a transformer."""

    def __init__(self, width: int, heads: int, inner: int, quick: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.ModuleDict(
            {
                "c_fc": nn.Linear(width, inner),
                "gelu": QuickGelu() if quick else nn.GELU(),
                "c_proj": nn.Linear(inner, width),
            }
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, L, W); `mask` (L, L) is added to the attention's scores."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
        hidden = self.mlp["gelu"](self.mlp["c_fc"](self.ln_2(x)))
        return x + self.mlp["c_proj"](hidden)


class Blocks(nn.Module):
    """`resblocks`."""

    def __init__(self, count: int, width: int, heads: int, inner: int, quick: bool) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads, inner, quick) for _ in range(count))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """(N, L, W)."""
        for block in self.resblocks:
            x = block(x, mask)
        return x


@dataclass(frozen=True)
class Sizes:
    """Of a tower."""

    width: int
    layers: int
    inner: int


class Vision(nn.Module):
    """Pictures -> vectors."""

    def __init__(self, sizes: Sizes, patch: int, places: int, joint: int, facts: Facts) -> None:
        super().__init__()
        width = sizes.width
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.class_embedding = nn.Parameter(0.02 * torch.randn(width))
        self.positional_embedding = nn.Parameter(0.02 * torch.randn(places, width))
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        heads, quick = facts.vision_heads, facts.quick_gelu
        self.transformer = Blocks(sizes.layers, width, heads, sizes.inner, quick)
        self.proj = nn.Parameter(width**-0.5 * torch.randn(width, joint))

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, S, S), normalized -> (N, J)."""
        x = self.conv1(x).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(x), 1, -1)
        x = self.ln_pre(torch.cat([first, x], 1) + self.positional_embedding)
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


class Clip(nn.Module):
    """Both towers.

    Args:
        vision, text: sizes of the towers.
        patch: px, side of a picture's pieces.
        side: px, of the pictures that the vision tower takes.
        words: size of the vocabulary.
        length: of texts, in tokens.
        joint: dimensions of the common space.
        facts: see `Facts`.
    """

    def __init__(
        self,
        vision: Sizes,
        text: Sizes,
        patch: int,
        side: int,
        words: int,
        length: int,
        joint: int,
        facts: Facts,
    ) -> None:
        super().__init__()
        self.side, self.length = side, length
        self.visual = Vision(vision, patch, (side // patch) ** 2 + 1, joint, facts)
        self.token_embedding = nn.Embedding(words, text.width)
        self.positional_embedding = nn.Parameter(0.01 * torch.randn(length, text.width))
        self.transformer = Blocks(
            text.layers, text.width, facts.text_heads, text.inner, facts.quick_gelu
        )
        self.ln_final = nn.LayerNorm(text.width)
        self.text_projection = nn.Parameter(text.width**-0.5 * torch.randn(text.width, joint))
        self.logit_scale = nn.Parameter(torch.tensor(2.6593))  # log(1 / .07)
        self.register_buffer("mean", torch.tensor(facts.mean).view(1, 3, 1, 1), persistent=False)
        scale = torch.tensor(facts.deviation).view(1, 3, 1, 1)
        self.register_buffer("deviation", scale, persistent=False)

    def see(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1], brought to the tower's side -> (N, J) of length 1."""
        if pictures.shape[2:] != (self.side, self.side):
            pictures = F.interpolate(
                pictures,
                (self.side, self.side),
                mode="bicubic",
                align_corners=False,
                antialias=True,
            )
        return F.normalize(self.visual((pictures - self.mean) / self.deviation), dim=1)

    def read(self, tokens: Tensor) -> Tensor:
        """(N, L) numbers; the largest, the end of the text, speaks for it -> (N, J) of length 1."""
        x = self.token_embedding(tokens) + self.positional_embedding
        later = torch.full((self.length, self.length), float("-inf"), device=x.device).triu(1)
        x = self.ln_final(self.transformer(x, later))
        spoken = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
        return F.normalize(spoken @ self.text_projection, dim=1)


def shaped_like(tensors: dict[str, Tensor], facts: Facts | None = None) -> Clip:
    """An empty network of the sizes that these weights have.

    Raises:
        KeyError: a tensor that every such model has is missing.
        ValueError: there is no network of such sizes.
    """
    patches = tensors["visual.conv1.weight"]
    places = tensors["visual.positional_embedding"].shape[0]
    patch = patches.shape[2]
    length, text_width = tensors["positional_embedding"].shape

    def sizes(prefix: str, width: int) -> Sizes:
        numbers = {
            key.removeprefix(f"{prefix}resblocks.").split(".")[0]
            for key in tensors
            if key.startswith(f"{prefix}resblocks.")
        }
        inner = tensors[f"{prefix}resblocks.0.mlp.c_fc.weight"].shape[0]
        return Sizes(width, len(numbers), inner)

    width = patches.shape[0]
    facts = facts or Facts(max(1, width // HEAD_WIDTH), max(1, text_width // HEAD_WIDTH))
    for heads, channels in ((facts.vision_heads, width), (facts.text_heads, text_width)):
        if heads < 1 or channels % heads:
            raise ValueError(f"{heads} heads of attention do not share {channels} channels")
    if places < 2:
        raise ValueError("visual.positional_embedding has no place for a picture")
    return Clip(
        sizes("visual.transformer.", width),
        sizes("transformer.", text_width),
        patch,
        round((places - 1) ** 0.5) * patch,
        tensors["token_embedding.weight"].shape[0],
        length,
        tensors["text_projection"].shape[1],
        facts,
    )
