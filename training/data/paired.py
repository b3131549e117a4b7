"""Pairs of pictures of the same thing: a sketch and its photo, a map and its aerial view.

Two layouts are read: subfolders `before` and `after`, or `A` and `B`, with equal file names
(suffixes may differ), or single files with the two side by side, as the pix2pix data sets come.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from runtime.errors import UsageError

from .epochs import shown
from .images import SUFFIXES, load_image, to_bytes, to_tensor

# Names of the two subfolders.
SIDES = (("before", "after"), ("A", "B"))
# Shapes (width to height) of a pair may differ by this share: editors round sizes to multiples.
SHAPES_DIFFER = 0.02


class Pairs:
    """Random squares at the same place of both pictures of a pair.

    Attributes:
        images: (input, output) pairs of (H, W, 3) uint8 RGB.
        names: of the pairs, in order.
        skipped: file -> why there is no pair of it: it could not be read, has no partner, or one of
            another shape (sizes of one shape are brought to the first's).

    Raises:
        UsageError: the folder is missing or holds no pair.
    """

    mirrored = True  # half of the squares
    seed = 0  # of the order in which they are shown (`epochs.shown`)

    def __init__(
        self, folder: str | Path, short_side: int = 0, limit: int = 0, seed: int = 0
    ) -> None:
        folder, self.seed = Path(folder), seed
        if not folder.is_dir():
            raise UsageError(f'no folder of pairs "{folder}"')
        self.images: list[tuple[np.ndarray, np.ndarray]] = []
        self.names: list[str] = []
        self.skipped: dict[Path, str] = {}
        sides = next((s for s in SIDES if all((folder / name).is_dir() for name in s)), None)
        found = _files(folder / sides[0]) if sides else _files(folder)
        partners = {path.stem: path for path in _files(folder / sides[1])} if sides else {}
        for path in found[:limit] if limit else found:
            try:
                pair = _two_files(path, partners) if sides else _two_halves(path)
                self._add(pair, short_side)
            except UsageError as error:
                self.skipped[path] = str(error)
                continue
            self.names.append(path.stem)
        if not self.images:
            first = next((f", the first: {why}" for why in self.skipped.values()), "")
            raise UsageError(
                f'no pair in "{folder}" ({len(self.skipped)} files unusable{first}): it needs '
                "subfolders before and after with equal names, or pictures with the two side by "
                "side"
            )

    def drop(self, names: Iterable[str]) -> None:
        """Leave pairs out."""
        gone = set(names)
        kept = [at for at, name in enumerate(self.names) if name not in gone]
        self.images = [self.images[at] for at in kept]
        self.names = [self.names[at] for at in kept]

    def _add(self, pair: tuple[Tensor, Tensor], short_side: int) -> None:
        first, second = pair
        height, width = first.shape[2:]
        rows, columns = second.shape[2:]
        if abs(columns * height / (rows * width) - 1) > SHAPES_DIFFER:
            raise UsageError(f"its pair is {columns}x{rows} px, this is {width}x{height} px")
        if first.shape != second.shape:
            second = F.interpolate(second, (height, width), mode="bilinear", antialias=True)
        if short_side and short_side != min(height, width):
            factor = short_side / min(height, width)
            size = (round(height * factor), round(width * factor))
            first, second = (
                F.interpolate(image, size, mode="bilinear", antialias=True) for image in pair
            )
        self.images.append((to_bytes(first), to_bytes(second)))

    def batch(
        self, step: int, count: int, crop: int, zoom: float, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Two batches (count, 3, crop, crop) float32 RGB in [0, 1]; cut and flipped alike, each
        pair shown once per epoch."""
        squares = []
        for index in shown(step, count, len(self.images), self.seed):
            pair = self.images[index]
            height, width = pair[0].shape[:2]
            side = int(min(height, width, crop * rng.uniform(1, max(1.0, zoom))))
            top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
            inside = slice(top, top + side), slice(left, left + side)
            square = torch.cat([to_tensor(image[inside]) for image in pair], 1)
            if side != crop:
                square = F.interpolate(square, (crop, crop), mode="bilinear", antialias=True)
            mirror = self.mirrored and rng.random() < 0.5
            squares.append(square.flip(3) if mirror else square)
        both = torch.cat(squares).clamp_(0, 1)
        return both[:, :3].contiguous(), both[:, 3:].contiguous()


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)


def _two_files(path: Path, partners: dict[str, Path]) -> tuple[Tensor, Tensor]:
    if path.stem not in partners:
        raise UsageError("it has no partner of its name")
    return load_image(path), load_image(partners[path.stem])


def _two_halves(path: Path) -> tuple[Tensor, Tensor]:
    image = load_image(path)
    half = image.shape[3] // 2
    if not half:
        raise UsageError("it is one pixel wide, which is no two pictures")
    return image[:, :, :, :half], image[:, :, :, half : 2 * half]
