"""Effects made of OpenCV's filters: teachers of the bundled filters, and examples of ones.

    python -m training.train --recipe pencil --content photos/

Each takes and gives (H, W, 3) uint8 RGB. Sizes are in pixels of the picture given, so that an
effect looks alike wherever the picture lies.
"""

import cv2
import numpy as np

from runtime.frame import Image


def pencil(picture: Image) -> Image:
    """A pencil drawing: dark lines where brightness falls, soft shades, on warm paper.

    Color dodge, gray / blur(gray), leaves lines; what is fainter than sensor noise leaves none. The
    smoothed tones shade them.
    """
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    calm = cv2.bilateralFilter(gray, 0, 0.1, 2.5)
    darker = 1 - (calm + 0.05) / (cv2.GaussianBlur(calm, (0, 0), 5.0) + 0.05)
    lines = 1 - np.tanh(3.0 * np.maximum(0, darker - 0.03))
    shades = 0.55 + 0.45 * np.clip(cv2.GaussianBlur(calm, (0, 0), 2.0) * 1.3, 0, 1)
    drawn = np.clip(lines * shades, 0, 1)[..., None]
    paper, lead = np.array([0.98, 0.965, 0.93]), np.array([0.13, 0.13, 0.16])
    return np.rint(255 * (lead + (paper - lead) * drawn)).astype(np.uint8)


def toon(picture: Image) -> Image:
    """A cartoon: flat areas in soft steps of brightness, fuller colors, dark outlines."""
    flat = picture
    for _ in range(3):
        flat = cv2.bilateralFilter(flat, 9, 30, 5)
    hue, light, color = cv2.split(cv2.cvtColor(flat.astype(np.float32) / 255, cv2.COLOR_RGB2HLS))
    # Seven steps with soft edges: hard ones flicker in video.
    level = light * 7
    base = np.floor(level)
    step = 1 / (1 + np.exp(-12 * (level - base - 0.5)))
    light = 0.35 * light + 0.65 * np.clip((base + step) / 7, 0, 1)
    filled = cv2.cvtColor(cv2.merge([hue, light, np.clip(1.35 * color, 0, 1)]), cv2.COLOR_HLS2RGB)
    gray = cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    # Difference of Gaussians with a soft threshold (Winnemöller et al. 2006, eq. 4).
    edge = cv2.GaussianBlur(gray, (0, 0), 1.0) - 0.98 * cv2.GaussianBlur(gray, (0, 0), 1.6)
    ink = np.where(edge > 0, 1.0, 1 + np.tanh(60 * edge))[..., None]
    return np.rint(255 * np.clip(filled * (0.15 + 0.85 * ink), 0, 1)).astype(np.uint8)


def grade(picture: Image) -> Image:
    """A color grade as film stock has it: an S-curve, teal shadows, orange lights."""
    x = picture.astype(np.float32) / 255
    curved = x + 0.12 * np.sin(2 * np.pi * (x - 0.5))
    light = curved @ np.array([0.299, 0.587, 0.114], np.float32)
    shadow = np.clip(1 - 1.6 * light, 0, 1)[..., None] * np.array([-0.04, 0.02, 0.07])
    high = np.clip(1.6 * light - 0.6, 0, 1)[..., None] * np.array([0.08, 0.02, -0.06])
    toned = curved + shadow + high
    gray = toned @ np.array([0.299, 0.587, 0.114])
    return np.rint(255 * np.clip(gray[..., None] + 1.15 * (toned - gray[..., None]), 0, 1)).astype(
        np.uint8
    )
