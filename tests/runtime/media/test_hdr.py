"""HDR: the curves are those of the standards, and nothing comes out washed out."""

import numpy as np
import pytest

from runtime.media.color import HLG, PQ, Colors
from runtime.media.hdr import WHITE, hlg_to_scene, light_to_pq, pq_to_light, roll_off, tone_map

PQ_COLORS = Colors(9, 1, 9, PQ)
HLG_COLORS = Colors(9, 1, 9, HLG)


def gray(*signals: float) -> np.ndarray:
    values = np.rint(np.array(signals) * 65535).astype(np.uint16)
    return np.repeat(values[None, :, None], 3, axis=2)


def test_pq_known_values():
    # SMPTE ST 2084: 0.5081 is 100 cd/m2, 0.5807 is 203, 0.7518 is 1000, 1 is 10000.
    light = pq_to_light(np.array([0.0, 0.5081, 0.5807, 0.7518, 1.0]))
    assert np.allclose(light, [0, 100, 203, 1000, 10000], rtol=2e-3, atol=1e-6)
    assert np.allclose(light_to_pq(light), [0, 0.5081, 0.5807, 0.7518, 1.0], atol=1e-4)


def test_hlg_known_values():
    # BT.2100: half signal is a twelfth of the scene's light, full signal all of it.
    assert np.allclose(hlg_to_scene(np.array([0.0, 0.5, 1.0])), [0, 1 / 12, 1], atol=1e-4)


def test_roll_off_keeps_shadows_and_reaches_the_target():
    light = np.array([0.0, 1.0, 50.0, 1000.0])
    assert np.allclose(roll_off(light), [0, 1, 50, WHITE], rtol=1e-3, atol=1e-6)
    ramp = roll_off(np.linspace(0, 1000, 500))
    assert np.all(np.diff(ramp) > 0)


@pytest.mark.parametrize(
    ("colors", "white", "peak"), [(PQ_COLORS, 0.5807, 0.7518), (HLG_COLORS, 0.75, 1.0)]
)
def test_gray_stays_gray_white_is_bright_black_is_black(colors, white, peak):
    black, middle, bright = tone_map(gray(0.0, white, peak), colors)[0].astype(int)
    assert tuple(black) == (0, 0, 0)
    assert 215 <= middle.min() <= middle.max() <= 240
    assert bright.min() >= 253
    assert np.ptp(middle) <= 1


def test_saturated_color_stays_saturated():
    # A BT.2020 red of 100 cd/m2: in BT.709 red at full, green and blue near nothing.
    code = light_to_pq(np.array([[[100.0, 1.0, 1.0]]]))
    red = tone_map(np.rint(code * 65535).astype(np.uint16), PQ_COLORS)[0, 0].astype(int)
    assert red[0] > 170
    assert red[1] < 20
    assert red[2] < 20
