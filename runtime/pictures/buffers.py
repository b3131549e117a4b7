"""Picture buffers that are used again as soon as nobody looks at them any more.

A fresh 1280x720 picture costs the operating system 675 pages to map and clear, per frame and per
stage. The pool keeps a few arrays and hands out one that has no other owner left; who still holds a
frame (a snapshot being written, a stabilizer's memory) simply keeps it, and the pool makes another.
"""

import sys

import numpy as np


def _count(arrays: list[np.ndarray]) -> int:
    """References to the first of `arrays`, as the loop in `Pool.take` sees them."""
    for array in arrays:
        return sys.getrefcount(array)
    return 0


# What that loop sees when only the pool's own list holds an array: measured, because the number
# differs between versions of Python. Views count as owners: numpy keeps their base alive.
UNUSED = _count([np.empty(1, np.uint8)])


class Pool:
    """Arrays of one shape at a time; for use by one thread (others may hold what it gave out).

    Args:
        limit: arrays kept; more can be under way, they are then not used again.
    """

    def __init__(self, limit: int = 8) -> None:
        self._limit = limit
        self._shape: tuple[int, ...] = ()
        self._arrays: list[np.ndarray] = []

    def take(self, *shape: int) -> np.ndarray:
        """A uint8 array of this shape with undefined content that nobody else refers to."""
        if shape != self._shape:
            self._shape, self._arrays = shape, []
        for array in self._arrays:
            if sys.getrefcount(array) <= UNUSED:
                return array
        array = np.empty(shape, np.uint8)
        if len(self._arrays) < self._limit:
            self._arrays.append(array)
        return array
