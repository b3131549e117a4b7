"""Pairs of pictures of the same thing: a sketch and its photo, a map and its aerial view.

Two layouts are read: subfolders `A` and `B` with equal file names (suffixes may differ), or single
files with A in the left half and B in the right one, as the pix2pix data sets come.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from runtime.errors import UsageError

from .images import SUFFIXES, load_image, to_bytes, to_tensor


class Pairs:
    """Random squares at the same place of both pictures of a pair.

    Attributes:
        images: (input, output) pairs of (H, W, 3) uint8 RGB.
        skipped: files that could not be read, or have no partner.

    Raises:
        UsageError: the folder is missing, holds no pair, or a pair differs in size.
    """

    def __init__(self, folder: str | Path, short_side: int = 0, limit: int = 0) -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise UsageError(f'no folder of pairs "{folder}"')
        self.images: list[tuple[np.ndarray, np.ndarray]] = []
        self.skipped: list[Path] = []
        halves = (folder / "A").is_dir() and (folder / "B").is_dir()
        found = _files(folder / "A") if halves else _files(folder)
        for path in found[:limit] if limit else found:
            try:
                pair = _two_files(path, folder / "B") if halves else _two_halves(path)
            except (UsageError, FileNotFoundError):
                self.skipped.append(path)
                continue
            self._add(path, pair, short_side)
        if not self.images:
            raise UsageError(
                f'no pair in "{folder}" ({len(self.skipped)} files unusable): it needs subfolders A'
                " and B with equal names, or pictures with A on the left and B on the right"
            )

    def _add(self, path: Path, pair: tuple[Tensor, Tensor], short_side: int) -> None:
        first, second = pair
        if first.shape != second.shape:
            sizes = [f"{image.shape[3]}x{image.shape[2]}" for image in pair]
            raise UsageError(f"{path.name}: its pair is {sizes[1]} px, this is {sizes[0]} px")
        height, width = first.shape[2:]
        if short_side and short_side != min(height, width):
            factor = short_side / min(height, width)
            size = (round(height * factor), round(width * factor))
            first, second = (
                F.interpolate(image, size, mode="bilinear", antialias=True) for image in pair
            )
        self.images.append((to_bytes(first), to_bytes(second)))

    def batch(
        self, count: int, crop: int, zoom: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Two batches (count, 3, crop, crop) float32 RGB in [0, 1]; cut and flipped alike."""
        squares = []
        for _ in range(count):
            first, second = self.images[rng.integers(len(self.images))]
            both = torch.cat([to_tensor(first), to_tensor(second)], 1)
            height, width = both.shape[2:]
            side = int(min(height, width, crop * rng.uniform(1, max(1.0, zoom))))
            top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
            square = both[:, :, top : top + side, left : left + side]
            if side != crop:
                square = F.interpolate(square, (crop, crop), mode="bilinear", antialias=True)
            squares.append(square.flip(3) if rng.random() < 0.5 else square)
        both = torch.cat(squares).clamp_(0, 1)
        return both[:, :3].contiguous(), both[:, 3:].contiguous()


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _two_files(path: Path, others: Path) -> tuple[Tensor, Tensor]:
    partners = [p for p in _files(others) if p.stem == path.stem]
    if not partners:
        raise FileNotFoundError(path)
    return load_image(path), load_image(partners[0])


def _two_halves(path: Path) -> tuple[Tensor, Tensor]:
    image = load_image(path)
    half = image.shape[3] // 2
    if not half:
        raise FileNotFoundError(path)
    return image[:, :, :, :half], image[:, :, :, half : 2 * half]
