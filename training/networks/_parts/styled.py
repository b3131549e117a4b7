"""The lean network whose normalizations take scale and shift from a code.

Every instance normalization of `networks.lean` keeps its place; what it scales and shifts with is
an input. One trunk then paints in many styles, at the cost of one small product per picture.

Instance normalization also takes away how bright a picture is and of what color: paintings need
neither, translations that must lead back do. With normalization "none" the code scales and shifts
what the convolutions give (FiLM; Perez et al., AAAI 2018, arXiv:1709.07871).
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...settings import Channels, Layers, Margin, Normalization, Padding, Scale
from ..layers import icnr_


@dataclass(frozen=True)
class StyledConfig:
    """Shape of the trunk, as `networks.lean.Config`."""

    width: Channels = 48  # channels; multiples of 16 fill the vector units
    blocks: Layers = 5  # residual blocks of two convolutions
    scale: Scale = 4  # space-to-depth factor
    normalization: Normalization = "instance"  # before the code scales and shifts
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
        self.normalization = config.normalization
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
        x = F.relu(self._modulate(self.stem(x), modulation[:, 0]))
        for index, block in enumerate(self.trunk):
            first, second = modulation[:, 1 + 2 * index], modulation[:, 2 + 2 * index]
            inner = F.relu(self._modulate(block["conv1"](x), first))  # type: ignore[index,operator]
            x = x + self._modulate(block["conv2"](inner), second)  # type: ignore[index,operator]
        y = F.pixel_shuffle(self.head(x), self.scale).float() + 0.5
        return y[:, :, m:-m, m:-m] if m else y

    def _modulate(self, x: Tensor, modulation: Tensor) -> Tensor:
        scale, shift = modulation[:, 0, :, None, None], modulation[:, 1, :, None, None]
        x = F.instance_norm(x) if self.normalization == "instance" else x
        return x * scale.to(x.dtype) + shift.to(x.dtype)

    @torch.no_grad()
    def begin_as_identity(self) -> bool:
        """Start as a network that gives pictures back, exactly but for what the other channels add:
        each of the 3 scale^2 numbers at a place goes through a pair of channels, one for its
        positive and one for its negative part, which ReLU keeps; blocks add nothing yet.

        Returns:
            whether it is wide enough for that: 6 scale^2 channels, and without normalization.
        """
        depth = 3 * self.scale**2
        if self.normalization != "none" or self.width < 2 * depth:
            return False
        for block in self.trunk:
            block["conv2"].weight.zero_()  # type: ignore[index,union-attr]
            block["conv2"].bias.zero_()  # type: ignore[index,union-attr]
        numbers = torch.arange(depth)
        for sign, channels in ((1.0, 2 * numbers), (-1.0, 2 * numbers + 1)):
            self.stem.weight[channels] = 0.0
            self.stem.bias[channels] = 0.0  # type: ignore[index]
            self.stem.weight[channels, numbers, 1, 1] = sign
            self.head.weight[:, channels] = 0.0
            self.head.weight[numbers, channels, 1, 1] = sign
        self.head.bias.zero_()  # type: ignore[union-attr]
        return True

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
        for names, (scale, shift) in zip(self._layer_names(), modulation, strict=True):
            if self.normalization == "instance":
                state |= {
                    f"{names.norm}.weight": scale.clone(),
                    f"{names.norm}.bias": shift.clone(),
                }
            else:
                weight, bias = f"{names.conv}.weight", f"{names.conv}.bias"
                state[weight] = state[weight] * scale[:, None, None, None]
                state[bias] = state[bias] * scale + shift
        return state

    @torch.no_grad()
    def take_folded(self, state: dict[str, Tensor]) -> Tensor:
        """Take the convolutions of a `lean` network and return its modulation (L, 2, width): the
        inverse of `folded_state`.

        Args:
            state: of a lean network of the same width, blocks and normalization.
        """
        own = self.state_dict()
        own |= {key: value for key, value in state.items() if key in own}
        self.load_state_dict(own)
        if self.normalization == "none":
            return self.neutral_modulation()
        norms = [names.norm for names in self._layer_names()]
        pairs = [(state[f"{norm}.weight"], state[f"{norm}.bias"]) for norm in norms]
        return torch.stack([torch.stack(pair) for pair in pairs])

    def _layer_names(self) -> "list[_LayerNames]":
        """Layers of the lean network, in the order of the modulation."""
        inner = [(f"trunk.{i}", n) for i in range(len(self.trunk)) for n in (1, 2)]
        names = [_LayerNames(f"{block}.conv{n}", f"{block}.norm{n}") for block, n in inner]
        return [_LayerNames("stem", "stem_norm"), *names]


class _LayerNames(NamedTuple):
    """A convolution and the normalization behind it."""

    conv: str
    norm: str
