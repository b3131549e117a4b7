"""Two views of one scene whose disparity is known: does the same point get the same paint?

    error = RMS over points that both views show of |painted left (x, y) - painted right (x - d, y)|

in shares of the full range, for views painted one by one ("off") and alike ("views"). What warping
itself costs is the error of the unpainted views, beside. The pair is Middlebury 2014's motorcycle
(Scharstein et al., GCPR 2014) as scikit-image ships it, with its measured disparity.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from runtime.errors import UsageError
from runtime.frame import Image
from runtime.stabilizers._views import agree

from ..metrics._pictures import to_float
from ..metrics.sharpness import sharpness
from ..report.tables import Document, figure, label, table

# Px by which what is behind may fall short of what is in front, and still be seen.
NEAR = 1.0

COLUMNS = (
    label("model"),
    label("views"),
    figure("stereo error", "stereo_error"),
    figure("share seen by both", "seen"),
    figure("sharpness of the right view", "sharpness"),
)


@dataclass(frozen=True)
class Pair:
    """Both views, (H, W, 3) uint8, and the left one's disparity in px, (H, W), NaN where unknown:
    the point at (x, y) is at (x - d, y) in the right one."""

    left: Image
    right: Image
    disparity: np.ndarray


def motorcycle() -> Pair:
    """The pair that scikit-image ships.

    Raises:
        UsageError: scikit-image is not installed, or has no such pictures.
    """
    try:
        from skimage import data

        left, right, disparity = data.stereo_motorcycle()
    except (ImportError, OSError, AttributeError) as error:
        raise UsageError(f"--stereo needs scikit-image's motorcycle pair: {error}") from None
    known = np.where(np.isfinite(disparity), disparity, np.nan).astype(np.float32)
    return Pair(np.ascontiguousarray(left), np.ascontiguousarray(right), known)


def seen_by_both(disparity: np.ndarray) -> np.ndarray:
    """Points of the left view that nothing hides in the right one: (H, W) bool.

    Of all points that come to one place of the right view, the one of the largest disparity is in
    front; those that are `NEAR` to it are of the same surface.
    """
    height, width = disparity.shape
    rows, columns = np.indices((height, width))
    place = np.rint(columns - np.nan_to_num(disparity, nan=1e6)).astype(int)
    inside = np.isfinite(disparity) & (place >= 0)
    front = np.zeros((height, width + 1), np.float32)
    np.maximum.at(front, (rows[inside], place[inside]), disparity[inside])
    # What is in front covers the pixel between two of its own, too.
    front = np.maximum(front[:, :width], cv2.dilate(front[:, :width], np.ones((1, 3), np.uint8)))
    hidden = front[rows, np.where(inside, place, 0)] > np.nan_to_num(disparity) + NEAR
    return inside & ~hidden


def stereo_error(left: Image, right: Image, pair: Pair) -> float:
    """RMS of what the two views paint otherwise at points that both see, 0..1."""
    seen = seen_by_both(pair.disparity)
    height, width = pair.disparity.shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    x = (columns - np.nan_to_num(pair.disparity)).astype(np.float32)
    brought = cv2.remap(to_float(right), x, rows.astype(np.float32), cv2.INTER_CUBIC)
    return float(np.sqrt(np.square(brought - to_float(left))[seen].mean(dtype=np.float64)))


def measure(
    pair: Pair, stylize: Callable[[Image], Image], strength: float = 1.0
) -> dict[str, dict[str, float]]:
    """Figures of the unpainted views, of both painted one by one, and painted alike.

    Args:
        pair: the views.
        stylize: paints one.
        strength: of `runtime.stabilizers._views.agree`.
    """
    left, right = stylize(pair.left), stylize(pair.right)
    alike = agree(pair.left, pair.right, left, right, strength)
    shown = {"photos": (pair.left, pair.right), "off": (left, right), "views": (left, alike)}
    seen = float(seen_by_both(pair.disparity).mean())
    return {
        name: {
            "stereo_error": stereo_error(a, b, pair),
            "seen": seen,
            "sharpness": sharpness([b], [shown["off"][1]]) if name != "photos" else 1.0,
        }
        for name, (a, b) in shown.items()
    }


def table_of(data: Document) -> str:
    """One row a model and way."""
    return table(COLUMNS, data["rows"])
