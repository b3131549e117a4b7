"""VGG-16 with torchvision's ImageNet weights: the loss network of Johnson et al. 2016."""

from pathlib import Path

from ._torchvision_vgg import TorchvisionVgg


class Vgg16(TorchvisionVgg):
    """Features relu1_1 ... relu5_3."""

    def __init__(self, weights: str | Path | None = None) -> None:
        super().__init__("vgg16", [2, 2, 3, 3, 3], weights)


PLUGIN = Vgg16
