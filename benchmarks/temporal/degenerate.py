"""Stylizers that are worth nothing but score well somewhere: what the gates are there to refuse."""

from collections import deque
from collections.abc import Callable

import cv2
import numpy as np

from runtime.frame import Image

Stylize = Callable[[Image], Image]


def identity(stylize: Stylize) -> Stylize:
    """The photo itself: as stable as the world."""
    return lambda image: image


def blur(stylize: Stylize) -> Stylize:
    """The network's frames, blurred (sigma 2): more stable than the source video."""
    return lambda image: cv2.GaussianBlur(stylize(image), (0, 0), 2.0)


def constant(stylize: Stylize) -> Stylize:
    """One gray: perfectly stable."""
    return lambda image: np.full_like(image, 128)


def screen_texture(stylize: Stylize) -> Stylize:
    """The photo seen through painted glass ("shower door"): the texture stays on the screen."""

    def paint(image: Image) -> Image:
        noise = np.random.default_rng(0).normal(0, 60, image.shape[:2]).astype(np.float32)
        texture = cv2.GaussianBlur(noise, (0, 0), 1.0)[..., None]
        return np.clip(image + texture, 0, 255).astype(np.uint8)

    return paint


def posterize(stylize: Stylize) -> Stylize:
    """Four levels per color: deterministic, and every contour boils with the noise."""
    return lambda image: ((image // 64) * 85).astype(np.uint8)


def freeze(stylize: Stylize) -> Stylize:
    """The first painted frame for ever: no flicker at all."""
    shown: list[Image] = []

    def paint(image: Image) -> Image:
        if not shown or shown[0].shape != image.shape:
            shown[:] = [stylize(image)]
        return shown[0]

    return paint


def one_frame_late(stylize: Stylize) -> Stylize:
    """Each frame painted well, and shown one frame later."""
    waiting: deque[Image] = deque(maxlen=2)

    def paint(image: Image) -> Image:
        waiting.append(stylize(image))
        return waiting[0]

    return paint


def squares(stylize: Stylize) -> Stylize:
    """The network's frames, square by square a little lighter or darker: paint handed over so."""

    def paint(image: Image) -> Image:
        height, width = image.shape[:2]
        offsets = np.random.default_rng(0).normal(0, 4, (-(-height // 16), -(-width // 16)))
        tiles = np.kron(offsets, np.ones((16, 16)))[:height, :width, None]
        return np.clip(np.rint(stylize(image) + tiles), 0, 255).astype(np.uint8)

    return paint


DEGENERATE: dict[str, Callable[[Stylize], Stylize]] = {
    "identity": identity,
    "blur": blur,
    "constant": constant,
    "screen_texture": screen_texture,
    "posterize": posterize,
    "freeze": freeze,
    "one_frame_late": one_frame_late,
    "squares": squares,
}
