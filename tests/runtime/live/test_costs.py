"""The cost curve finds the fixed part once two sizes were seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.live.costs import CostCurve

SIZES = [160 * 120, 320 * 240, 640 * 480, 1280 * 720]


def test_one_size_means_proportion():
    curve = CostCurve()
    assert curve.ratio(100, 200) == 2.0
    curve.learn(100, 7.0)
    assert curve.ratio(100, 200) == 2.0


@given(st.floats(0, 50), st.floats(1e-6, 1e-4), st.floats(0.2, 5))
def test_affine_costs_are_found_whatever_the_load(fixed, slope, load):
    curve = CostCurve()
    for pixels in SIZES[:2]:
        curve.learn(pixels, load * (fixed + slope * pixels))
    expected = (fixed + slope * SIZES[3]) / (fixed + slope * SIZES[0])
    assert curve.ratio(SIZES[0], SIZES[3]) == pytest.approx(expected, rel=1e-6)


def test_larger_but_measured_faster_is_taken_as_no_difference():
    curve = CostCurve()
    curve.learn(SIZES[0], 20.0)
    curve.learn(SIZES[2], 10.0)
    assert curve.ratio(SIZES[0], SIZES[3]) == pytest.approx(1.0)


def test_never_negative():
    curve = CostCurve()
    curve.learn(SIZES[1], 1.0)
    curve.learn(SIZES[2], 40.0)  # more than proportional
    assert curve.ratio(SIZES[2], SIZES[0]) == pytest.approx(SIZES[0] / SIZES[2])


def test_old_sizes_are_forgotten():
    curve = CostCurve()
    for pixels in range(1, 50):
        curve.learn(1000 * pixels, 5.0)
    assert curve.ratio(49000, 490000) == pytest.approx(1.0)
