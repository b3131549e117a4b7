"""What the painting is to `training.optimize`: one or several, recolored, region by region."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from runtime.errors import UsageError

from .color_transfer import gray_style, luminance_only, match_histograms, to_yiq
from .data.images import load_image, recolored, to_bytes
from .objective import Objective

COLOR_MODES = ("covariance", "histogram", "luminance")


class Blend:
    """Several objectives as one: the mean of their totals by weight. Each painting costs a pass.

    Args:
        objectives: alike but for their painting, on one backbone.
        weights: one each, above 0; scaled to a sum of 1.
    """

    def __init__(self, objectives: Sequence[Objective], weights: Sequence[float]) -> None:
        self.objectives = list(objectives)
        self.weights = [weight / sum(weights) for weight in weights]

    def content_features(self, photos: Tensor) -> dict[str, Tensor]:
        """Those of the first objective; all agree."""
        return self.objectives[0].content_features(photos)

    def __call__(self, output: Tensor, content: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weighted means of every term and of the total."""
        found = [objective(output, content) for objective in self.objectives]
        return {
            name: sum(
                (w * values[name] for w, values in zip(self.weights, found, strict=True)),
                torch.zeros((), device=output.device),
            )
            for name in found[0]
        }


def prepare(painting: Tensor, photo: Tensor, mode: str | None) -> tuple[Tensor, Tensor]:
    """Painting and photo as the optimization sees them, for a way to keep the photo's colors.

    Args:
        painting, photo: (1, 3, H, W) RGB in [0, 1].
        mode: "covariance" and "histogram" recolor the painting, "luminance" makes both gray
            (finish with `restore`); None changes nothing.

    Raises:
        UsageError: unknown mode.

    Reference:
        Gatys et al. 2016 (arXiv:1606.05897), sections 5.1 and 5.2.
    """
    if mode is None:
        return painting, photo
    if mode == "covariance":
        return recolored(painting, [to_bytes(photo)]), photo
    if mode == "histogram":
        return match_histograms(painting, photo), photo
    if mode == "luminance":
        gray = to_yiq(photo)[:, :1].expand(-1, 3, -1, -1)
        return gray_style(painting, photo).clamp(0, 1), gray
    raise UsageError(f'no color mode "{mode}", allowed are {", ".join(COLOR_MODES)}')


def restore(image: Tensor, photo: Tensor, mode: str | None) -> Tensor:
    """Give a result of the mode "luminance" the photo's chroma; others pass through."""
    return luminance_only(image, photo).clamp(0, 1) if mode == "luminance" else image


def load_regions(pairs: Sequence[str]) -> tuple[Tensor, Tensor] | None:
    """Masks from "PHOTO_MASK:PAINTING_MASK" pairs: white is the region.

    Returns:
        (painting masks, photo masks), (1, R, H, W) in [0, 1] each, or None without pairs.

    Raises:
        UsageError: a pair without a colon, an unreadable mask, or masks of several sizes.
    """
    if not pairs:
        return None
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    for pair in pairs:
        photo, colon, painting = pair.partition(":")
        if not colon:
            raise UsageError(f'--region takes PHOTO_MASK:PAINTING_MASK, not "{pair}"')
        sides[0].append(load_image(Path(painting)).mean(1, keepdim=True))
        sides[1].append(load_image(Path(photo)).mean(1, keepdim=True))
    for masks, what in zip(sides, ("painting", "photo"), strict=True):
        sizes = {tuple(mask.shape[2:]) for mask in masks}
        if len(sizes) > 1:
            listed = ", ".join(f"{w}x{h}" for h, w in sorted(sizes))
            raise UsageError(f"the masks of the {what} have several sizes: {listed} px")
    return torch.cat(sides[0], 1), torch.cat(sides[1], 1)
