"""Equal ranges for all channels of a tensor: a byte's 256 steps serve every channel alike.

Activations have one scale per tensor, but some channels reach five times as far as others. A
normalization's scale and shift can be divided by any positive factor per channel if the next
convolution's weights are multiplied by it: the pictures stay the same (a ReLU between does not
mind), the quantization error shrinks. Nagel et al. 2019 (arXiv:1906.04721) equalize weights this
way; here it is the activations, whose rounding is nearly all of the error (weights alone: 62 dB).
The tensors on the residual path share one set of factors.
"""

from dataclasses import replace

import numpy as np

from .calibrate import Calibration
from .lean_layers import Layer, LeanLayers

# Channels that are (nearly) zero on all photos keep this share of the widest range.
LEAST_SHARE = 0.02


def equalize(parts: LeanLayers, calibration: Calibration) -> tuple[LeanLayers, Calibration]:
    """The same network with equal channel ranges, and its calibration."""
    ranges = dict(calibration.ranges)
    statistics = dict(calibration.statistics)
    path = [n for n in ranges if n == "stem" or n.endswith(".sum")]
    path += [layer.name for layer in parts.layers if layer.residual]
    on_path = _factors(np.stack([np.abs(ranges[name]).max(axis=0) for name in path]))
    layers: list[Layer] = []
    incoming: np.ndarray | None = None
    for layer in parts.layers:
        made = layer if incoming is None else _scaled_input(layer, incoming)
        if layer.name == "head":
            layers.append(made)
            continue
        if layer.residual or layer.name == "stem":
            factors = on_path
        else:
            factors = _factors(np.abs(ranges[layer.name]).max(axis=0)[None])
        layers.append(_scaled_output(made, factors))
        for name in (layer.name, layer.name + ".sum"):
            if name in ranges:
                ranges[name] = ranges[name] / factors
        incoming = factors
    return replace(parts, layers=tuple(layers)), replace(
        calibration, ranges=ranges, statistics=statistics
    )


def _factors(reach: np.ndarray) -> np.ndarray:
    """(C,) divisors that make the widest tensor of (tensors, C) reaches equal in all channels."""
    widest = reach.max(axis=0)
    top = max(float(widest.max()), 1e-6)
    return np.maximum(widest, LEAST_SHARE * top).astype(np.float32)


def _scaled_input(layer: Layer, factors: np.ndarray) -> Layer:
    return replace(layer, weight=layer.weight * factors[:, None, None])


def _scaled_output(layer: Layer, factors: np.ndarray) -> Layer:
    if layer.gamma is None or layer.beta is None:
        weight = layer.weight / factors[:, None, None, None]
        return replace(layer, weight=weight, bias=layer.bias / factors)
    return replace(layer, gamma=layer.gamma / factors, beta=layer.beta / factors)
