"""The lean network whose normalizations take scale and shift from a code.

Every instance normalization of `networks.lean` keeps its place; what it scales and shifts with is
an input. One trunk then paints in many styles, at the cost of one small product per picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...settings import Channels, Layers, Margin, Padding, Scale
from ..layers import icnr_


@dataclass(frozen=True)
class StyledConfig:
    """Shape of the trunk, as `networks.lean.Config`."""

    width: Channels = 48  # channels; multiples of 16 fill the vector units
    blocks: Layers = 5  # residual blocks of two convolutions
    scale: Scale = 4  # space-to-depth factor
    padding: Padding = "zeros"  # of every convolution
    margin: Margin = 16  # px replicated around the input and cropped from the output

    def __post_init__(self) -> None:
        if self.margin % self.scale:
            raise ValueError(f"margin {self.margin} must be a multiple of scale {self.scale}")


class StyledTrunk(nn.Module):
    """images (N, 3, H, W) and modulation (N or 1, L, 2, width) -> styled images, same shape.

    L is the number of normalizations, 1 + 2 * blocks; [:, l, 0] scales and [:, l, 1] shifts.
    Parameter names are those of `networks.lean`, so that a trunk with its modulation folded in is a
    lean network.
    """

    def __init__(self, config: StyledConfig) -> None:
        super().__init__()
        self.scale, self.margin, self.width = config.scale, config.margin, config.width
        self.multiple_of = config.scale
        # Instance statistics need more than one pixel at 1/scale.
        self.minimum = 2 * config.scale
        self.normalization = "instance"
        self.overlap = config.scale * (2 * config.blocks + 2) + config.scale
        self.num_norms = 1 + 2 * config.blocks
        depth = 3 * config.scale**2
        conv = {"kernel_size": 3, "padding": 1, "padding_mode": config.padding}
        self.stem = nn.Conv2d(depth, config.width, **conv)
        self.trunk = nn.ModuleList(
            nn.ModuleDict(
                {name: nn.Conv2d(config.width, config.width, **conv) for name in ("conv1", "conv2")}
            )
            for _ in range(config.blocks)
        )
        self.head = nn.Conv2d(config.width, depth, **conv)
        self.head.weight.data.mul_(0.1)
        icnr_(self.head, config.scale)

    def paint(self, images: Tensor, modulation: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of `multiple_of`."""
        m = self.margin
        x = F.pad(images, (m, m, m, m), mode="replicate") if m else images
        x = F.pixel_unshuffle(x - 0.5, self.scale)
        x = F.relu(_modulate(self.stem(x), modulation[:, 0]))
        for index, block in enumerate(self.trunk):
            first, second = modulation[:, 1 + 2 * index], modulation[:, 2 + 2 * index]
            inner = F.relu(_modulate(block["conv1"](x), first))  # type: ignore[index,operator]
            x = x + _modulate(block["conv2"](inner), second)  # type: ignore[index,operator]
        y = F.pixel_shuffle(self.head(x), self.scale).float() + 0.5
        return y[:, :, m:-m, m:-m] if m else y

    def neutral_modulation(self) -> Tensor:
        """Scale 1 and shift 0 everywhere: (L, 2, width)."""
        plain = torch.zeros(self.num_norms, 2, self.width)
        plain[:, 0] = 1
        return plain

    @torch.no_grad()
    def folded_state(self, modulation: Tensor) -> dict[str, Tensor]:
        """Weights of the `lean` network that paints as this one does with one modulation.

        Args:
            modulation: (L, 2, width).
        """
        state = {
            key: value.clone()
            for key, value in self.state_dict().items()
            if key.split(".")[0] in ("stem", "trunk", "head")
        }
        for name, (scale, shift) in zip(self._norm_names(), modulation, strict=True):
            state |= {f"{name}.weight": scale.clone(), f"{name}.bias": shift.clone()}
        return state

    @torch.no_grad()
    def take_folded(self, state: dict[str, Tensor]) -> Tensor:
        """Take the convolutions of a `lean` network and return its modulation (L, 2, width): the
        inverse of `folded_state`.

        Args:
            state: of a lean network of the same width and blocks, with instance normalization.
        """
        own = self.state_dict()
        own |= {key: value for key, value in state.items() if key in own}
        self.load_state_dict(own)
        pairs = [(state[f"{n}.weight"], state[f"{n}.bias"]) for n in self._norm_names()]
        return torch.stack([torch.stack(pair) for pair in pairs])

    def _norm_names(self) -> list[str]:
        """Normalizations of the lean network, in the order of the modulation."""
        blocks = range(len(self.trunk))
        return ["stem_norm", *(f"trunk.{i}.norm{n}" for i in blocks for n in (1, 2))]


def _modulate(x: Tensor, modulation: Tensor) -> Tensor:
    scale, shift = modulation[:, 0, :, None, None], modulation[:, 1, :, None, None]
    return F.instance_norm(x) * scale.to(x.dtype) + shift.to(x.dtype)
