"""When old paint gives way to new: not all at once, and along soft shapes.

Neighbors change at nearly the same time (`order`), so that a border wanders over the picture as a
brush does; squares or single pixels that change by themselves would be seen. Where every frame is
shown as it comes, neighbors change in groups (`turns`): strips a pixel or two wide, of which each
holds strokes of another frame, cut every stroke to pieces, and a camera that trembles stirs them to
specks (1.30 of the network's mean Laplacian on a wall after 89 frames; by groups 1.07).
"""

from functools import lru_cache

import cv2
import numpy as np

# Size of the shapes, in flow pixels.
SHAPE = 16
# The same of groups, and how many: larger than strokes, and small enough that no group is seen to
# change. By eye among 16 and 6, 40 and 10, on a wall behind a person.
GROUP, TURNS = 40, 10


@lru_cache(maxsize=4)
def order(height: int, width: int, shape: int = SHAPE) -> np.ndarray:
    """A number of 0..1 per pixel, all equally frequent and neighbors alike: (h, w) float32.

    Always the same one, read-only.
    """
    size = (max(4, -(-width // shape)), max(4, -(-height // shape)))
    noise = np.random.default_rng(0).normal(size=size[::-1]).astype(np.float32)
    smooth = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    ranked = np.empty(smooth.size, np.float32)
    ranked[smooth.argsort(axis=None, kind="stable")] = np.arange(smooth.size)
    result = (ranked / max(1, smooth.size - 1)).reshape(height, width)
    result.setflags(write=False)
    return result


@lru_cache(maxsize=4)
def turns(height: int, width: int) -> np.ndarray:
    """The turn of each pixel: (h, w) float32 of 0, 1 / TURNS, ... below 1, equally frequent.

    Always the same one, read-only.
    """
    result = np.minimum(np.floor(order(height, width, GROUP) * TURNS), TURNS - 1) / TURNS
    result.setflags(write=False)
    return result
