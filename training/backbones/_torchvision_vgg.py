"""VGG-16 and VGG-19 as torchvision knows them; one class for both."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from runtime.card import JsonObject
from runtime.errors import EngineUnavailable, UsageError

from . import Backbone, _weights
from ._chain import Chain, vgg_channels, vgg_sequence
from ._torchvision import import_torchvision

WIDTHS = (64, 128, 256, 512, 512)
MEAN = (0.485, 0.456, 0.406)  # torchvision's ImageNet statistics, RGB in [0, 1]
DEVIATION = (0.229, 0.224, 0.225)


class TorchvisionVgg(Backbone):
    """Features of every ReLU of a VGG without batch normalization; input RGB in [0, 1].

    Args:
        name: torchvision's name, "vgg16" or "vgg19".
        blocks: convolutions per block.
        weights: a state dict file (.pth or .safetensors) with torchvision's keys, or a folder that
            holds it; when None, the file that `training.fetch_weights` wrote, or else torchvision
            downloads its own ImageNet weights.
    """

    def __init__(self, name: str, blocks: Sequence[int], weights: str | Path | None) -> None:
        super().__init__()
        sequence = vgg_sequence(blocks)
        self.layers = tuple(layer for layer in sequence if layer != "pool")
        self.chain = Chain(sequence, vgg_channels(sequence, WIDTHS))
        tensors = _state_dict(name, weights)
        # torchvision counts convolution, ReLU and pool alike: features.0, .2, (pool 4) .5, ...
        index = 0
        for layer in sequence:
            if layer == "pool":
                index += 1
                continue
            keys = {part: f"features.{index}.{part}" for part in ("weight", "bias")}
            try:
                self.chain.convs[layer].load_state_dict({p: tensors[k] for p, k in keys.items()})
            except (KeyError, RuntimeError) as error:
                raise UsageError(
                    f"{weights or 'the download'} is not torchvision's {name}: {error}"
                ) from None
            index += 2
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor, layers: set[str]) -> dict[str, Tensor]:
        """Features of `layers` for images (N, 3, H, W) RGB in [0, 1]."""
        return self.chain((images - self.mean) / self.std, layers)


def file_name(name: str) -> str:
    """What `training.fetch_weights` calls the weights of "vgg16" or "vgg19"."""
    return f"{name}_imagenet.safetensors"


def _state_dict(name: str, weights: str | Path | None) -> JsonObject:
    if weights is not None and Path(weights).is_dir():
        weights = Path(weights) / file_name(name)
    if weights is None:
        fetched = [folder / file_name(name) for folder in _weights.folders()]
        weights = next((path for path in fetched if path.is_file()), None)
    if weights is None:
        models = import_torchvision("torchvision.models")
        try:
            return models.get_model(name, weights="IMAGENET1K_V1").state_dict()
        except OSError as error:  # URLError is one
            raise EngineUnavailable(
                f"torchvision could not download the weights of {name} ({error}); "
                "python -m training.fetch_weights says what to do offline"
            ) from None
    path = Path(weights)
    if not path.is_file():
        raise UsageError(f'no weight file "{path}"')
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        # weights_only: a pickle could run code; torchvision's files hold plain tensors.
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UsageError(f"{path} is not a torch state dict ({type(error).__name__})") from None
