"""Measures of pictures and clips, one per file; each file ends in `PLUGIN = Metric(...)`.

Pictures are (H, W, 3) uint8 RGB or float 0..1. Clips are sequences of pictures. `motion(t, u)`
gives the exact flow from frame t to u, (H, W, 2) float32 in pixels, and the (H, W) bool mask of
points seen in both (`temporal.synthetic_clips.Clip.flow`): pixel p of frame t is at p + F(p) in
frame u.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Motion = Callable[[int, int], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric file offers.

    Attributes:
        compute: the pure function.
        unit: unit of its value ("1" for a plain ratio).
        better: which direction is good.
        takes: what `compute` wants: "clip" (outputs, motion), "clips" (outputs, reference, motion),
            "frames" (outputs of a still scene), "sequences" (outputs, reference), "pair" (a, b),
            "picture" (one), "stylizer" (a function of a picture, and a picture), "uncovered"
            (outputs, reference, and a function of t that gives a mask).
    """

    compute: Callable[..., float]
    unit: str
    better: Literal["lower", "higher"]
    takes: Literal[
        "clip", "clips", "frames", "sequences", "pair", "picture", "stylizer", "uncovered"
    ]
