"""A VGG-shaped chain of 3x3 convolutions with names, shared by every VGG backbone."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from runtime.errors import UsageError


class Chain(nn.Module):
    """Convolutions named by their ReLU ("relu3_1") with "pool" between them.

    Reflection padding of 1 instead of VGG's zeros: zero padding prints a frame into every feature
    map, and a style loss would paint it (a customary deviation since Gatys' own code).

    Attributes:
        recompute: keep the wanted features only and compute what lies between them again in the
            backward pass (Chen et al. 2016, arXiv:1604.06174): less memory, more time.
    """

    recompute = False

    def __init__(self, sequence: Sequence[str], channels: dict[str, tuple[int, int]]) -> None:
        super().__init__()
        self.sequence = tuple(sequence)
        self.convs = nn.ModuleDict({name: nn.Conv2d(*channels[name], 3) for name in channels})

    def forward(self, x: Tensor, layers: set[str]) -> dict[str, Tensor]:
        """Features after the ReLU of each wanted layer; stops at the last one."""
        features: dict[str, Tensor] = {}
        stretch: list[str] = []
        for name in self.sequence:
            stretch.append(name)
            if name not in layers:
                continue
            if self.recompute and x.requires_grad:
                x = checkpoint(self._run, x, stretch, use_reentrant=False)
            else:
                x = self._run(x, stretch)
            features[name], stretch = x, []
        return features

    def _run(self, x: Tensor, names: Sequence[str]) -> Tensor:
        for name in names:
            if name == "pool":
                x = F.max_pool2d(x, 2)
            elif min(x.shape[2:]) < 2:  # reflection needs a neighbor
                raise UsageError(
                    f'a picture is too small for the layer "{name}" of the loss network; take a '
                    "larger data.crop and style.size, or shallower layers"
                )
            else:
                x = F.relu(self.convs[name](F.pad(x, (1, 1, 1, 1), mode="reflect")))
        return x


def vgg_sequence(blocks: Sequence[int]) -> list[str]:
    """Names in order: `vgg_sequence([2, 2])` is relu1_1, relu1_2, pool, relu2_1, relu2_2."""
    names: list[str] = []
    for block, count in enumerate(blocks, 1):
        names += [f"relu{block}_{index}" for index in range(1, count + 1)]
        if block < len(blocks):
            names.append("pool")
    return names


def vgg_channels(sequence: Sequence[str], widths: Sequence[int]) -> dict[str, tuple[int, int]]:
    """(in, out) channels of each convolution when block i is `widths[i]` wide."""
    channels: dict[str, tuple[int, int]] = {}
    before = 3
    for name in sequence:
        if name != "pool":
            width = widths[int(name[4]) - 1]
            channels[name] = (before, width)
            before = width
    return channels
