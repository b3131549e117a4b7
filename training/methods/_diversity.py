"""Does a generator still make different pictures of different inputs?"""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

from torch import Tensor
from torch.nn import functional as F

from runtime.errors import EngineUnavailable, UsageError

from ..pairs.likeness import load_lpips_heads, lpips, open_squeezenet

PICTURES = 8  # of the fixed batch; 28 pairs
LEAST_SIDE = 64  # px, below which SqueezeNet has no last layer
Distance = Callable[[Tensor, Tensor], float]


def open_distance(weights: Path | None, device: str) -> Distance:
    """LPIPS-squeezenet where its weights are here, else the mean absolute difference; both of
    pictures (1, 3, H, W) in [0, 1], both 0 for equal ones."""
    folder = weights if weights is None or weights.is_dir() else weights.parent
    try:
        backbone = open_squeezenet(folder).to(device)
        heads = [head.to(device) for head in load_lpips_heads(folder)]
    except (EngineUnavailable, UsageError):
        return lambda a, b: float((a - b).abs().mean())
    return lambda a, b: lpips(backbone, heads, _large(a), _large(b))


def diversity(pictures: Tensor, distance: Distance) -> float:
    """Mean distance of all pairs of pictures (N, 3, H, W); 0 where all are the same."""
    found = [distance(pictures[i : i + 1], pictures[j : j + 1]) for i, j in _pairs(len(pictures))]
    return sum(found) / max(1, len(found))


def _pairs(count: int) -> list[tuple[int, int]]:
    return list(combinations(range(count), 2))


def _large(picture: Tensor) -> Tensor:
    side = min(picture.shape[2:])
    if side >= LEAST_SIDE:
        return picture
    return F.interpolate(picture, scale_factor=-(-LEAST_SIDE // side), mode="nearest")
