"""VGG-19 with torchvision's ImageNet weights: the loss network of Gatys et al. 2016."""

from pathlib import Path

from ._torchvision_vgg import TorchvisionVgg


class Vgg19(TorchvisionVgg):
    """Features relu1_1 ... relu5_4."""

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__("vgg19", [2, 2, 4, 4, 4], weights)


PLUGIN = Vgg19
