"""What happens around the network: strength, the photo's own colors, masks.

Pure functions, numpy in and numpy out; bytes and floats alike unless said otherwise.
"""

import cv2
import numpy as np

from ..frame import Image

# Rec. 601 luma, the weights JPEG and cv2.COLOR_RGB2YCrCb use.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def blend(image: np.ndarray, styled: np.ndarray, strength: float) -> np.ndarray:
    """(1 - strength) * image + strength * styled, rounded for bytes."""
    if strength >= 1.0:
        return styled
    if strength <= 0.0:
        return image.copy()
    return cv2.addWeighted(styled, strength, image, 1.0 - strength, 0.0)


def keep_luminance(image: np.ndarray, styled: np.ndarray) -> np.ndarray:
    """The style's light and dark with the photo's colors.

    Luma is taken from `styled`, the two color differences from `image` (Gatys et al. 2016,
    "Preserving color in neural artistic style transfer", section 3.2, with the luma of the result
    not matched to the photo's).

    Args:
        image: (H, W, 3) RGB, uint8 or float32 in 0..1.
        styled: of the same shape and type.
    """
    if image.dtype == np.uint8:
        colors = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        light = cv2.cvtColor(styled, cv2.COLOR_RGB2YCrCb)
        cv2.mixChannels([light], [colors], [0, 0])
        return cv2.cvtColor(colors, cv2.COLOR_YCrCb2RGB)
    # Adding the same amount to all channels changes luma by it and leaves both differences alone.
    shift = (styled - image) @ LUMA
    return np.clip(image + shift[:, :, None], 0.0, 1.0)


def match_colors(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """`image` recolored so that mean and covariance of its colors are those of `target`.

        x' = A (x - mean(x)) + mean(t),   A = Ct^1/2 Cx^-1/2

    Gatys et al. 2016, "Preserving color", section 3.1, with the symmetric roots (the choice of the
    paper's eq. 4 that does not depend on the order of channels).

    Args:
        image: (H, W, 3) RGB, uint8 or float32 in 0..1: what is recolored (a style picture, or a
            styled frame).
        target: (H', W', 3) of the same type: whose colors it gets.

    Returns:
        as `image`, clipped to its range.
    """
    return recolor(image, color_transfer(image, target))


def color_transfer(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The (3, 4) affine map of `match_colors`, for pictures that are recolored in parts."""
    source_mean, source_cov = _color_statistics(image)
    target_mean, target_cov = _color_statistics(target)
    matrix = _root(target_cov, 0.5) @ _root(source_cov, -0.5)
    shift = target_mean - matrix @ source_mean
    return np.hstack([matrix, shift[:, None]])


def recolor(image: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Apply a map of `color_transfer` (for the same type of picture), clipped."""
    # cv2.transform saturates bytes itself; floats are clipped by hand.
    moved = cv2.transform(image, transfer)
    return moved if image.dtype == np.uint8 else np.clip(moved, 0.0, 1.0).astype(image.dtype)


def _color_statistics(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and covariance (3, 3) of the colors, computed in double precision."""
    # A few hundred thousand pixels fix both to three digits; more would only take time.
    stride = max(1, int((image.shape[0] * image.shape[1] / 2**18) ** 0.5))
    colors = image[::stride, ::stride].reshape(-1, 3).astype(np.float64)
    mean = colors.mean(axis=0)
    return mean, (colors - mean).T @ (colors - mean) / len(colors)


def _root(matrix: np.ndarray, power: float) -> np.ndarray:
    """A power of a symmetric positive matrix; flat directions are kept from exploding."""
    values, vectors = np.linalg.eigh(matrix)
    # A direction with less than a thousandth of the spread of the widest is noise or a gray photo.
    floor = max(values.max() * 1e-6, 1e-12)
    return (vectors * np.maximum(values, floor) ** power) @ vectors.T


def prepare_mask(mask: Image, height: int, width: int) -> np.ndarray:
    """A mask picture as (H, W) uint8 of this size."""
    gray = cv2.cvtColor(mask, cv2.COLOR_RGB2GRAY)
    if gray.shape != (height, width):
        gray = cv2.resize(gray, (width, height), interpolation=cv2.INTER_LINEAR)
    return gray


def apply_mask(image: np.ndarray, styled: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`styled` where the mask is white, `image` where it is black, mixed in between.

    Args:
        image: (H, W, 3), uint8 or float32.
        styled: of the same shape and type.
        mask: (H, W) uint8.
    """
    weights = cv2.merge([mask, mask, mask])
    change = cv2.subtract(styled, image, dtype=cv2.CV_32F)
    change = cv2.multiply(change, weights, scale=1.0 / 255.0, dtype=cv2.CV_32F)
    depth = cv2.CV_8U if image.dtype == np.uint8 else cv2.CV_32F
    return cv2.add(image, change, dtype=depth)
