"""Ranges of activations, from real photos, after normalization by each photo's own statistics.

Normalized activations have the same range on every photo, so that one set of scales holds for
all scenes a model is folded for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from runtime.frame import Image

from ..verify.photos import cover
from .lean_layers import LeanLayers, activations

# Share of a channel's values inside its range, in percent; a tensor's range holds those of all its
# channels. A compromise: clipping one value in a thousand leaves finer steps, but ruins pictures
# whose features are sparse (a night sky). S(48,3,4) after 7000 steps, nine photos at 640x480, dB of
# the mean and the worst photo, objective relative to floats: at 99.9 % 34.8, 28.9, 1.03; at 99.95 %
# 35.5, 30.1, 1.00; at 99.98 % 35.3, 31.4, 0.97; at 99.99 % 34.4, 33.3 (seven of these, 480x360).
PERCENTILE = 99.97
# (width, height) photos are calibrated at: near a camera's, affordable for a hundred photos.
SIZE = (480, 360)
# Extreme values kept per channel and photo. Three values in ten thousand of 11 000 positions are
# three per photo on average; this leaves room for photos that are far from the average.
EXTREMES = 256


@dataclass(frozen=True)
class Calibration:
    """What photos say about a network.

    Attributes:
        ranges: tensor name -> (2, C): lowest and highest value of each channel, in float units;
            keys as in `lean_layers.activations`. Zero is always inside.
        statistics: layer name -> (mean, variance) of its bare convolution, mean over the photos.
        photos: how many there were.
        learned: whether they are the network's own clipping ranges, learned by fine-tuning.
    """

    ranges: dict[str, np.ndarray]
    statistics: dict[str, tuple[np.ndarray, np.ndarray]]
    photos: int
    learned: bool = False

    def whole_ranges(self) -> dict[str, tuple[float, float]]:
        """Lowest and highest value of every tensor that is rounded, over its channels."""
        return {
            name: (float(low.min()), float(high.max()))
            for name, (low, high) in self.ranges.items()
            if name != "head"  # its bytes are the picture's
        }


def calibrate(
    parts: LeanLayers, photos: Sequence[Image], percentile: float = PERCENTILE
) -> Calibration:
    """Run the float network over photos and collect ranges and statistics."""
    tails: dict[str, list[np.ndarray]] = {}
    sums: dict[str, np.ndarray] = {}
    counts: dict[str, int] = {}
    for photo in photos:
        picture = torch.from_numpy(cover(photo, *SIZE).transpose(2, 0, 1).copy())[None] / 255
        for name, tensor in activations(parts, picture).items():
            if name.endswith((".mean", ".variance")):
                sums[name] = sums.get(name, 0) + tensor.double().numpy()
                continue
            channels = tensor[0].flatten(1)
            kept = min(EXTREMES, channels.shape[1])
            low = channels.topk(kept, largest=False).values
            high = channels.topk(kept).values.flip(1)
            tails.setdefault(name, []).append(torch.stack([low, high]).numpy())
            counts[name] = counts.get(name, 0) + channels.shape[1]
    ranges = {
        name: _ranges(np.concatenate(parts_, axis=2), counts[name], percentile)
        for name, parts_ in tails.items()
    }
    statistics = {
        name.removesuffix(".mean"): (
            (total / len(photos)).astype(np.float32),
            (sums[name.removesuffix("mean") + "variance"] / len(photos)).astype(np.float32),
        )
        for name, total in sums.items()
        if name.endswith(".mean")
    }
    return Calibration(ranges, statistics, len(photos))


def _ranges(tails: np.ndarray, count: int, percentile: float) -> np.ndarray:
    """(2, C) bounds from (2, C, kept) lowest and highest values of `count` values per channel."""
    outside = min(round(count * (100 - percentile) / 100), tails.shape[2] - 1)
    low = np.partition(tails[0], outside, axis=1)[:, outside]
    high = -np.partition(-tails[1], outside, axis=1)[:, outside]
    return np.stack([np.minimum(low, 0), np.maximum(high, 0)])
