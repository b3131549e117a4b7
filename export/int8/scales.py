"""Where int8 scales come from: the scale and zero point of every tensor of an exported graph.

    activations   s = (high - low) / 255, z = round(-low / s)     low..high by `calibrate`
    weights       s_c = max |w| of output channel c / 63          no photos needed
    TensorRT      s = cut / 127, z = 0                            `best_cut` of a histogram

The first two lines stand in `training.quantization.scales`, because training rounds by them too.
"""

import numpy as np

from training.quantization.scales import STEPS, quantize_range, quantize_weights

from .calibrate import Calibration
from .lean_layers import Layer

__all__ = [
    "PICTURE_SCALE",
    "SYMMETRIC_LEVELS",
    "ScaleAndZero",
    "best_cut",
    "output_scale",
    "quantize_range",
    "quantize_weights",
    "symmetric_scale",
    "tensor_scale",
]

ScaleAndZero = tuple[np.float32, np.uint8]

# Of a camera's bytes: (byte - MIDDLE) / 255.
PICTURE_SCALE = np.float32(1 / STEPS)
# Levels on each side of zero; -128 is left out, so that zero is in the middle.
SYMMETRIC_LEVELS = 127
# Smallest share of the largest value tried as a cut.
LEAST_CUT = 0.1


def tensor_scale(calibration: Calibration, name: str) -> ScaleAndZero:
    """Scale and zero point of a whole tensor: wide enough for each of its channels."""
    return quantize_range(*calibration.whole_ranges()[name])


def output_scale(layer: Layer, calibration: Calibration) -> ScaleAndZero:
    """Scale and zero point of what the next convolution reads."""
    if layer.name == "head":
        return PICTURE_SCALE, np.uint8(0)
    name = layer.name + (".sum" if layer.residual else "")
    return tensor_scale(calibration, name)


def symmetric_scale(cut: float) -> np.float32:
    """Scale of signed bytes around zero that reach `cut`."""
    return np.float32(cut / SYMMETRIC_LEVELS)


def best_cut(counts: np.ndarray, top: float) -> float:
    """Where cutting costs least.

        error(c) = sum over |x| <= c of (c / 127)^2 / 12 + sum over |x| > c of (|x| - c)^2

    Args:
        counts: (bins,) how many values have sizes in each of equal bins from 0 to `top`.
        top: the largest size.
    """
    if top <= 0 or not counts.any():
        return 1.0
    centers = (np.arange(len(counts)) + 0.5) * top / len(counts)
    tried = np.linspace(LEAST_CUT, 1.0, 181) * top
    errors = [
        counts[centers <= cut].sum() * (cut / SYMMETRIC_LEVELS) ** 2 / 12
        + (counts * np.maximum(centers - cut, 0) ** 2).sum()
        for cut in tried
    ]
    return float(tried[int(np.argmin(errors))])
