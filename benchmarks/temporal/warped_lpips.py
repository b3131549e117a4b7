"""Perceptual distance of neighboring frames along the motion, with the backbone that is here."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from runtime.errors import StyleError
from runtime.frame import Image

from ..metrics import Motion
from ..metrics._pictures import to_float, warp

# Pairs of frames that are judged, evenly spread: two passes of the backbone each.
PAIRS = 3

WarpedLpips = Callable[[Sequence[Image], Motion], float]


def open_warped_lpips(weights: Path | None) -> WarpedLpips:
    """A function of pictures and their motion: mean LPIPS-squeezenet(O_t, W(O_t+1)) over PAIRS.

    What is not visible in both is filled with O_t, as for SSIM. Not the LPIPS of Lai et al., who
    compare the result with the network's frame; see `training.pairs.likeness` for the backbone.

    Raises:
        ImportError: torch is not installed.
        StyleError: the weights are absent.
    """
    import torch

    from training.pairs import likeness

    backbone, heads = likeness.open_squeezenet(weights), likeness.load_lpips_heads(weights)

    def tensor(picture: np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]

    def measure(outputs: Sequence[Image], motion: Motion) -> float:
        count = min(PAIRS, len(outputs) - 1)
        values = []
        for t in np.unique(np.linspace(0, len(outputs) - 2, count).round().astype(int)):
            flow, mask = motion(int(t), int(t) + 1)
            if not mask.any():
                continue
            here = to_float(outputs[t])
            # Cubic sampling overshoots; the backbone was trained on 0..1.
            moved = np.clip(warp(outputs[t + 1], flow), 0, 1)
            there = np.where(mask[..., None], moved, here).astype(np.float32)
            values.append(likeness.lpips(backbone, heads, tensor(here), tensor(there)))
        return float(np.mean(values)) if values else float("nan")

    return measure


def try_warped_lpips(weights: Path | None) -> WarpedLpips | None:
    """The function, or None where torch or the weights are absent."""
    try:
        return open_warped_lpips(weights)
    except (ImportError, StyleError):
        return None
