"""What painted pictures are measured by: Gram distances to a painting, distances to a photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.frame import Image

if TYPE_CHECKING:
    from torch import Tensor

    from training.backbones import Backbone

# Texture is style on these, forms are style on the deepest: relu5_1 sees 252 px of a picture.
TEXTURE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
FORMS = ("relu5_1",)
CONTENT, DETAIL = "relu4_1", "relu2_1"
COARSER = 4  # a hand's width of strokes becomes one of hatching
STYLE_SIZE = 512  # px, short side of the painting; what our recipes paint with
BORDER = 40  # px left out: what a network paints because nothing lies beyond is another measure
BACKBONE = "vgg19_16x"

Grams = dict[str, "Tensor"]


@dataclass(frozen=True)
class Yardstick:
    """A painting's Gram matrices, and the loss network that made them.

    Attributes:
        backbone: loss network.
        fine, coarse: layer -> (1, C, C), of the painting and of the painting `COARSER` times
            smaller.
    """

    backbone: "Backbone"
    fine: Grams
    coarse: Grams

    def measure(self, picture: Image, photo: Image) -> dict[str, float]:
        """Figures of one picture; smaller is nearer.

            style   mean over relu1_1 to relu4_1 of |G - Gs|^2 / |Gs|^2
            coarse  the same of picture and painting reduced four times
            forms   the same at relu5_1
            content |F - Fc|^2 / |Fc|^2 at relu4_1, and "detail" at relu2_1

        with G, F of the picture, Gs of the painting at 512 px, Fc of the photo.

        Args:
            picture, photo: (H, W, 3) uint8 of one size; `BORDER` px on every side are left out.

        Raises:
            ValueError: sizes differ, or nothing is left within the border.
        """
        import torch

        from training.losses.content import content_distance

        if picture.shape != photo.shape or min(picture.shape[:2]) <= 2 * BORDER:
            raise ValueError(f"picture {picture.shape} and photo {photo.shape} do not compare")
        with torch.inference_mode():
            painted, source = _inner(picture), _inner(photo)
            found = self.backbone(painted, {*TEXTURE, *FORMS, CONTENT, DETAIL})
            wanted = self.backbone(source, {CONTENT, DETAIL})
            fine = _grams(found)
            coarse = _grams(self.backbone(_smaller(painted), set(TEXTURE)))
            return {
                "style": self._distance(fine, self.fine, TEXTURE),
                "coarse": self._distance(coarse, self.coarse, TEXTURE),
                "forms": self._distance(fine, self.fine, FORMS),
                "content": float(content_distance(found[CONTENT], wanted[CONTENT])),
                "detail": float(content_distance(found[DETAIL], wanted[DETAIL])),
            }

    def _distance(self, grams: Grams, target: Grams, layers: Sequence[str]) -> float:
        from training.losses.style import gram_energy

        parts = []
        for layer in layers:
            metric = self.backbone.metric(layer)
            difference = gram_energy(grams[layer] - target[layer], metric)
            parts.append(float(difference / gram_energy(target[layer], metric)))
        return float(np.mean(parts))


def open_yardstick(painting: Path, weights: Path | None = None) -> Yardstick:
    """The yardstick of one painting.

    Args:
        painting: picture file.
        weights: folder of the loss network's weights; None looks them up.

    Raises:
        UsageError: no such picture, or no weights.
    """
    import torch

    from training.backbones import open_backbone
    from training.data.images import load_image

    backbone = open_backbone(BACKBONE, weights)
    with torch.inference_mode():
        picture = load_image(painting, STYLE_SIZE)
        fine = _grams(backbone(picture, {*TEXTURE, *FORMS}))
        coarse = _grams(backbone(_smaller(picture), set(TEXTURE)))
    return Yardstick(backbone, fine, coarse)


def _grams(features: Mapping[str, "Tensor"]) -> Grams:
    from training.losses.style import gram_matrix

    return {layer: gram_matrix(maps) for layer, maps in features.items()}


def _smaller(picture: "Tensor") -> "Tensor":
    from torch.nn import functional as F

    return F.avg_pool2d(picture, COARSER)


def _inner(picture: Image) -> "Tensor":
    from training.data.images import to_tensor

    return to_tensor(np.ascontiguousarray(picture[BORDER:-BORDER, BORDER:-BORDER]))
