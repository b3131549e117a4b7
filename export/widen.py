"""Learned ranges, widened where the photos at hand are wilder than those they were learned on.

Fine-tuning learns narrow ranges: on its photos a finer step is worth more than the few values that
are cut. A night sky full of stars has many such values. So the learned ranges are tried as they
are, and moved outward to shares of the ranges measured here, and what paints best is taken:

    min over k of  mean over photos (q_k(G)(x) - G(x))^2,   q_k: ranges [min(l, k m), max(h, k M)]
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from runtime.frame import Image
from training.networks import lean
from training.quantization import QuantizedLean, Ranges

from .photos import cover

Pairs = Mapping[str, tuple[float, float]]

# k. `starry` on scikit-image's five photos at 480x360, dB of the mean error and of the worst photo:
# learned 36.2, 31.5; 0.4: 36.4, 31.9; 0.55: 36.6, 32.7; 0.7: 36.7, 34.8; 0.85: 36.2, 35.6; 1: 35.3,
# 35.1. Below 0.4 nothing is wider than what was learned.
SHARES = (0.0, 0.4, 0.55, 0.7, 0.85, 1.0)
# (width, height) they are tried at, and most photos tried: a second of one core each.
SIZE = (480, 360)
PHOTOS = 16


def widened(
    generator: lean.Generator, learned: Pairs, measured: Pairs, photos: Sequence[Image]
) -> tuple[dict[str, tuple[float, float]], float]:
    """The ranges that paint best, and their k; the learned ones if none is better.

    Args:
        generator: the network.
        learned: name -> lowest and highest value.
        measured: the same names, on the photos.
        photos: tried are `PHOTOS` of them, evenly spread.
    """
    spread = np.linspace(0, len(photos) - 1, min(PHOTOS, len(photos))).round().astype(int)
    pictures = [
        torch.from_numpy(cover(photos[at], *SIZE).transpose(2, 0, 1).copy())[None] / 255
        for at in spread
    ]
    with torch.inference_mode():
        exact = [generator(picture).clamp(0, 1) for picture in pictures]
        tried = {share: outward(learned, measured, share) for share in SHARES}
        errors = {
            share: _error(QuantizedLean(generator, Ranges(ranges)), pictures, exact)
            for share, ranges in tried.items()
        }
    best = min(SHARES, key=lambda share: errors[share])
    return tried[best], best


def outward(learned: Pairs, measured: Pairs, share: float) -> dict[str, tuple[float, float]]:
    """Learned ranges that hold this share of the measured ones, too."""
    return {
        name: (min(low, share * measured[name][0]), max(high, share * measured[name][1]))
        for name, (low, high) in learned.items()
    }


def _error(network: QuantizedLean, pictures: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """Mean squared error over the pictures, as they are shown."""
    pairs = zip(pictures, exact, strict=True)
    return float(np.mean([float((network(x).clamp(0, 1) - y).square().mean()) for x, y in pairs]))
