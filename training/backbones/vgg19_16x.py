"""VGG-19 compressed 16 times by collaborative distillation: our default loss network on CPU.

Wang, Li, Wang, Hu, Yang, CVPR 2020 (arXiv:2003.08436). As a loss network it is 4-5 times cheaper
than VGG-19 and ranks pictures alike; its Gram distances are measured in the full network's channels
through the 1x1 `aux` matrices Q, which costs nothing: |Q D Q'|^2 = tr(M D M D) with M = Q'Q.
"""

from pathlib import Path

from torch import Tensor, nn

from . import Backbone, _weights
from ._chain import Chain, vgg_channels, vgg_sequence

FILE = _weights.WeightFile(
    "vgg19_16x_encoder_relu5_1.safetensors",
    "a8b169d34a130a56706a613559ae346c62872a1cd09535e6f04c6aeec11c39fb",
    "MingSun-Tse/Collaborative-Distillation (trained_models/wct_se_16x_new, MIT), as safetensors",
)
SEQUENCE = vgg_sequence([2, 2, 4, 4, 1])
WIDTHS = (16, 32, 64, 128, 128)
TAUGHT = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}


def _conv_key(layer: str) -> str:
    return "conv" + layer[4:].replace("_", "")


class Vgg19Compressed(Backbone):
    """Features relu1_1 ... relu5_1 (16, 32, 64, 128, 128 channels); input RGB in [0, 1].

    `conv0`, a fine-tuned 1x1 convolution, maps RGB to the BGR-minus-mean that VGG expects.
    """

    layers = tuple(name for name in SEQUENCE if name != "pool")

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__()
        channels = vgg_channels(SEQUENCE, WIDTHS)
        self.conv0 = nn.Conv2d(3, 3, 1)
        self.chain = Chain(SEQUENCE, channels)
        shapes: dict[str, tuple[int, ...]] = {"conv0.weight": (3, 3, 1, 1), "conv0.bias": (3,)}
        for name, (before, after) in channels.items():
            shapes[_conv_key(name) + ".weight"] = (after, before, 3, 3)
            shapes[_conv_key(name) + ".bias"] = (after,)
        for name, taught in TAUGHT.items():
            shapes[_conv_key(name) + "_aux.weight"] = (taught, channels[name][1], 1, 1)
        tensors = _weights.read(_weights.find(FILE, weights), FILE, shapes)
        self.conv0.load_state_dict(
            {"weight": tensors["conv0.weight"], "bias": tensors["conv0.bias"]}
        )
        for name, conv in self.chain.convs.items():
            key = _conv_key(name)
            conv.load_state_dict(
                {"weight": tensors[key + ".weight"], "bias": tensors[key + ".bias"]}
            )
        for name in TAUGHT:
            q = tensors[_conv_key(name) + "_aux.weight"].flatten(1)
            self.register_buffer("metric_" + name, q.T @ q, persistent=False)

    def forward(self, images: Tensor, layers: set[str]) -> dict[str, Tensor]:
        """Features of `layers` for images (N, 3, H, W) RGB in [0, 1]."""
        return self.chain(self.conv0(images), layers)

    def metric(self, layer: str) -> Tensor | None:
        """Q'Q of the layer's `aux` matrix, for the layers that were taught to mimic VGG-19."""
        return getattr(self, "metric_" + layer, None)


PLUGIN = Vgg19Compressed
