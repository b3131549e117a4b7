"""Painted keyframes of a clip, beside the frames they were painted on."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from runtime.errors import UsageError
from runtime.frame import Image
from runtime.sources import open_source

from .images import load_image, to_tensor
from .paired import Pairs

# Frames without a painting that are kept in memory, evenly spread over the clip.
KEPT_FRAMES = 48


class Keyframes(Pairs):
    """Random squares at the same place of a frame and its painting, never mirrored: strokes have a
    direction.

    Attributes:
        images: (frame, painting) of (H, W, 3) uint8 RGB.
        frames: of the whole clip, evenly spread.

    Args:
        clip: video file.
        keys: pictures whose names end in the number of their frame, counted from 0 as
            `runtime.video clip.mp4 frames/%06d.png` does.

    Raises:
        UsageError: no key, no number in a name, two of one frame, a frame beyond the end of the
            clip, or a painting of another shape.
        SourceError: the clip cannot be read.
    """

    mirrored = False

    def __init__(self, clip: Path, keys: Sequence[Path]) -> None:
        numbers = numbers_of(keys)
        found, self.frames, count = _read(clip, set(numbers))
        self.images, self.names, self.skipped = [], [], {}
        for number, key in numbers.items():
            if number not in found:
                raise UsageError(
                    f'"{key.name}" is frame {number}, "{clip.name}" has {count}, the last one is '
                    f"{count - 1}; keys are named by their frame's number, counted from 0"
                )
            try:
                self._add((to_tensor(found[number]), load_image(key)), 0)
            except UsageError as error:
                raise UsageError(f'keyframe "{key}": {error}') from None
            self.names.append(key.stem)

    def unpainted(self, count: int, crop: int, rng: np.random.Generator) -> Tensor:
        """Squares of any frames, (count, 3, crop, crop) float32 RGB in [0, 1]."""
        squares = []
        for _ in range(count):
            frame = self.frames[rng.integers(len(self.frames))]
            height, width = frame.shape[:2]
            side = min(height, width, crop)
            top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
            squares.append(to_tensor(frame[top : top + side, left : left + side]))
        return torch.cat(squares)


def numbers_of(keys: Sequence[Path]) -> dict[int, Path]:
    """The number of each key's frame -> its file.

    Raises:
        UsageError: as `Keyframes`.
    """
    if not keys:
        raise UsageError("no keyframe given: pass --keys painted/000.png painted/090.png")
    found: dict[int, Path] = {}
    for key in keys:
        digits = re.findall(r"\d+", key.stem)
        if not digits:
            raise UsageError(
                f'keyframe "{key.name}": its name has no number; name it by its frame, counted '
                "from 0, as 000090.png"
            )
        number = int(digits[-1])
        if number in found:
            raise UsageError(f'"{found[number]}" and "{key}" are both of frame {number}')
        if not key.is_file():
            raise UsageError(f'no keyframe "{key}"')
        found[number] = key
    return found


def _read(clip: Path, wanted: set[int]) -> tuple[dict[int, Image], list[Image], int]:
    """The frames of these numbers, some evenly spread, and how many there are."""
    found: dict[int, Image] = {}
    kept: list[Image] = []
    stride, count = 1, 0
    with open_source(clip) as source:
        for count, frame in enumerate(source, 1):
            number = count - 1
            if number in wanted:
                found[number] = frame.image
            if number % stride == 0:
                kept.append(frame.image)
            if len(kept) >= 2 * KEPT_FRAMES:
                kept, stride = kept[::2], 2 * stride
    return found, kept, count
