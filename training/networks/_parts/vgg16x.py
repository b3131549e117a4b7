"""Encoder and decoder halves of the 16x compressed VGG-19, as parts of a generator.

The parameters carry the names of the published files, so that loading is a copy. Architecture and
weights: Wang, Li, Wang, Hu, Yang, "Collaborative Distillation for Ultra-Resolution Universal Style
Transfer", CVPR 2020 (arXiv:2003.08436).
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.errors import EngineUnavailable, UsageError

WIDTHS = (16, 32, 64, 128, 128)
DEPTHS = (2, 2, 4, 4, 1)
FIRST_WIDTH = 24  # of encoder 1, which has no deeper layers to lean on


def channels(level: int) -> int:
    """Channels of relu`level`_1 in the pair of this level."""
    return FIRST_WIDTH if level == 1 else WIDTHS[level - 1]


def _layers(level: int) -> list[tuple[str, int, int]]:
    """(name, in, out) of the encoder's 3x3 convolutions; "pool" between blocks."""
    found: list[tuple[str, int, int]] = []
    before = 3
    for block in range(1, level + 1):
        width = channels(level) if level == 1 else WIDTHS[block - 1]
        for index in range(1, (1 if block == level else DEPTHS[block - 1]) + 1):
            found.append((f"conv{block}{index}", before, width))
            before = width
        if block < level:
            found.append(("pool", before, before))
    return found


def _conv(name: nn.Module, x: Tensor) -> Tensor:
    return F.relu(name(F.pad(x, (1, 1, 1, 1), mode="reflect")))


class Encoder(nn.Module):
    """Images (N, 3, H, W) RGB in [0, 1] -> relu`level`_1 at 1/2^(level-1) of their size."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.level = level
        self.conv0 = nn.Conv2d(3, 3, 1)
        self.order = _layers(level)
        for name, before, after in self.order:
            if name != "pool":
                self.add_module(name, nn.Conv2d(before, after, 3))

    def forward(self, images: Tensor) -> Tensor:
        """The deepest features."""
        x = self.conv0(images)
        for name, _, _ in self.order:
            x = F.max_pool2d(x, 2) if name == "pool" else _conv(getattr(self, name), x)
        return x


class Decoder(nn.Module):
    """Features of an `Encoder` of the same level -> images, about [0, 1], not clamped above.

    Deviation: the ReLU after the last convolution is kept, as the weights were trained with it, but
    for training (`linear=True`) it is left out, because a dead output has no gradient.
    """

    def __init__(self, level: int, linear: bool = False) -> None:
        super().__init__()
        self.level, self.linear = level, linear
        self.order = [(name, after, before) for name, before, after in reversed(_layers(level))]
        for name, before, after in self.order:
            if name != "pool":
                self.add_module(name, nn.Conv2d(before, after, 3))

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, 3, h * 2^(level-1), w * 2^(level-1))."""
        x = features
        for name, _, _ in self.order:
            if name == "pool":
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
                continue
            x = getattr(self, name)(F.pad(x, (1, 1, 1, 1), mode="reflect"))
            if name != "conv11" or not self.linear:
                x = F.relu(x)
        return x


def load_pretrained(module: Encoder | Decoder, folder: str | Path | None) -> None:
    """Copy the published weights of this half into `module`.

    Raises:
        EngineUnavailable: the file is not there; says its name and where it comes from.
        UsageError: the file holds other tensors.
    """
    import os

    from safetensors.torch import load_file

    half = "encoder" if isinstance(module, Encoder) else "decoder"
    name = f"vgg19_16x_{half}_relu{module.level}_1.safetensors"
    root = Path(folder or os.environ.get("IMPASTO_WEIGHTS", "."))
    path = root / name
    if not path.is_file():
        raise EngineUnavailable(
            f"weights {name} not found in {root}. Get them from MingSun-Tse/"
            "Collaborative-Distillation (MIT), as safetensors, and set IMPASTO_WEIGHTS to their "
            "folder, or pass --weights FOLDER"
        )
    tensors = load_file(path)
    own = module.state_dict()
    for key, value in own.items():
        found = tuple(tensors[key].shape) if key in tensors else None
        if found != tuple(value.shape):
            raise UsageError(
                f"{path}: tensor {key} should be {tuple(value.shape)}, found {found or 'none'}"
            )
    with torch.no_grad():
        for key, value in own.items():
            value.copy_(tensors[key].float())
