"""Scales of int8 weights and uint8 activations: one formula for training and for exported files.

weights      s_c = max |w| of output channel c / levels,   stored round(w / s_c)
activations  s = (high - low) / 255,   z = round(-low / s),   stored round(x / s) + z
"""

import numpy as np

from ..networks import lean

# Signed weights, symmetric, 7 bits: two products of a byte and such a weight fit in 16 bits, so x86
# cores without VNNI, which add pairs in 16 bits, cannot saturate (255 * 63 * 2 < 32768). The eighth
# bit gains nothing: on our network rounded weights alone leave 48 dB, rounded activations 33.
WEIGHT_LEVELS = 63
# Largest value of an unsigned byte: steps of an activation's range.
STEPS = 255
# The byte that is zero to the first convolution, and to the padding around its picture: networks
# subtract 1/2 = 127.5 / 255, which is no byte.
MIDDLE = 128
HALF_LEVEL = MIDDLE / 255 - 0.5


def quantize_weights(
    weight: np.ndarray, levels: int = WEIGHT_LEVELS
) -> tuple[np.ndarray, np.ndarray]:
    """(out, in, kh, kw) float to int8 and (out,) float32 scales, symmetric per output channel."""
    largest = np.abs(weight).max(axis=(1, 2, 3))
    scale = (np.maximum(largest, 1e-12) / levels).astype(np.float32)
    rounded = np.rint(weight / scale[:, None, None, None])
    return np.clip(rounded, -levels, levels).astype(np.int8), scale


def quantize_range(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of an unsigned byte that covers low..high, zero exactly included."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, lean.LEAST_RANGE) / STEPS)
    return scale, np.uint8(np.clip(np.rint(-low / scale), 0, STEPS))


def byte_range(low: float, high: float) -> tuple[float, float]:
    """What the lowest and the highest byte of the range low..high stand for."""
    scale, zero = quantize_range(low, high)
    return -float(zero) * float(scale), (STEPS - float(zero)) * float(scale)
