"""A pool of earlier pictures, so that a discriminator does not forget what it once saw through."""

import numpy as np
import torch
from torch import Tensor


class ImagePool:
    """Keeps up to `size` made pictures and gives back old ones half of the time.

    Args:
        size: 50 in CycleGAN; 0 gives every picture back at once.

    Reference:
        Shrivastava et al., CVPR 2017 (arXiv:1612.07828), section 2.3; Zhu et al., ICCV 2017.
    """

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def swap(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """As many pictures as came in: each is new, or an old one whose place the new one takes."""
        if not self.size:
            return images
        given = []
        for image in images.detach():
            if len(self.images) < self.size:
                self.images.append(image.clone())
                given.append(image)
            elif rng.random() < 0.5:
                place = int(rng.integers(self.size))
                given.append(self.images[place])
                self.images[place] = image.clone()
            else:
                given.append(image)
        return torch.stack(given)

    def tensors(self) -> dict[str, Tensor]:
        """What a resume needs."""
        return {"images": torch.stack(self.images)} if self.images else {}

    def restore(self, tensors: dict[str, Tensor], device: str = "cpu") -> None:
        """Put back what `tensors` gave."""
        self.images = [image.to(device) for image in tensors.get("images", [])]
