"""Pretrained feature extractors with one interface.

A backbone maps images (N, 3, H, W) RGB in [0, 1] to a dict of named features; each normalizes its
input itself. `metric(layer)` is the matrix in which distances between the layer's Gram matrices are
measured, or None for the plain Euclidean one (see `losses/gram.py`).
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from runtime.errors import UsageError
from runtime.plugins import load

from . import _weights
from ._chain import Chain


class Backbone(nn.Module):
    """Base of all feature extractors; frozen, in evaluation mode."""

    layers: tuple[str, ...] = ()

    def metric(self, layer: str) -> Tensor | None:
        """(C, C) symmetric matrix M, or None."""
        return None

    def check_layers(self, wanted: Iterable[str]) -> None:
        """Raise UsageError if a wanted layer does not exist in this backbone."""
        for layer in wanted:
            if layer not in self.layers:
                allowed = ", ".join(self.layers)
                raise UsageError(f'backbone has no layer "{layer}"; the layers are {allowed}')


# What takes the place of the recipes' usual loss network where its file is not at hand: losses are
# relative to the painting's own, so that their weights fit both.
USUAL, STAND_IN = "vgg19_16x", "vgg19"


def available(name: str, weights: Path | None) -> str:
    """A backbone's name, or that of its substitute if only that one's file is here.

    Args:
        name: as a recipe has it.
        weights: file or folder that was given.
    """
    from ._torchvision_vgg import file_name
    from .vgg19_16x import FILE

    if name != USUAL:
        return name
    if weights is not None and weights.is_file():
        return STAND_IN if weights.name == file_name(STAND_IN) else name
    for folder in [weights] if weights is not None else _weights.folders():
        for found, file in ((USUAL, FILE.name), (STAND_IN, file_name(STAND_IN))):
            if (folder / file).is_file():
                return found
    return name


def open_backbone(name: str, weights: str | Path | None = None, **options: Any) -> Backbone:
    """Build backbone `name` with weights from a file, or found by `weights.find`."""
    backbone = load(sys.modules[__name__], name)(weights, **options)
    return backbone.requires_grad_(False).eval()


def recompute(backbone: Backbone, wanted: bool) -> None:
    """Make a VGG-shaped backbone forget its activations until the backward pass needs them; others
    are small and stay as they are."""
    for module in backbone.modules():
        if isinstance(module, Chain):
            module.recompute = wanted
