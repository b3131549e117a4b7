"""Pictures in which a person can see time: frames side by side, and slices along x and t."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import OutputExists, SinkError
from runtime.frame import Image

# Height of a caption, and of one frame's line in a slice, in pixels.
CAPTION, LINE = 22, 10
GAP = 4


def side_by_side(columns: Mapping[str, Sequence[Image]], times: Sequence[int]) -> Image:
    """One column per name, one row per time."""
    stacks = []
    for name, frames in columns.items():
        cells = [frames[t] for t in times]
        stacks.append(np.vstack([_caption(name, cells[0].shape[1]), *_spaced(cells)]))
    return np.hstack(_spaced(stacks, axis=1))


def time_slices(
    columns: Mapping[str, Sequence[Image]], row: int | None = None, crop: int = 240
) -> Image:
    """The same line of pixels (`row`; the middle one if None) of every frame, stacked downward.

    Texture that stays with the scene draws straight or slanted threads; texture that flickers draws
    dots. The middle `crop` pixels are shown, each frame LINE pixels high, everything doubled.
    """
    stacks = []
    for name, frames in columns.items():
        height, width = frames[0].shape[:2]
        y = height // 2 if row is None else row
        left = max(0, (width - crop) // 2)
        lines = np.stack([frame[y, left : left + crop] for frame in frames])
        image = cv2.resize(
            lines, (lines.shape[1] * 2, len(lines) * LINE), interpolation=cv2.INTER_NEAREST
        )
        stacks.append(np.vstack([_caption(name, image.shape[1]), image]))
    return np.hstack(_spaced(stacks, axis=1))


def write_png(path: Path, picture: Image, overwrite: bool = False) -> Path:
    """Write a PNG under a temporary name, then rename it.

    Raises:
        OutputExists: it is there and `overwrite` is False.
        SinkError: it cannot be written.
    """
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} exists; give another --slices, or --overwrite")
    done, data = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.partial")
        part.write_bytes(data.tobytes())
        part.replace(path)
    except OSError as error:
        raise SinkError(f"cannot write {path}: {error.strerror}") from None
    if not done:
        raise SinkError(f"cannot encode {path}")
    return path


def _caption(text: str, width: int) -> Image:
    bar = np.full((CAPTION, width, 3), 255, np.uint8)
    return cv2.putText(bar, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)


def _spaced(parts: list[Image], axis: int = 0) -> list[Image]:
    result = []
    for part in parts:
        if result:
            shape = (GAP, part.shape[1], 3) if axis == 0 else (part.shape[0], GAP, 3)
            result.append(np.full(shape, 255, np.uint8))
        result.append(part)
    return result
