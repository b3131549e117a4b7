"""Motion between two pictures by OpenCV's DIS (Kroeger et al., ECCV 2016), there and back.

Where the two disagree, a point of one picture is hidden in the other. Needs no PyTorch.
"""

import cv2
import numpy as np

# There and back may differ by a hundredth of the squared lengths and half a squared pixel:
# Sundaram, Brox, Keutzer, ECCV 2010, eq. 5, as Ruder et al. 2016 and Lai et al. 2018 use it.
SHARE, SLACK = 0.01, 0.5


class CheckedFlow:
    """Measures pairs of pictures of any size, one after the other."""

    def __init__(self) -> None:
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def measure(
        self, gray: np.ndarray, other: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """From `gray` to `other`, both (h, w) uint8.

        Returns:
            flow (h, w, 2) float32: pixel p of `gray` is at p + flow(p) in `other`, x first; these
            places (h, w, 2); and where the way back agrees, (h, w) bool (places outside of
            `other` are taken to its border first).
        """
        there: np.ndarray = self._search.calc(gray, other, None)  # type: ignore[call-overload]
        back: np.ndarray = self._search.calc(other, gray, None)  # type: ignore[call-overload]
        height, width = gray.shape
        own = np.stack(np.meshgrid(np.arange(width), np.arange(height)), 2).astype(np.float32)
        places = own + there
        returned = cv2.remap(back, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        lengths = np.square(there).sum(2) + np.square(returned).sum(2)
        agree = np.square(there + returned).sum(2) <= SHARE * lengths + SLACK
        return there, places, agree


def inside(places: np.ndarray, margin: float) -> np.ndarray:
    """Where places (h, w, 2) lie in a picture of this size, `margin` pixels from its border."""
    last = np.array(places.shape[1::-1], np.float32) - 1
    within = (places >= margin) & (places <= last - margin)
    return np.asarray(within.all(2))
