"""kappa: is the result as sharp as the network's own frames?"""

from collections.abc import Sequence

import cv2
import numpy as np

from . import Metric
from ._pictures import luminance


def mean_laplacian(picture: np.ndarray) -> float:
    """Mean absolute 4-neighbor Laplacian of the luminance, borders left out; colors 0..1."""
    edges = cv2.Laplacian(luminance(picture), cv2.CV_32F)
    return float(np.abs(edges[1:-1, 1:-1]).mean(dtype=np.float64))


def sharpness(outputs: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    """Mean Laplacian of the outputs over that of the reference.

    The reference is the network on the noise-free clip: sensor noise that the network turns into
    grain must not count as sharpness. 1 is as sharp; below 0.9 a result is called "soft".
    """
    below = np.mean([mean_laplacian(picture) for picture in reference])
    above = np.mean([mean_laplacian(picture) for picture in outputs])
    return float(above / below) if below > 0 else float("nan")


PLUGIN = Metric(sharpness, unit="1", better="higher", takes="sequences")
