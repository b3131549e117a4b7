"""SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360): small, of another family than VGG.

Useful as an independent evaluator; as a training loss it gives washed-out color.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import Backbone, _weights

FILE = _weights.WeightFile(
    "squeezenet1_1_imagenet.safetensors",
    "4efe33c714b9df56f8396906cc61b9d11329f433559e9d22315853df582682c0",
    "torchvision's squeezenet1_1 keys; any ImageNet SqueezeNet 1.1, as safetensors",
)
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
# torchvision's index of each fire module: (channels in, squeezed, expanded each way).
FIRES = {
    3: (64, 16, 64),
    4: (128, 16, 64),
    6: (128, 32, 128),
    7: (256, 32, 128),
    9: (256, 48, 192),
    10: (384, 48, 192),
    11: (384, 64, 256),
    12: (512, 64, 256),
}
POOL_BEFORE = (3, 6, 9)
CLASSIFIER = "classifier.1.weight"


class Fire(nn.Module):
    """Squeeze 1x1, then expand 1x1 and 3x3 side by side; every convolution with a ReLU."""

    def __init__(self, before: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, before, H, W) -> (N, 2 * expanded, H, W)."""
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.expand1x1(x)), F.relu(self.expand3x3(x))], 1)


class SqueezeNet(Backbone):
    """Features "relu1" (64 channels, stride 2) and "fire2" ... "fire9"; input RGB in [0, 1].

    "classes", ImageNet's scores (N, 1000, 1, 1) before softmax, where the file has the classifier.
    """

    layers = ("relu1", *(f"fire{i}" for i in range(2, 10)))

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, stride=2)
        self.fires = nn.ModuleDict({str(i): Fire(*sizes) for i, sizes in FIRES.items()})
        targets = {"features.0." + key: value for key, value in self.stem.state_dict().items()}
        targets |= {"features." + key: value for key, value in self.fires.state_dict().items()}
        shapes = {key: tuple(value.shape) for key, value in targets.items()}
        tensors = _weights.read(_weights.find(FILE, weights), FILE, shapes)
        with torch.no_grad():
            for key, value in targets.items():
                value.copy_(tensors[key])
        if CLASSIFIER in tensors:
            self.classifier = nn.Conv2d(512, len(tensors[CLASSIFIER]), 1)
            self.classifier.load_state_dict(
                {part: tensors[f"classifier.1.{part}"] for part in ("weight", "bias")}
            )
            self.layers = (*self.layers, "classes")
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor, layers: set[str]) -> dict[str, Tensor]:
        """Features of `layers` for images (N, 3, H, W) RGB in [0, 1], H and W at least 33."""
        features: dict[str, Tensor] = {}
        x = F.relu(self.stem((images - self.mean) / self.std))
        if "relu1" in layers:
            features["relu1"] = x
        for number, index in enumerate(FIRES, 2):
            if len(features) == len(layers):
                break
            if index in POOL_BEFORE:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            x = self.fires[str(index)](x)
            if f"fire{number}" in layers:
                features[f"fire{number}"] = x
        if "classes" in layers:
            features["classes"] = F.relu(self.classifier(x)).mean((2, 3), keepdim=True)
        return features


PLUGIN = SqueezeNet
