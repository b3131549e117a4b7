"""Neighboring frames of real clips, and where each point was a moment before: for losses on video.

Motion is estimated there and back (`checked_flow`); where the two disagree, or lead out of the
picture, a point was hidden before and is left out.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from runtime.errors import SourceError, UsageError
from runtime.sources import open_source
from runtime.sources.file import FileSource

from .checked_flow import CheckedFlow, inside
from .images import random_square


@dataclass(frozen=True)
class Pairs:
    """Squares of two neighboring frames each.

    Attributes:
        earlier, later: (N, 3, H, W) RGB in [0, 1].
        grid: (N, H, W, 2); `losses.motion.warp(earlier, grid)` is `later` where `mask` is 1.
        mask: (N, 1, H, W), 1 where a point was seen before, else 0.
    """

    earlier: Tensor
    later: Tensor
    grid: Tensor
    mask: Tensor

    def __getitem__(self, rows: slice) -> "Pairs":
        """The pairs of some rows of the batch."""
        return Pairs(self.earlier[rows], self.later[rows], self.grid[rows], self.mask[rows])

    def to(self, device: str) -> "Pairs":
        """On a device."""
        return Pairs(*(t.to(device) for t in (self.earlier, self.later, self.grid, self.mask)))


class Clips:
    """Pairs of neighboring frames of all clips of a folder, kept in memory.

    Args:
        folder: of video files; others are passed over.
        short_side: px that frames are scaled down to; smaller clips stay as they are.
        least: px; clips with a shorter side are passed over, too.
        per_clip: most pairs of one clip, evenly spread over it.

    Attributes:
        skipped: files that were passed over.

    Raises:
        UsageError: the folder is missing or holds no clip of two frames that is large enough.
    """

    def __init__(self, folder: Path, short_side: int, least: int = 1, per_clip: int = 24) -> None:
        if not folder.is_dir():
            raise UsageError(f'no folder of clips "{folder}"')
        self.frames: list[tuple[np.ndarray, np.ndarray]] = []
        self.skipped: list[Path] = []
        for path in sorted(p for p in folder.iterdir() if FileSource.accepts(str(p))):
            try:
                pairs = _pairs(path, short_side, per_clip)
            except SourceError:
                pairs = []
            if pairs and min(pairs[0][0].shape[:2]) >= least:
                self.frames += pairs
            else:
                self.skipped.append(path)
        if not self.frames:
            raise UsageError(
                f'no clip of two frames and {least} px in "{folder}" ({len(self.skipped)} files '
                "passed over): lower data.crop, or give larger clips"
            )

    def batch(self, count: int, crop: int, rng: np.random.Generator) -> Pairs:
        """Random squares, the same of both frames, flipped half of the time."""
        found = []
        for _ in range(count):
            pair = self.frames[rng.integers(len(self.frames))]
            place = random_square(pair[0], crop, rng)
            cut = [frame[place] for frame in pair]
            flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
            found.append(relate(*(np.ascontiguousarray(c[:, flip]) for c in cut)))
        pieces = zip(*found, strict=True)
        return Pairs(*(torch.from_numpy(np.stack(piece)) for piece in pieces))


def _pairs(path: Path, short_side: int, most: int) -> list[tuple[np.ndarray, np.ndarray]]:
    with open_source(path) as source:
        frames = [_shrink(frame.image, short_side) for frame in source]
    starts = {round(float(i)) for i in np.linspace(0, len(frames) - 2, most)}
    return [(frames[i], frames[i + 1]) for i in sorted(starts) if 0 <= i < len(frames) - 1]


def _shrink(image: np.ndarray, short_side: int) -> np.ndarray:
    height, width = image.shape[:2]
    factor = short_side / min(height, width)
    if factor >= 1:
        return image
    size = (round(width * factor), round(height * factor))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def relate(earlier: np.ndarray, later: np.ndarray) -> tuple[np.ndarray, ...]:
    """Where each point of a frame was in an earlier one.

    Args:
        earlier, later: (H, W, 3) uint8 RGB.

    Returns:
        earlier, later, grid and mask: one row of `Pairs`, as arrays.
    """
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (earlier, later)]
    _, places, agree = CheckedFlow().measure(gray[1], gray[0])
    height, width = gray[0].shape
    mask = (agree & inside(places, 0)).astype(np.float32)
    # `grid_sample` counts from -1 to 1 between the outer edges of the pixels.
    grid = (2 * places + 1) / np.array([width, height], np.float32) - 1
    colors = [f.transpose(2, 0, 1).astype(np.float32) / np.float32(255) for f in (earlier, later)]
    return (*colors, grid.astype(np.float32), mask[None])
