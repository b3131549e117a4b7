"""The lean family: everything of many channels happens at 1/`scale` resolution.

    margin -> space-to-depth -> conv 3x3, norm, ReLU -> `blocks` residual blocks
           -> conv 3x3 -> depth-to-space -> crop

Only plain 3x3 convolutions, which on CPUs beat separable ones per millisecond, and no tensor of
16 or more channels above 1/4 resolution. Zero padding inside keeps every convolution on the fast
path; a replicated `margin` around the picture, cropped at the end, keeps its frame out of sight.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from .layers import Residual, icnr_, norm


@dataclass(frozen=True)
class Config:
    """Shape of a lean generator; "lean-c48n3r4" is width 48, 3 blocks, scale 4."""

    width: int = 48  # channels of the trunk; multiples of 16 fill the vector units
    blocks: int = 5  # residual blocks of two convolutions
    scale: int = 4  # space-to-depth factor r; 8 stays blocky to the eye
    normalization: str = "instance"  # "instance" or "none"
    padding: str = "zeros"  # of every convolution: "zeros", "replicate" or "reflect"
    margin: int = 16  # px replicated around the input and cropped from the output

    def __post_init__(self) -> None:
        if self.width < 1 or self.blocks < 0 or self.scale < 1:
            raise ValueError("width and scale must be at least 1, blocks at least 0")
        if self.margin % self.scale:
            raise ValueError(f"margin {self.margin} must be a multiple of scale {self.scale}")


class Generator(nn.Module):
    """images (N, 3, H, W) RGB in [0, 1] -> styled images, same shape, about [0, 1], not clamped.

    The head starts at a tenth of torch's default, so that training begins at flat gray and not at
    noise, and with ICNR, so that it begins without checkerboard.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale, self.margin = config.scale, config.margin
        self.multiple_of = config.scale
        self.normalization = config.normalization
        # Pixels of context: each 3x3 convolution on the coarse grid reaches `scale` further.
        self.overlap = config.scale * (2 * config.blocks + 2) + config.scale
        depth = 3 * config.scale**2
        conv = {"kernel_size": 3, "padding": 1, "padding_mode": config.padding}
        self.stem = nn.Conv2d(depth, config.width, **conv)
        self.stem_norm = norm(config.normalization, config.width)
        self.trunk = nn.Sequential(
            *(
                Residual(config.width, config.normalization, config.padding)
                for _ in range(config.blocks)
            )
        )
        self.head = nn.Conv2d(config.width, depth, **conv)
        self.head.weight.data.mul_(0.1)
        icnr_(self.head, config.scale)

    def forward(self, images: Tensor) -> Tensor:
        """Style a batch; height and width must be multiples of `multiple_of`."""
        m = self.margin
        x = F.pad(images, (m, m, m, m), mode="replicate") if m else images
        x = F.pixel_unshuffle(x - 0.5, self.scale)
        x = self.trunk(F.relu(self.stem_norm(self.stem(x))))
        y = F.pixel_shuffle(self.head(x), self.scale).float() + 0.5
        return y[:, :, m:-m, m:-m] if m else y


PLUGIN = (Config, Generator)
