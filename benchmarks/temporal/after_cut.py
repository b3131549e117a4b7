"""Squares some seconds after a cut, when old paint gives way to new everywhere."""

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np

from runtime.frame import Image
from runtime.sources import open_source

from ..metrics.tile_edges import tile_edges
from .drift import RATE, stream
from .stability import run_stabilizer

# Seconds after the cut at which a viewer looks, and frames around each that are measured.
MOMENTS, WINDOW = (1, 2, 5), 32
# Seconds of another scene before the cut.
BEFORE = 0.5
LENGTH = round((BEFORE + MOMENTS[-1]) * RATE) + WINDOW // 2
# Codecs paint square by square as well, of 8 and 16 pixels. So many pixels less at the left and at
# the top, and half squares of ours lie under theirs: what they exchange no longer counts.
OFF_GRID = 4


def synthetic(
    photos: tuple[str, str], size: tuple[int, int], moving: bool, noise: float
) -> list[Image]:
    """LENGTH frames, (H, W, 3) uint8: one photograph, a cut, another one; `size` is (H, W)."""
    before, after = (stream(photo, size, moving, noise) for photo in photos)
    count = round(BEFORE * RATE)
    return [*islice(before, count), *islice(after, LENGTH - count)]


def real(spec: str) -> list[Image]:
    """The same of a clip, played to and fro, off the grid of its codec; before the cut it is upside
    down."""
    with open_source(spec) as source:
        read = [np.ascontiguousarray(f.image[OFF_GRID:, OFF_GRID:]) for f in islice(source, LENGTH)]
    loop = [*read, *read[-2:0:-1]]
    count = round(BEFORE * RATE)
    before = [np.ascontiguousarray(frame[::-1]) for frame in loop[:count]]
    return [*before, *(loop[k % len(loop)] for k in range(LENGTH - len(before)))]


def measure_after_cut(
    stylize: Callable[[Image], Image], stabilizer: str, strength: float, frames: Sequence[Image]
) -> dict[str, float]:
    """`tile_edges` 1, 2 and 5 seconds after the cut, by `tile_edges_<seconds>s`, in 1/255."""
    outputs, _ = run_stabilizer(stabilizer, strength, list(frames), stylize)
    painted = [stylize(frame) for frame in frames]
    found = {}
    for moment in MOMENTS:
        middle = round((BEFORE + moment) * RATE)
        window = slice(middle - WINDOW // 2, middle + WINDOW // 2)
        found[f"tile_edges_{moment}s"] = tile_edges(outputs[window], painted[window])
    return found
