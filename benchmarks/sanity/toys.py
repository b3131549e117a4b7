"""Pictures whose right translation is known: smooth blobs in warm colors, and maps of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from runtime.frame import Image

SIDE = 32  # px
Change = Callable[[Image], Image]


def warm(rng: np.random.Generator) -> np.ndarray:
    """A color with much red and little blue: no hue turn and no negative looks the same."""
    return rng.uniform([0.55, 0.25, 0.0], [0.95, 0.6, 0.3])


def blobs(rng: np.random.Generator, side: int = SIDE) -> Image:
    """Two smooth blobs on a plain ground, all warm."""
    rows, columns = np.mgrid[:side, :side] / side
    image = np.ones((side, side, 3)) * warm(rng)
    for _ in range(2):
        y, x, size = rng.uniform([0, 0, 0.02], [1, 1, 0.1])
        blob = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / size)[..., None]
        image = image * (1 - blob) + warm(rng) * blob
    return (image * 255).astype(np.uint8)


def same(image: Image) -> Image:
    """The picture as it is: the first domain."""
    return image


def negative(image: Image) -> Image:
    """Bright for dark."""
    return 255 - image


def hue_turned(image: Image) -> Image:
    """Red becomes green, green blue, blue red."""
    return image[..., [2, 0, 1]]


def striped(image: Image) -> Image:
    """Every second pair of rows darker.

    Across, because training flips left and right: upright ones would exist in two phases. Period 4:
    a network at 1/4 resolution can paint it on flat ground, where 8 has no phase.
    """
    stripes = (np.arange(image.shape[0]) // 2 % 2)[:, None, None]
    return (image * (0.6 + 0.4 * stripes)).astype(np.uint8)


MAPS: dict[str, Change] = {"hue": hue_turned, "negative": negative, "stripes": striped}


def pictures(count: int, change: Change, seed: int) -> list[Image]:
    """`count` changed pictures; the same seed gives the same pictures to every map."""
    rng = np.random.default_rng(seed)
    return [np.ascontiguousarray(change(blobs(rng))) for _ in range(count)]


def write_domain(folder: Path, count: int, change: Change, seed: int) -> Path:
    """`pictures` as files."""
    folder.mkdir(parents=True)
    for index, image in enumerate(pictures(count, change, seed)):
        Picture.fromarray(image).save(folder / f"{index:02d}.png")
    return folder


def describe(images: np.ndarray) -> np.ndarray:
    """(n, H, W, 3) in [0, 1] -> (n, 54): colors of 4x4 thumbnails, and fine detail each way.

    A proxy of Inception's features, which say nothing about pictures this small.
    """
    n, height, width, _ = images.shape
    cells = images.reshape(n, 4, height // 4, 4, width // 4, 3).mean((2, 4)).reshape(n, -1)
    across = np.abs(images[:, :, 2:] - images[:, :, :-2]).mean((1, 2))
    down = np.abs(images[:, 2:] - images[:, :-2]).mean((1, 2))
    return np.concatenate([cells, 4 * across, 4 * down], 1).astype(np.float64)
