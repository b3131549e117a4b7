"""Models as functions on tensors."""

from pathlib import Path

import numpy as np
import torch

from benchmarks.measuring.opening import open_painter

STARRY = Path(__file__).resolve().parents[3] / "models" / "starry.onnx"


def test_a_photo_is_no_frame_of_the_scene_before_it():
    """A file that remembers its scene paints each photo by the photo's own statistics."""
    rng = np.random.default_rng(0)
    blurred = torch.from_numpy(rng.random((1, 3, 12, 12), np.float32))
    first = torch.nn.functional.interpolate(blurred, size=96, mode="bilinear")
    second = first * 0.9  # the same scene, darker: no cut
    paint, recipe = open_painter(str(STARRY))
    assert recipe["style"]["title"]
    paint(first)
    fresh, _ = open_painter(str(STARRY))
    assert torch.equal(paint(second), fresh(second))
