"""When old paint gives way to new: not all at once, and along soft shapes.

Neighbors change at nearly the same time, so that a border wanders over the picture as a brush does;
squares or single pixels that change by themselves would be seen.
"""

from functools import lru_cache

import cv2
import numpy as np

# Size of the shapes, in flow pixels.
SHAPE = 16


@lru_cache(maxsize=4)
def order(height: int, width: int) -> np.ndarray:
    """A number of 0..1 per pixel, all equally frequent and neighbors alike: (h, w) float32.

    Always the same one, read-only.
    """
    size = (max(4, -(-width // SHAPE)), max(4, -(-height // SHAPE)))
    noise = np.random.default_rng(0).normal(size=size[::-1]).astype(np.float32)
    smooth = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    ranked = np.empty(smooth.size, np.float32)
    ranked[smooth.argsort(axis=None, kind="stable")] = np.arange(smooth.size)
    result = (ranked / max(1, smooth.size - 1)).reshape(height, width)
    result.setflags(write=False)
    return result
