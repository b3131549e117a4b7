"""Photos held in memory as bytes, cut into random squares."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from runtime.errors import UsageError
from runtime.model.effects import match_colors
from runtime.pictures.opening import decoding, open_picture

from .epochs import shown

WHOLE = slice(None)  # all rows of a batch
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
# Squares that differ by less from their mean are drawn again, up to so many times: nothing is to be
# learned of one color, and each instance normalization multiplies its gradient by up to
# 1 / sqrt(1e-5). Eleven of them made 1e34 of it, and clipping a direction of nothing.
FLAT = 1.0  # standard deviation in levels of 255, of the color that varies most
TRIES = 8
LOOKED_AT = 4  # every fourth pixel, both ways


def load_image(path: str | Path, short_side: int = 0) -> Tensor:
    """Read a picture as (1, 3, H, W) float32 RGB in [0, 1], EXIF orientation applied.

    Args:
        short_side: resize (Lanczos) so that the shorter side is this many px; 0 keeps the size.

    Raises:
        UsageError: not there, or not a picture.
    """
    return to_tensor(_read(Path(path), short_side))


def to_tensor(image: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [0, 1]."""
    return torch.from_numpy(image.transpose(2, 0, 1).copy()).float().div_(255)[None]


def to_bytes(images: Tensor) -> np.ndarray:
    """First image of (N, 3, H, W) in [0, 1], clamped and rounded -> (H, W, 3) uint8."""
    scaled = images[0].detach().float().clamp(0, 1).mul(255).add(0.5)
    return scaled.to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def _read(path: Path, short_side: int) -> np.ndarray:
    with open_picture(path) as file, decoding(path):
        image = ImageOps.exif_transpose(file).convert("RGB")
    if short_side:
        factor = short_side / min(image.size)
        size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image)


def recolored(painting: Tensor, photos: list[np.ndarray]) -> Tensor:
    """The painting with the photos' mean color and color covariance.

    A network trained on it paints with the strokes of the painting and keeps the photos' colors
    (Gatys et al. 2016, "Preserving color in neural artistic style transfer", section 3.1).

    Args:
        painting: (1, 3, H, W) RGB in [0, 1].
        photos: (H, W, 3) uint8 RGB each; every eighth pixel of them is looked at.
    """
    colors = np.concatenate([photo[::8, ::8].reshape(-1, 1, 3) for photo in photos])
    image = painting[0].permute(1, 2, 0).contiguous().numpy()
    moved = match_colors(image, colors.astype(np.float32) / np.float32(255))
    return torch.from_numpy(moved).permute(2, 0, 1)[None].contiguous()


class Photos:
    """All photos of a folder, resized to one short side; gives batches of random squares.

    Args:
        folder: of photos, with all folders below.
        short_side: px.
        limit: photos to read; 0 reads all.
        enlarge: half of the squares are cut up to this many times smaller than asked for and
            enlarged: what a camera's full frame looks like, smooth where small photos are sharp.
        flip: half of the squares left for right; not for letters and digits.

    Attributes:
        images: (H, W, 3) uint8 RGB each.
        skipped: files that could not be read.
        seed: of the order in which they are shown (`epochs.shown`).

    Raises:
        UsageError: the folder is missing or holds no readable photo.
    """

    def __init__(
        self,
        folder: str | Path,
        short_side: int = 320,
        limit: int = 0,
        enlarge: float = 1.0,
        seed: int = 0,
        flip: bool = True,
    ) -> None:
        folder = Path(folder)
        self.enlarge, self.seed, self.flip = enlarge, seed, flip
        if not folder.is_dir():
            raise UsageError(f'no folder of photos "{folder}"')
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
        self.images: list[np.ndarray] = []
        self.skipped: list[Path] = []
        for path in paths[:limit] if limit else paths:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    self.images.append(_read(path, short_side))
            except UsageError:
                self.skipped.append(path)
        if not self.images:
            kinds = ", ".join(sorted(SUFFIXES))
            raise UsageError(
                f'no readable photo in "{folder}" ({len(self.skipped)} unreadable); '
                f"photos are files ending in {kinds}"
            )

    def batch(
        self,
        step: int,
        count: int,
        crop: int,
        zoom: float,
        rng: np.random.Generator,
        own: slice = WHOLE,
    ) -> Tensor:
        """Random squares, of `crop` to `crop * zoom` px before resizing, flipped half of the time;
        half of them smaller ones instead where `enlarge` says so. Each photo is shown once per
        epoch, and by squares of more than one color if it has any.

        Args:
            step: of the run.
            count: pictures in every batch.
            crop, zoom: see above.
            rng: draws the squares; the same numbers are drawn whatever `own` is.
            own: rows that are wanted; the others are black.

        Returns:
            (count, 3, crop, crop) float32 RGB in [0, 1].
        """
        batch = torch.zeros(count, 3, crop, crop)
        wanted = range(count)[own]
        for row, index in enumerate(shown(step, count, len(self.images), self.seed)):
            image = self.images[index]
            found = image[random_square(image, crop * self._factor(zoom, rng), rng)]
            flipped = rng.random() < 0.5 and self.flip
            if row in wanted:
                square = resized(to_tensor(found), crop)
                batch[row] = (square.flip(3) if flipped else square)[0]
        return batch.clamp_(0, 1)

    def _factor(self, zoom: float, rng: np.random.Generator) -> float:
        if self.enlarge > 1 and rng.random() < 0.5:
            return 1 / rng.uniform(1, self.enlarge)
        return rng.uniform(1, max(1.0, zoom))


def random_square(image: np.ndarray, side: float, rng: np.random.Generator) -> tuple[slice, slice]:
    """Rows and columns of a square of (H, W, C) uint8, `side` px or as large as fits, of more than
    one color if `TRIES` places have one."""
    height, width = image.shape[:2]
    size = int(min(height, width, side))
    for _ in range(TRIES):
        top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
        place = slice(top, top + size), slice(left, left + size)
        if image[place][::LOOKED_AT, ::LOOKED_AT].std((0, 1)).max() >= FLAT:
            break
    return place


def resized(square: Tensor, crop: int) -> Tensor:
    """(1, 3, side, side) at (1, 3, crop, crop)."""
    side = square.shape[2]
    if side == crop:
        return square
    # A straight line between pixels, enlarged, has kinks on a grid that can be learned.
    mode = "bilinear" if side > crop else "bicubic"
    return F.interpolate(
        square, (crop, crop), mode=mode, antialias=side > crop, align_corners=False
    )


def input_noise(
    shape: tuple[int, int, int], deviation: float, rng: np.random.Generator, cell: int = 16
) -> Tensor:
    """Band-limited noise that gives a network something to paint strokes from in flat areas.

    Gaussian noise on a grid of `cell` px, enlarged bicubically. Noise as an input goes back to
    texture networks (Ulyanov et al. 2016); seeding the photo of a Johnson-type network is our
    variation. A cell of 16 px gives long strokes, white noise does little.

    Args:
        shape: (N, H, W).
        deviation: standard deviation of the grid values, in image units.

    Returns:
        (N, 3, H, W) to be added to images in [0, 1].
    """
    n, height, width = shape
    rows, columns = height // cell + 3, width // cell + 3
    grid = torch.from_numpy(rng.standard_normal((n, 3, rows, columns), dtype=np.float32))
    large = F.interpolate(grid, scale_factor=cell, mode="bicubic", align_corners=False)
    half = cell // 2
    return deviation * large[:, :, half : half + height, half : half + width]
