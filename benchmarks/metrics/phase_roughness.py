"""Per-phase roughness: how much of it depends on the place in a network's stride-4 blocks."""

import numpy as np

from . import Metric
from ._pictures import luminance


def phase_roughness(picture: np.ndarray) -> float:
    """`training.losses.phase_roughness` of the luminance.

    0 where texture does not know the grid. Stairs and dots raise it, and so does a pattern that is
    the same in every block. A painting has .02; so have photos, but for the blocks that compression
    leaves (.02 to .2).
    """
    import torch

    from training.losses.phase_roughness import phase_roughness as loss

    gray = luminance(picture).astype(np.float64)
    return float(loss(torch.from_numpy(gray)[None, None]))


PLUGIN = Metric(phase_roughness, unit="1", better="lower", takes="picture")
