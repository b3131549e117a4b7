"""What a discriminator answers, whatever its shape."""

from typing import NamedTuple

from torch import Tensor, nn


class Scores(NamedTuple):
    """Of a batch of N pictures.

    Attributes:
        maps: a tensor of scores (N, ...) for each scale; real pictures should score high.
        features: activations of the layers before, all scales; empty if none are shown.
        classes: (N, K) logits of the K domains a picture may be of, or None.
    """

    maps: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()
    classes: Tensor | None = None


def scores_of(discriminator: nn.Module, images: Tensor) -> Scores:
    """What `discriminator` says of images (N, C, H, W), whether it answers `Scores` or one map."""
    found = discriminator(images)
    return found if isinstance(found, Scores) else Scores((found,))
