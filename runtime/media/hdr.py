"""High dynamic range pictures brought into the range that models and ordinary screens know.

PQ (HDR10) and HLG frames hold light up to 1000 cd/m2 and more in wide primaries; shown as if they
were ordinary video they look gray. Each picture is decoded to light, its highlights are rolled off
by the curve of ITU-R BT.2390, its primaries are converted to BT.709 and it is encoded for an
ordinary screen (BT.1886).
"""

from functools import lru_cache

import cv2
import numpy as np

from ..frame import Image
from .color import BT2020, HLG, Colors

SOURCE_PEAK = 1000.0  # cd/m2, what nearly all HDR10 and HLG material is graded for
WHITE = 203.0  # cd/m2, diffuse white in HDR (ITU-R BT.2408): becomes the ordinary screen's peak
GAMMA = 2.4  # BT.1886
# Constants of SMPTE ST 2084.
M1, M2 = 2610 / 16384, 2523 / 4096 * 128
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
# Constants of ARIB STD-B67 (BT.2100 HLG) and its system gamma at 1000 cd/m2.
HLG_A, HLG_B, HLG_C, HLG_GAMMA = 0.17883277, 0.28466892, 0.55991073, 1.2
# Linear BT.2020 to BT.709, ITU-R BT.2087 (the inverse of its 709 -> 2020 matrix).
TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    np.float32,
)
# Luminance weights of BT.2020.
LUMA_2020 = np.array([[0.2627, 0.6780, 0.0593]], np.float32)
STEPS = 4096  # entries of the tables for the curve and for the final encoding


def pq_to_light(code: np.ndarray) -> np.ndarray:
    """ST 2084: signal 0..1 to cd/m2 (0..10000)."""
    power = np.power(np.clip(code, 0, 1), 1 / M2)
    return 10000.0 * np.power(np.maximum(power - C1, 0) / (C2 - C3 * power), 1 / M1)


def light_to_pq(light: np.ndarray) -> np.ndarray:
    """ST 2084: cd/m2 to signal 0..1."""
    power = np.power(np.clip(light / 10000.0, 0, 1), M1)
    return np.power((C1 + C2 * power) / (1 + C3 * power), M2)


def hlg_to_scene(code: np.ndarray) -> np.ndarray:
    """ARIB STD-B67: signal 0..1 to scene light 0..1."""
    code = np.clip(code, 0, 1)
    return np.where(code <= 0.5, code**2 / 3, (np.exp((code - HLG_C) / HLG_A) + HLG_B) / 12)


def roll_off(light: np.ndarray, peak: float = SOURCE_PEAK, target: float = WHITE) -> np.ndarray:
    """The curve of ITU-R BT.2390 section 5.4.1: untouched up to a knee, then bent so that `peak`
    becomes `target` (all in cd/m2; no black lift)."""
    low, high = light_to_pq(np.array(target)), light_to_pq(np.array(peak))
    signal = np.clip(light_to_pq(light) / high, 0, 1)
    limit = low / high
    knee = 1.5 * limit - 0.5
    t = np.clip((signal - knee) / (1 - knee), 0, 1)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * limit
    )
    return pq_to_light(np.where(signal < knee, signal, bent) * high)


def tone_map(picture: np.ndarray, colors: Colors) -> Image:
    """Bring one HDR picture to ordinary RGB.

    Args:
        picture: (H, W, 3) uint16 RGB, full range, still in the transfer function of `colors`.
        colors: its tags; transfer is PQ or HLG.

    Returns:
        (H, W, 3) uint8 RGB for a BT.709 screen. Hue is kept: the curve is applied to the largest
        of the three channels and the others follow by the same factor.
    """
    light = _light_table(colors.transfer)[picture]
    if colors.transfer == HLG:  # scene light to display light depends on luminance (BT.2100)
        luminance = cv2.transform(light, LUMA_2020)
        light *= SOURCE_PEAK * np.power(np.maximum(luminance, 1e-6), HLG_GAMMA - 1)[..., None]
    largest = np.minimum(light.max(axis=2), SOURCE_PEAK)
    index = (np.sqrt(largest / SOURCE_PEAK) * (STEPS - 1) + 0.5).astype(np.int32)
    light *= _gain_table()[index][..., None]
    if colors.primaries in (BT2020, 2):  # HDR without a tag is BT.2020 in practice
        light = cv2.transform(light, TO_709)
    index = (np.sqrt(np.clip(light, 0, 1)) * (STEPS - 1) + 0.5).astype(np.int32)
    return _screen_table()[index]


@lru_cache(maxsize=2)
def _light_table(transfer: int) -> np.ndarray:
    """65536 entries: 16-bit signal to cd/m2 (PQ) or scene light (HLG), float32."""
    code = np.arange(65536, dtype=np.float64) / 65535
    light = hlg_to_scene(code) if transfer == HLG else pq_to_light(code)
    return light.astype(np.float32)


@lru_cache(maxsize=1)
def _gain_table() -> np.ndarray:
    """By the square root of light / SOURCE_PEAK: factor from cd/m2 to screen light 0..1."""
    light = (np.arange(STEPS) / (STEPS - 1)) ** 2 * SOURCE_PEAK
    light[0] = light[1] / 2
    return (roll_off(light) / light / WHITE).astype(np.float32)


@lru_cache(maxsize=1)
def _screen_table() -> np.ndarray:
    """By the square root of screen light 0..1: uint8 signal."""
    light = (np.arange(STEPS) / (STEPS - 1)) ** 2
    return np.rint(255 * np.power(light, 1 / GAMMA)).astype(np.uint8)
