"""Shapes whose right answers are known: outlines that are filled with one of two colors, and gray
pictures whose colored form has one hue."""

import colorsys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as Picture

from runtime.frame import Image

SIDE = 32  # px
ORANGE, BLUE = (235, 130, 40), (40, 90, 210)  # the two right fillings, RGB
LINE = 2  # px


def outline(rng: np.random.Generator) -> tuple[Image, np.ndarray]:
    """A black outline on white (SIDE, SIDE, 3), and the mask of what it encloses."""
    canvas = np.full((SIDE, SIDE, 3), 255, np.uint8)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    x, y = (int(v) for v in rng.integers(11, SIDE - 11, 2))
    width, height = (int(v) for v in rng.integers(6, 10, 2))
    if rng.random() < 0.5:
        cv2.ellipse(mask, (x, y), (width, height), 0, 0, 360, 1, -1)
        cv2.ellipse(canvas, (x, y), (width, height), 0, 0, 360, (0, 0, 0), LINE)
    else:
        corners = ((x - width, y - height), (x + width, y + height))
        cv2.rectangle(mask, *corners, 1, -1)
        cv2.rectangle(canvas, *corners, (0, 0, 0), LINE)
    return canvas, mask


def filled(canvas: Image, mask: np.ndarray, color: tuple[int, int, int]) -> Image:
    """The outline with its inside in one color."""
    white = (canvas > 127).all(2)
    return np.where((mask.astype(bool) & white)[..., None], np.array(color, np.uint8), canvas)


def outlines(count: int, seed: int) -> list[tuple[Image, np.ndarray]]:
    """`count` outlines with their masks."""
    rng = np.random.default_rng(seed)
    return [outline(rng) for _ in range(count)]


def write_pairs(folder: Path, count: int, seed: int) -> Path:
    """Outlines in `A/`, each filled with one of the two colors, by chance, in `B/`."""
    rng = np.random.default_rng(seed + 1)
    for side in "AB":
        (folder / side).mkdir(parents=True)
    for index, (canvas, mask) in enumerate(outlines(count, seed)):
        color = ORANGE if rng.random() < 0.5 else BLUE
        Picture.fromarray(canvas).save(folder / "A" / f"{index:03d}.png")
        Picture.fromarray(filled(canvas, mask, color)).save(folder / "B" / f"{index:03d}.png")
    return folder


def hills(rng: np.random.Generator) -> np.ndarray:
    """Brightness (SIDE, SIDE) in 0.25..0.9: three smooth hills."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    ground = np.full((SIDE, SIDE), rng.uniform(0.3, 0.5))
    for _ in range(3):
        y, x, size = rng.uniform([0, 0, 0.02], [1, 1, 0.08])
        ground += rng.uniform(-0.2, 0.4) * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / size)
    return np.clip(ground, 0.25, 0.9)


def tinted(brightness: np.ndarray, hue: float) -> Image:
    """Brightness (H, W) as the value of one hue (degrees), saturation 0.8."""
    color = np.array(colorsys.hsv_to_rgb(hue / 360, 0.8, 1.0))
    return (255 * brightness[..., None] * color).astype(np.uint8)


def gray(brightness: np.ndarray) -> Image:
    """Brightness (H, W) without a hue."""
    return np.repeat((255 * brightness[..., None]).astype(np.uint8), 3, 2)


def write_hues(folder: Path, count: int, seed: int, hue: float | None = None) -> Path:
    """Gray pictures in `gray/`, and others of a hue each, or all of one, in `tinted/`."""
    rng = np.random.default_rng(seed)
    for name in ("gray", "tinted"):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            ground = hills(rng)
            chosen = rng.uniform(0, 360) if hue is None else hue
            made = gray(ground) if name == "gray" else tinted(ground, chosen)
            Picture.fromarray(made).save(folder / name / f"{index:03d}.png")
    return folder


def mean_hue(images: np.ndarray) -> np.ndarray:
    """Hue in degrees of the mean color of pictures (N, H, W, 3) in 0..1."""
    means = images.mean((1, 2))
    return np.array([360 * colorsys.rgb_to_hsv(*color)[0] for color in means])


def hue_error(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Angle between hues in degrees, 0..180."""
    return np.abs((found - wanted + 180) % 360 - 180)
