"""The lean family: everything of many channels happens at 1/`scale` resolution.

    margin -> space-to-depth -> conv 3x3, norm, ReLU -> `blocks` residual blocks
           -> conv 3x3 -> depth-to-space -> crop

Only plain 3x3 convolutions, which on CPUs beat separable ones per millisecond, and no tensor of
16 or more channels above 1/4 resolution. Zero padding inside keeps every convolution on the fast
path; a replicated `margin` around the picture, cropped at the end, keeps its frame out of sight.
Make it as wide as `reach`: with less, training finds out that a frame of strong dots pays, because
it costs little content and adds to the style.

A network that was fine-tuned for bytes has clipping ranges: no activation goes beyond what its
byte holds, in float as in int8 (as ReLU6 does for all layers alike; Sandler et al. 2018,
arXiv:1801.04381). The two then differ by rounding only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from ..settings import Channels, Layers, Margin, Normalization, Padding, Scale
from .layers import Residual, equalize_phases_, icnr_, norm

# Least width of a clipping range: a tensor that is zero on all photos still needs a scale.
LEAST_RANGE = 1e-4


def reach(blocks: int, scale: int = 4) -> int:
    """How far the zeros around the picture are seen, in px: a block for each 3x3 convolution."""
    return scale * (2 * blocks + 2)


@dataclass(frozen=True)
class Config:
    """Shape of a lean generator; "lean-c48n3r4" is width 48, 3 blocks, scale 4."""

    width: Channels = 48  # channels of the trunk; multiples of 16 fill the vector units
    blocks: Layers = 5  # residual blocks of two convolutions
    scale: Scale = 4  # space-to-depth factor r; 8 stays blocky to the eye
    normalization: Normalization = "instance"
    padding: Padding = "zeros"  # of every convolution: "zeros", "replicate" or "reflect"
    margin: Margin = 16  # px replicated around the input and cropped from the output
    equal_phases: bool = False  # of the head, held in training: no net, no beads along lines

    def __post_init__(self) -> None:
        if self.margin % self.scale:
            raise ValueError(f"margin {self.margin} must be a multiple of scale {self.scale}")


class Block(Residual):
    """A residual block; "conv1", "conv2" and their "sum" may be clipped.

    clip_sum(x + clip2(norm2(conv2(clip1(relu(norm1(conv1(x))))))))
    """

    def __init__(self, channels: int, normalization: str, padding: str, kernel: int = 3) -> None:
        super().__init__(channels, normalization, padding, kernel)
        self.clip1, self.clip2, self.clip_sum = nn.Identity(), nn.Identity(), nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        y = self.clip1(F.relu(self.norm1(self.conv1(x))))
        return self.clip_sum(x + self.clip2(self.norm2(self.conv2(y))))


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] -> styled images, same shape, about [0, 1], not clamped.

    The head starts at a tenth of torch's default, so that training begins at flat gray and not at
    noise, and with ICNR, so that it begins without checkerboard.
    """

    def __init__(self, config: Config, kernel: int = 3) -> None:
        super().__init__()
        self.scale, self.margin = config.scale, config.margin
        self.multiple_of = config.scale
        self.normalization = config.normalization
        # Pixels of context for tiles.
        self.overlap = (kernel // 2) * reach(config.blocks, config.scale) + config.scale
        depth = 3 * config.scale**2
        conv = {"kernel_size": kernel, "padding": kernel // 2, "padding_mode": config.padding}
        self.stem = nn.Conv2d(depth, config.width, **conv)
        self.stem_norm = norm(config.normalization, config.width)
        self.stem_clip = nn.Identity()
        self.trunk = nn.Sequential(
            *(
                Block(config.width, config.normalization, config.padding, kernel)
                for _ in range(config.blocks)
            )
        )
        self.head = nn.Conv2d(config.width, depth, **conv)
        self.head.weight.data.mul_(0.1)
        icnr_(self.head, config.scale)
        self.equal_phases = config.equal_phases

    def forward(self, images: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of `multiple_of`."""
        m = self.margin
        x = F.pad(images, (m, m, m, m), mode="replicate") if m else images
        x = F.pixel_unshuffle(x - 0.5, self.scale)
        x = self.trunk(self.stem_clip(F.relu(self.stem_norm(self.stem(x)))))
        y = F.pixel_shuffle(self.head(x), self.scale).float() + 0.5
        return y[:, :, m:-m, m:-m] if m else y

    def constrain(self) -> None:
        """Bring the weights back to what the configuration asks of them; `training.engine` calls it
        before the first step and after each."""
        if self.equal_phases:
            equalize_phases_(self.head, self.scale)

    def clip(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        """Give every activation its clipping range.

        Args:
            ranges: "stem", "block0.conv1", "block0.conv2", "block0.conv2.sum", ... to the lowest
                and the highest value.

        Raises:
            ValueError: names of other activations.
        """
        places: dict[str, tuple[nn.Module, str]] = {"stem": (self, "stem_clip")}
        for number, block in enumerate(self.trunk):
            parts = {"conv1": "clip1", "conv2": "clip2", "conv2.sum": "clip_sum"}
            places |= {f"block{number}.{name}": (block, clip) for name, clip in parts.items()}
        if ranges.keys() != places.keys():
            raise ValueError(
                f"clipping ranges of {sorted(ranges)}, the network has {sorted(places)}"
            )
        for name, (module, attribute) in places.items():
            low, high = ranges[name]
            setattr(module, attribute, nn.Hardtanh(low, max(high, low + LEAST_RANGE)))


PLUGIN = (Config, Generator)
