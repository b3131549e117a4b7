"""The first eight convolutions (relu1_1 ... relu3_4) of the original Caffe VGG-19.

Simonyan and Zisserman 2014. Its low layers carry strokes and color; relu4_1 and deeper are absent,
so it serves as the second opinion on pictures trained with another backbone.
"""

from pathlib import Path

import torch
from torch import Tensor

from . import Backbone, _weights
from ._chain import Chain, vgg_channels, vgg_sequence

FILE = _weights.WeightFile(
    "vgg19_conv1_1_to_conv3_4.safetensors",
    "c52292a0649aac400af9b24982666139b5cb8c40919901f941c256d10d682742",
    "the VGG authors' Caffe weights (CC BY 4.0), first eight convolutions, as safetensors",
)
SEQUENCE = vgg_sequence([2, 2, 4])
WIDTHS = (64, 128, 256)
MEAN_BGR = (103.939, 116.779, 123.68)  # ImageNet mean of the Caffe release, range 0..255


class Vgg19Low(Backbone):
    """Features relu1_1 ... relu3_4 (64, 64, 128, 128, 256 x 4 channels); input RGB in [0, 1]."""

    layers = tuple(name for name in SEQUENCE if name != "pool")

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        channels = vgg_channels(SEQUENCE, WIDTHS)
        self.chain = Chain(SEQUENCE, channels)
        shapes: dict[str, tuple[int, ...]] = {}
        for name, (before, after) in channels.items():
            shapes["conv" + name[4:] + ".weight"] = (after, before, 3, 3)
            shapes["conv" + name[4:] + ".bias"] = (after,)
        tensors = _weights.read(_weights.find(FILE, weights), FILE, shapes)
        for name, conv in self.chain.convs.items():
            key = "conv" + name[4:]
            conv.load_state_dict(
                {"weight": tensors[key + ".weight"], "bias": tensors[key + ".bias"]}
            )
        self.register_buffer("mean", torch.tensor(MEAN_BGR).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor, layers: set[str]) -> dict[str, Tensor]:
        """Features of `layers` for images (N, 3, H, W) RGB in [0, 1]."""
        return self.chain(images.flip(1) * 255 - self.mean, layers)


PLUGIN = Vgg19Low
