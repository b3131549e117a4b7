"""Pairs that a student is judged by, beside its run: `<run>/judged/before`, `after`.

They are held out of training, but for keyframes, of which there are too few. `<run>/seen` keeps
pictures as those it is meant for, which quantization-aware training and calibration need.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pictures
from torch import Tensor

from runtime.card import JsonObject
from runtime.frame import Image

from ..data.images import to_tensor
from ..data.paired import Pairs
from .likeness import Likeness

FOLDER, SEEN = "judged", "seen"
MOST_SEEN = 48  # what ranges are measured on
# One pair of this many is held out, at least one, but none of fewer than `FEWEST`.
SHARE = 10
FEWEST = 4
MOST = 12  # more say nothing new


def split(count: int) -> list[int]:
    """Which of so many pairs are held out: spread evenly, from the middle of each stretch."""
    if count < FEWEST:
        return []
    held = min(MOST, max(1, count // SHARE))
    return sorted({int((at + 0.5) * count / held) for at in range(held)})


def write(run: Path, pairs: Sequence[tuple[Image, Image]]) -> None:
    """Keep them with the run."""
    for side, name in enumerate(("before", "after")):
        _write(run / FOLDER / name, [pair[side] for pair in pairs])


def write_seen(run: Path, pictures: Sequence[Image]) -> None:
    """Keep some, evenly spread, with the run."""
    at = np.linspace(0, len(pictures) - 1, min(MOST_SEEN, len(pictures))).round().astype(int)
    _write(run / SEEN, [pictures[i] for i in at])


def seen(run: Path) -> Path | None:
    """The folder of these; None if the run has none."""
    return run / SEEN if (run / SEEN).is_dir() else None


def _write(folder: Path, pictures: Sequence[Image]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9][0-9].png"):
        old.unlink()  # of a run that began in this folder before
    for number, picture in enumerate(pictures):
        Pictures.fromarray(picture).save(folder / f"{number:02d}.png")


def read(recipe: JsonObject, run: Path) -> Pairs | None:
    """The pairs beside a run, or beside the one whose network it trained on; None if there are
    none."""
    from ..checkpoint import checkpoint_of

    original = recipe.get("options", {}).get("original")
    folders = [run, *([checkpoint_of(Path(original)).parent] if original else [])]
    found = [folder / FOLDER for folder in folders if (folder / FOLDER / "after").is_dir()]
    return Pairs(found[0]) if found else None


def mean_scores(
    paint: Callable[[Image], Tensor], pairs: Sequence[tuple[Image, Image]], likeness: Likeness
) -> dict[str, float]:
    """Mean likeness of painted pictures to those wanted.

    Args:
        paint: (H, W, 3) uint8 to (1, 3, H, W) in [0, 1].
        pairs: what is painted, and what is wanted.
        likeness: the measure.
    """
    rows = [likeness(paint(before), to_tensor(after)) for before, after in pairs]
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
