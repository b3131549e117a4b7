"""Gate 1: is it still the painting? Needs torch, our training package and a loss network."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from runtime.errors import EngineUnavailable, StyleError
from runtime.frame import Image

# Loss network of the gate: the low layers of the original VGG-19, which carry strokes and colors
# and are not the network our models are trained with. Gram matrices of these layers count alike.
BACKBONE, LAYERS = "vgg19_low", ("relu1_1", "relu2_1", "relu3_1")
# Frames that are judged, evenly spread: style changes slowly.
FRAMES = 3


def open_style_loss(weights: Path | None, style: Image) -> Callable[[Sequence[Image]], float]:
    """A function of pictures: mean over layers of |G - Gs|^2 / |Gs|^2, mean over FRAMES of them.

    Args:
        weights: folder with the backbone's file; None searches where training does.
        style: the painting, at the size it was trained with (shorter side 256 to 384).

    Raises:
        EngineUnavailable: torch is not installed.
    """
    try:
        import torch

        from training.backbones import open_backbone
        from training.losses.style import gram_matrix
    except ImportError as error:
        raise EngineUnavailable(
            f"the style gate needs torch ({error}); pip install torch"
        ) from None
    backbone = open_backbone(BACKBONE, weights)

    def grams(picture: Image) -> list:
        tensor = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None] / 255.0
        with torch.inference_mode():
            features = backbone(tensor, set(LAYERS))
            return [gram_matrix(features[layer]) for layer in LAYERS]

    target = grams(style)

    def loss(pictures: Sequence[Image]) -> float:
        chosen = np.unique(np.linspace(0, len(pictures) - 1, FRAMES).round().astype(int))
        values = [
            float(
                sum(
                    (g - s).square().sum() / s.square().sum()
                    for g, s in zip(gs, target, strict=True)
                )
            )
            / len(LAYERS)
            for gs in (grams(pictures[t]) for t in chosen)
        ]
        return float(np.mean(values))

    return loss


def try_style_loss(
    weights: Path | None, style: Image | None
) -> tuple[Callable[[Sequence[Image]], float] | None, str]:
    """The loss, or None and why it cannot be measured."""
    if style is None:
        return None, "no --style picture given"
    try:
        return open_style_loss(weights, style), ""
    except StyleError as error:
        return None, str(error)
