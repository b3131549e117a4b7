"""Color profiles of 16-bit pictures: to sRGB, in 16 bits, which Pillow's LittleCMS cannot do.

Understood are profiles of the "matrix and curves" kind (sRGB, Display P3, Adobe RGB, ProPhoto,
Rec. 2020, and gray ones): three curves to light, a matrix to the D50 connection space, and sRGB's
matrix and curve backwards (ICC.1:2022, annex F). The others hold tables made for one device; their
pixels stay as they are, with their profile.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np

LEVELS = 65536
# Profiles of sRGB differ by rounding: their matrices by up to 1e-3, their curves by 2e-4 (measured
# on LittleCMS's own and on the formula). Pixels in such a profile are left alone.
SAME_MATRIX, SAME_CURVE = 2e-3, 5e-4
# IEC 61966-2-1: below this light the curve is straight.
STRAIGHT = 0.0031308
BAND_PIXELS = 2**20


@dataclass(frozen=True, slots=True)
class Profile:
    """What a matrix profile says.

    Attributes:
        curves: (3, 65536) light, 0..1, of each level of red, green and blue (the same three times
            for gray).
        matrix: (3, 3) from their light to XYZ; the identity for gray, which has no primaries.
        gray: True for gray profiles.
    """

    curves: np.ndarray
    matrix: np.ndarray
    gray: bool = False


def read_profile(data: bytes) -> Profile | None:
    """The curves and the matrix of an ICC profile; None if it is of another kind, or broken."""
    try:
        with np.errstate(all="ignore"):  # what comes of nonsense is looked at below
            profile = _read(data)
    except (struct.error, ArithmeticError, ValueError, KeyError, IndexError):
        return None
    if profile is None or not (
        np.isfinite(profile.curves).all() and np.isfinite(profile.matrix).all()
    ):
        return None
    return profile


def srgb_profile() -> bytes:
    """An ICC profile of sRGB."""
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def to_srgb(pixels: np.ndarray, icc: bytes) -> bytes:
    """Convert 16-bit pixels to sRGB, in place.

    Args:
        pixels: (H, W, 3) uint16 in the colors of `icc`; what sRGB cannot show is clipped.
        icc: their profile, b"" for none.

    Returns:
        the profile the pixels are in now: sRGB's, or `icc` if they did not change.
    """
    profile = read_profile(icc)
    if profile is None or _is_srgb(profile):
        return icc
    matrix = np.linalg.inv(_srgb().matrix) @ profile.matrix if not profile.gray else np.eye(3)
    curves = profile.curves.astype(np.float32)
    for band in _bands(pixels):
        light = np.dstack([curves[channel][band[:, :, channel]] for channel in range(3)])
        light = np.clip(cv2.transform(light, matrix), 0.0, 1.0)
        band[:] = np.rint(_encode(light) * np.float32(LEVELS - 1))
    return srgb_profile()


def _bands(pixels: np.ndarray) -> Iterator[np.ndarray]:
    step = max(1, BAND_PIXELS // pixels.shape[1])
    for top in range(0, len(pixels), step):
        yield pixels[top : top + step]


def _encode(light: np.ndarray) -> np.ndarray:
    """The level that shows this light in sRGB, both 0..1."""
    return np.where(light <= STRAIGHT, 12.92 * light, 1.055 * cv2.pow(light, 1 / 2.4) - 0.055)


def _is_srgb(profile: Profile) -> bool:
    known = _srgb()
    curves = np.abs(profile.curves - known.curves).max()
    matrix = 0.0 if profile.gray else np.abs(profile.matrix - known.matrix).max()
    return bool(curves < SAME_CURVE and matrix < SAME_MATRIX)


@cache
def _srgb() -> Profile:
    profile = read_profile(srgb_profile())
    assert profile is not None  # LittleCMS makes a matrix profile
    return profile


def _read(data: bytes) -> Profile | None:
    kind, space = data[16:20], data[20:24]
    if space != b"XYZ " or data[36:40] != b"acsp" or kind not in (b"RGB ", b"GRAY"):
        return None
    (count,) = struct.unpack_from(">I", data, 128)
    tags = {}
    for index in range(min(count, 100)):
        name, at, size = struct.unpack_from(">4sII", data, 132 + 12 * index)
        tags[name] = data[at : at + size]
    if kind == b"GRAY":
        curve = _curve(tags[b"kTRC"])
        return Profile(np.stack([curve] * 3), np.eye(3), gray=True)
    curves = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")])
    columns = [_fixed(tags[name], 8, 3) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    matrix = np.array(columns, np.float64).T
    if abs(np.linalg.det(matrix)) < 1e-3:
        return None
    return Profile(curves, matrix)


def _fixed(data: bytes, at: int, count: int) -> list[float]:
    """s15Fixed16Number: 16 bits before the point and 16 behind it."""
    return [value / 65536 for value in struct.unpack_from(f">{count}i", data, at)]


def _curve(data: bytes) -> np.ndarray:
    """(65536,) light of each level, from a curveType or a parametricCurveType (10.6 and 10.18)."""
    level = np.linspace(0.0, 1.0, LEVELS)
    if data[:4] == b"curv":
        (count,) = struct.unpack_from(">I", data, 8)
        if count == 0:
            return level
        values: Any = struct.unpack_from(f">{count}H", data, 12)
        if count == 1:
            return level ** (values[0] / 256)
        return np.interp(level, np.linspace(0.0, 1.0, count), np.array(values) / 65535)
    if data[:4] != b"para":
        raise ValueError(f"unknown curve {data[:4]!r}")
    (form,) = struct.unpack_from(">H", data, 8)
    # (a x + b)^g + e from d on, c x + f below; the shorter forms lack some of them.
    g, *rest = _fixed(data, 12, (1, 3, 4, 5, 7)[form])
    a, b, c, d, e, f = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    if form in (1, 2):
        a, b = rest[:2]
        d = -b / a
        e = f = rest[2] if form == 2 else 0.0
    elif form in (3, 4):
        a, b, c, d = rest[:4]
        e, f = rest[4:] if form == 4 else (0.0, 0.0)
    curved = np.maximum(a * level + b, 0.0) ** g + e
    return np.clip(np.where(level >= d, curved, c * level + f), 0.0, 1.0)
