"""A folder of domains: one folder of pictures for each, named after it."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from runtime.errors import UsageError

from .images import Photos


class Domains:
    """Random squares of all domains in turn, with the number of the domain each is of.

    Args:
        folder: its folders, sorted by name, are the domains.
        short_side: px.
        limit: pictures to read of each; 0 reads all.
        seed: of the order in which they are shown.

    Attributes:
        names: of the domains.
        photos: `Photos` of each.
        skipped: unreadable files of all.

    Raises:
        UsageError: fewer than two folders, or one without a readable picture.
    """

    def __init__(self, folder: Path, short_side: int, limit: int = 0, seed: int = 0) -> None:
        found = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
        if len(found) < 2:
            raise UsageError(
                f'--content is a folder with a folder of pictures for each domain here, "{folder}" '
                f"has {len(found)} of them, at least 2 are needed"
            )
        self.names = tuple(path.name for path in found)
        self.photos = [
            Photos(path, short_side, limit, seed=seed + index) for index, path in enumerate(found)
        ]
        self.skipped = [path for photos in self.photos for path in photos.skipped]

    def batch(
        self, turn: int, count: int, crop: int, zoom: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Squares (count, 3, crop, crop) float32 RGB in [0, 1] and their domains (count,).

        Domains take turns, so that over time all are shown alike.
        """
        pictures: list[Tensor] = []
        labels: list[int] = []
        for place in range(turn * count, (turn + 1) * count):
            domain = place % len(self.photos)
            shown = place // len(self.photos)
            pictures.append(self.photos[domain].batch(shown, 1, crop, zoom, rng))
            labels.append(domain)
        return torch.cat(pictures), torch.tensor(labels)
