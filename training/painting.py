"""A trained generator as a function on pictures, of any size."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.no_grad()
def paint(generator: nn.Module, images: Tensor) -> Tensor:
    """What a generator makes of pictures.

    Args:
        generator: in evaluation mode; its `multiple_of` (default 1) is what sides must divide by.
        images: (N, 3, H, W) in [0, 1]; sides that do not fit are padded by repeating the edge.

    Returns:
        the same shape, clamped to [0, 1].
    """
    step = int(getattr(generator, "multiple_of", 1))
    height, width = images.shape[2:]
    padded = F.pad(images, (0, -width % step, 0, -height % step), mode="replicate")
    return generator(padded)[:, :, :height, :width].clamp(0, 1)
