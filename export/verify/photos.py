"""Photographs for checks and calibration: a folder of the user's, or those scikit-image bundles."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from runtime.errors import EngineUnavailable, UsageError
from runtime.frame import Image

# Color photographs inside the scikit-image wheel: nothing is downloaded. A portrait, an interior
# with glare, fur, a night sky with a bright plume, and deep space (dark, nearly flat).
BUNDLED = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field")


def load_photos(folder: Path | None, limit: int = 0) -> list[Image]:
    """Photos as (H, W, 3) uint8 RGB.

    Args:
        folder: read recursively, in order of name; None takes the bundled ones.
        limit: most photos to read, spread evenly over the folder; 0 reads all.

    Raises:
        UsageError: no readable photo.
        EngineUnavailable: no folder given and scikit-image is not installed.
    """
    if folder is None:
        return bundled()[: limit or None]
    from training.data.images import SUFFIXES, load_image, to_bytes

    if not folder.is_dir():
        raise UsageError(f'no folder of photos "{folder}"')
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if limit and len(paths) > limit:
        paths = [paths[at] for at in np.linspace(0, len(paths) - 1, limit).round().astype(int)]
    photos = []
    for path in paths:
        try:
            photos.append(to_bytes(load_image(path)))
        except UsageError:
            continue  # a broken file among good ones harms nobody
    if not photos:
        raise UsageError(f'"{folder}" holds no readable photo')
    return photos


def cover(photo: Image, width: int, height: int) -> Image:
    """The largest centered part of this aspect ratio, resampled to width x height."""
    rows, columns = photo.shape[:2]
    scale = max(width / columns, height / rows)
    inner_rows, inner_columns = max(1, round(height / scale)), max(1, round(width / scale))
    top, left = (rows - inner_rows) // 2, (columns - inner_columns) // 2
    part = photo[top : top + inner_rows, left : left + inner_columns]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(part, (width, height), interpolation=how)


def bundled(names: Sequence[str] = BUNDLED) -> list[Image]:
    """Photographs of scikit-image by name, (H, W, 3) uint8 RGB.

    Raises:
        EngineUnavailable: it is not installed.
    """
    try:
        from skimage import data
    except ImportError:
        raise EngineUnavailable(
            "there are no photos here: pass --photos FOLDER, or pip install scikit-image, which "
            "brings some"
        ) from None
    return [np.ascontiguousarray(getattr(data, name)()[..., :3]) for name in names]
