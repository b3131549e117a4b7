"""Color profiles: curves of all forms, matrices, and agreement with LittleCMS."""

import struct

import numpy as np
import pytest
from PIL import ImageCms

from runtime.pictures import color_profile
from tests.fidelity.odd_pictures import PRIMARIES, convert, icc_profile

LEVEL = np.linspace(0, 1, 65536)


def fixed(*values):
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def parametric(form, *values):
    return b"para" + bytes(4) + struct.pack(">HH", form, 0) + fixed(*values)


def srgb(level):
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"curv" + bytes(4) + struct.pack(">I", 0), LEVEL),
        (b"curv" + bytes(4) + struct.pack(">IH", 1, 0x0200), LEVEL**2),
        (b"curv" + bytes(4) + struct.pack(">I3H", 3, 0, 16384, 65535), None),
        (parametric(0, 1.8), LEVEL**1.8),
        (parametric(1, 2, 1.25, -0.25), np.maximum(1.25 * LEVEL - 0.25, 0) ** 2),
        (parametric(2, 2, 0.8, -0.2, 0.1), np.maximum(0.8 * LEVEL - 0.2, 0) ** 2 + 0.1),
        (parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045), srgb(LEVEL)),
        (parametric(4, 2, 0.5, 0.5, 0.5, 0.5, 0, 0.0), None),
    ],
)
def test_curves(data, expected):
    curve = color_profile._curve(data)
    assert curve.shape == (65536,)
    if expected is not None:
        assert np.abs(curve - expected).max() < 1e-4
    else:
        assert curve[-1] == pytest.approx(1) and (np.diff(curve) >= 0).all()


@pytest.mark.parametrize("name", PRIMARIES)
def test_agrees_with_littlecms(name):
    rng = np.random.default_rng(3)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    wide = image.astype(np.uint16) * 257
    profile = icc_profile(name)
    assert color_profile.to_srgb(wide, profile) == color_profile.srgb_profile()
    # LittleCMS works in 8 bits: half a level of rounding, and what its tables add.
    assert np.abs(wide / 257 - convert(image, profile)).max() < 1.1
    assert np.abs(wide / 257 - image).max() > 20


def test_gray_profiles():
    parts = {b"kTRC": b"curv" + bytes(4) + struct.pack(">IH", 1, 0x0100) + bytes(2)}
    header = b"\0" * 16 + b"GRAYXYZ " + bytes(12) + b"acsp"
    data = header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"kTRC", 144, 14) + parts[b"kTRC"]
    profile = color_profile.read_profile(data)
    assert profile is not None and profile.gray
    pixels = np.full((2, 2, 3), 32768, np.uint16)
    color_profile.to_srgb(pixels, data)
    # Half of the light is level 188 of 255.
    assert np.abs(pixels / 257 - 187.5).max() < 0.1


def test_tables_made_for_a_device_are_not_guessed():
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert color_profile.read_profile(lab) is None
    whole = icc_profile("Adobe RGB")
    assert color_profile.read_profile(whole[:200]) is None
