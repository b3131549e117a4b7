"""One network, many styles: conditional instance normalization (Dumoulin, Shlens, Kudlur, ICLR
2017, arXiv:1610.07629) on the lean trunk.

A code holds the weight of each style; (0, 1, 0, ...) is one painting, anything between a mix.
Deviation: the paper's trunk is Johnson's; mixes are linear in scale and shift, as in the paper.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from runtime.card import Port

from ..settings import Channels
from . import Graph
from ._parts.styled import StyledConfig, StyledTrunk


@dataclass(frozen=True)
class Config(StyledConfig):
    """Shape of the trunk, and how many styles."""

    styles: Channels = 16
    names: tuple[str, ...] = ()  # of the styles, as people ask for them

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "names", tuple(self.names))  # lists, from JSON
        if len(self.names) not in (0, self.styles):
            raise ValueError(f"{len(self.names)} names for {self.styles} styles")


class Generator(StyledTrunk):
    """images (N, 3, H, W) RGB in [0, 1] and style weights (N or 1, styles) -> styled images."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.styles, self.names = config.styles, config.names
        self.lean_config = {k: v for k, v in asdict(config).items() if k not in ("styles", "names")}
        self.table = nn.Parameter(self.neutral_modulation().flatten().repeat(config.styles, 1))

    @torch.no_grad()
    def begin_at(self, modulation: Tensor) -> None:
        """Every style begins with this one, (L, 2, width)."""
        self.table[:] = modulation.flatten()

    def modulation(self, code: Tensor) -> Tensor:
        """(N, styles) -> (N, L, 2, width)."""
        return (code @ self.table).view(-1, self.num_norms, 2, self.width)

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of `multiple_of`."""
        return self.paint(images, self.modulation(code))

    def exports(self, name: str) -> list[Graph]:
        """One graph with a code port; without a code it paints the mean of all styles."""
        return [code_graph(self, self.styles, self.names)]


def code_graph(generator: nn.Module, size: int, names: tuple[str, ...]) -> Graph:
    """A graph whose code port holds `size` weights; without a code, the mean of all."""
    shape = (1, 3, "height", "width")
    code = Port("code", "code", (1, size), default=1 / size, names=names)
    image, styled = Port("image", shape=shape), Port("styled", shape=shape)
    return Graph("", _Clamped(generator), (image, code), (styled,))


class _Clamped(nn.Module):
    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, image: Tensor, code: Tensor) -> Tensor:
        return self.generator(image, code).clamp(0.0, 1.0)


def one_hot(index: int, styles: int) -> Tensor:
    """The code (1, styles) of one painting."""
    return torch.eye(styles)[index : index + 1]


PLUGIN = (Config, Generator)
