"""Which points of a frame were not visible in the frame a pointer leads to."""

import cv2
import numpy as np

# A surface stretched to more than 1 / MIN_STRETCH of its painted size is a smear: what an object
# uncovers looks at first like the object's edge, drawn out.
MIN_STRETCH = 0.7
# Flow that differs by more than EDGE_PX between neighbors is the edge of a moving object. Around it
# (EDGE_REACH flow pixels) things appear from behind it: there a residual counts so many times.
# Stricter values remove more ghosts and refresh more paint; chosen on the parallax clips.
EDGE_PX, EDGE_REACH, EDGE_STRICTNESS = 0.3, 9, 2.5


def inside(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Whether points (h, w, 2) lie on a picture of this size: (h, w) bool."""
    return cv2.inRange(points, (0.0, 0.0), (width - 1.0, height - 1.0)) > 0


def smeared(x: np.ndarray, y: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Where neighboring pointers (displacements x, y into one `owner`) converge: (h, w) bool."""
    result = np.zeros(x.shape, bool)
    # Between neighbors two apart: source pixels per pixel, less one, twice.
    limit = 2 * (MIN_STRETCH - 1)
    result[:, 1:-1] = (x[:, 2:] - x[:, :-2] < limit) & (owner[:, 2:] == owner[:, :-2])
    result[1:-1] |= (y[2:] - y[:-2] < limit) & (owner[2:] == owner[:-2])
    return result


def edge_error(error: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`error` (h, w) uint8, counted EDGE_STRICTNESS times around the edges of moving objects."""
    jump = cv2.morphologyEx(flow, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    edges = cv2.bitwise_not(cv2.inRange(jump, (0.0, 0.0), (EDGE_PX, EDGE_PX)))
    if not cv2.countNonZero(edges):
        return error
    edges = cv2.dilate(edges, np.ones((EDGE_REACH, EDGE_REACH), np.uint8))
    return cv2.copyTo(cv2.convertScaleAbs(error, alpha=EDGE_STRICTNESS), edges, error.copy())
