"""Strength, colors and masks: known answers and properties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime import open_session
from runtime.model import effects
from runtime.model.stylizer import Effects, Stylizer


def photo() -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:60, 180:260])


def painting() -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(data.coffee()[:60, 180:260])


@pytest.mark.parametrize("as_float", [False, True])
def test_luminance_keeps_the_colors(as_float):
    image, styled = photo(), painting()
    if as_float:
        image, styled = image.astype(np.float32) / 255, styled.astype(np.float32) / 255
    result = effects.keep_luminance(image, styled)
    scale = 1 if as_float else 255
    inside = (result > 0.01 * scale).all(axis=2) & (result < 0.99 * scale).all(axis=2)
    light = (np.abs(result @ effects.LUMA - styled @ effects.LUMA) / scale)[inside]
    assert light.max() < 0.01
    difference = result.astype(np.float64) - image
    # What was added is gray: the same for all channels (bytes round twice).
    spread = (difference.max(axis=2) - difference.min(axis=2))[inside] / scale
    assert spread.max() < (1e-5 if as_float else 0.02)


def test_bytes_and_floats_agree():
    image, styled = photo(), painting()
    one = effects.keep_luminance(image, styled).astype(np.float64)
    other = effects.keep_luminance(image.astype(np.float32) / 255, styled.astype(np.float32) / 255)
    assert np.abs(one - other * 255).max() < 3


def test_matched_colors_have_the_targets_statistics():
    # Narrow distributions: nothing is clipped, so the statement is exact.
    rng = np.random.default_rng(0)
    mix = np.array([[0.05, 0.02, 0.0], [0.0, 0.03, 0.01], [0.01, 0.0, 0.04]], np.float32)
    image = (0.5 + rng.standard_normal((80, 80, 3)) @ mix).astype(np.float32)
    target = (0.4 + rng.standard_normal((70, 90, 3)) @ mix.T[::-1]).astype(np.float32)
    matched = effects.match_colors(image, target)
    for statistic in (lambda a: a.reshape(-1, 3).mean(0), lambda a: np.cov(a.reshape(-1, 3).T)):
        assert np.allclose(statistic(matched), statistic(target), atol=2e-4)
    assert np.allclose(effects.match_colors(image, image), image, atol=1e-4)


def test_matching_a_gray_picture_is_finite():
    gray = np.full((20, 20, 3), 90, np.uint8)
    assert effects.match_colors(gray, photo()).dtype == np.uint8
    assert np.abs(effects.match_colors(photo(), gray).astype(int) - 90).max() <= 1


@given(value=st.integers(0, 255), other=st.integers(0, 255), weight=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_mask_mixes(value, other, weight):
    image, styled = np.full((3, 4, 3), value, np.uint8), np.full((3, 4, 3), other, np.uint8)
    mask = np.full((3, 4), weight, np.uint8)
    mixed = effects.apply_mask(image, styled, mask)
    assert abs(int(mixed[0, 0, 0]) - (value + (other - value) * weight / 255)) <= 0.501
    floats = effects.apply_mask(image.astype(np.float32), styled.astype(np.float32), mask)
    assert floats.dtype == np.float32 and abs(float(floats[0, 0, 0]) - mixed[0, 0, 0]) <= 0.502


def test_strength_is_linear():
    image, styled = photo(), painting()
    assert effects.blend(image, styled, 1.0) is styled
    assert np.array_equal(effects.blend(image, styled, 0.0), image)
    half = effects.blend(image, styled, 0.5).astype(float)
    assert np.abs(half - (image.astype(float) + styled) / 2).max() <= 0.5


def test_a_look_without_effects_is_its_session(invert_model):
    image = photo()
    with open_session(invert_model) as session:
        stylizer = Stylizer([(session, 2.0)], Effects())
        assert np.array_equal(stylizer.stylize(image), 255 - image)
        assert stylizer.label == "invert.onnx" and stylizer.digest == session.sha256
        assert np.array_equal(stylizer.stylize(image, strength=0.0), image)


def test_models_are_mixed_by_weight(invert_model, identity_model):
    image = photo()
    with open_session(invert_model) as one, open_session(identity_model) as other:
        stylizer = Stylizer([(one, 1.0), (other, 3.0)], Effects())
        expected = 0.25 * (255.0 - image) + 0.75 * image
        assert np.abs(stylizer.stylize(image) - expected).max() <= 0.501
        floats = stylizer.stylize_float(image.astype(np.float32) / 255)
        assert np.abs(floats * 255 - expected).max() < 1e-3
        assert stylizer.label == "invert.onnx:0.25+identity.onnx:0.75"
        assert stylizer.digest.count("+") == 1


def test_effects_act_in_order(invert_model):
    image = photo()
    mask = np.zeros((2, 2, 3), np.uint8)
    mask[:, 1] = 255
    with open_session(invert_model) as session:
        stylizer = Stylizer([(session, 1.0)], Effects(0.5, "luminance", mask))
        result = stylizer.stylize(image)
    assert np.array_equal(result[:, :10], image[:, :10])
    full = effects.blend(image, effects.keep_luminance(image, 255 - image), 0.5)
    assert np.array_equal(result[:, -10:], full[:, -10:])
