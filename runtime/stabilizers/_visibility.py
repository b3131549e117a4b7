"""Which points of a frame were not visible in the frame a pointer leads to.

Masks are (h, w) uint8, 255 or 0: what OpenCV's comparisons give and take.
"""

import cv2
import numpy as np

# A surface stretched to more than 1 / MIN_STRETCH of its painted size is a smear: what an object
# uncovers looks at first like the object's edge, drawn out. Smaller ones than SPECK are no smears
# but the unevenness of the flow where there is nothing to see.
MIN_STRETCH, SPECK = 0.7, np.ones((3, 3), np.uint8)
# Flow that differs by more than EDGE_PX between neighbors (every EDGE_STEP-th pixel) is the edge of
# a moving object. Around it (EDGE_REACH of those) things appear from behind it: there a residual
# counts so many times. Stricter values remove more ghosts and refresh more paint; chosen on the
# parallax clips.
EDGE_STEP, EDGE_PX, EDGE_REACH, EDGE_STRICTNESS = 2, 0.4, np.ones((5, 5), np.uint8), 2.0
NEIGHBORS = np.ones((3, 3), np.uint8)


def inside(points: np.ndarray, width: int, height: int) -> np.ndarray:
    """Where points (h, w, 2) lie on a picture of this size."""
    return cv2.inRange(points, (0.0, 0.0), (width - 1.0, height - 1.0))


def smeared(shift: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Where neighboring pointers converge.

    Args:
        shift: (h, w, 2) float32, displacements into their owner.
        owner: (h, w), any type that cv2.Sobel takes: between two owners nothing is said.
    """
    # Between neighbors two apart: source pixels per pixel, less one, twice.
    limit = 2 * (MIN_STRETCH - 1)
    result = np.zeros(owner.shape, np.uint8)
    x, y = cv2.split(shift)
    for part, way in ((x, (1, 0)), (y, (0, 1))):
        steep = cv2.compare(cv2.Sobel(part, cv2.CV_32F, *way, ksize=1), limit, cv2.CMP_LT)
        if cv2.countNonZero(steep):
            change = cv2.Sobel(owner, cv2.CV_32F, *way, ksize=1)
            result |= steep & cv2.compare(change, 0, cv2.CMP_EQ)
    return cv2.morphologyEx(result, cv2.MORPH_OPEN, SPECK)


def edge_error(error: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """`error` (h, w) uint8, counted EDGE_STRICTNESS times around the edges of moving objects."""
    some = np.ascontiguousarray(flow[::EDGE_STEP, ::EDGE_STEP])
    jump = cv2.morphologyEx(some, cv2.MORPH_GRADIENT, NEIGHBORS)
    edges = ~cv2.inRange(jump, (0.0, 0.0), (EDGE_PX, EDGE_PX))
    if not cv2.countNonZero(edges):
        return error
    edges = cv2.resize(
        cv2.dilate(edges, EDGE_REACH), error.shape[::-1], interpolation=cv2.INTER_NEAREST
    )
    return cv2.copyTo(cv2.convertScaleAbs(error, alpha=EDGE_STRICTNESS), edges, error.copy())
