"""Two folders of pictures that show different things: photos and paintings, horses and zebras."""

from pathlib import Path

import numpy as np
from torch import Tensor

from .images import Photos


class Unpaired:
    """Independent random squares of two folders; `enlarge` (see `Photos`) is for the first.

    Attributes:
        first, second: the two domains, `Photos` each.
        skipped: unreadable files of both.

    Raises:
        UsageError: a folder is missing or holds no readable picture.
    """

    def __init__(
        self,
        first: Path,
        second: Path,
        short_side: int,
        limit: int = 0,
        enlarge: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.first = Photos(first, short_side, limit, enlarge, seed)
        # In another order, or folders of one size would always show the same two together.
        self.second = Photos(second, short_side, limit, seed=seed + 1)
        self.skipped = [*self.first.skipped, *self.second.skipped]

    def batch(
        self, step: int, count: int, crop: int, zoom: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Two batches (count, 3, crop, crop) float32 RGB in [0, 1]; no pair belongs together."""
        return (
            self.first.batch(step, count, crop, zoom, rng),
            self.second.batch(step, count, crop, zoom, rng),
        )
