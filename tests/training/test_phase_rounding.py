"""Integers of a head whose phases keep equal sums: by hand, properties, as the file has them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training import networks
from training.networks.layers import equalize_phases_
from training.quantization.fake import QuantizedLean, Ranges, rounded_phases
from training.quantization.phases import quantize_phases


def head(seed, inputs=5, kernel=3, scale=4):
    torch.manual_seed(seed)
    conv = torch.nn.Conv2d(inputs, 3 * scale**2, kernel).requires_grad_(False)
    equalize_phases_(conv, scale)
    return conv.weight


def by_hand():
    """A step is 1. Rows add up to 1, 1, 0 in both kernels; columns to 62.4, -.3, -60.1 in the one
    and 62.2, -.5, -59.7 in the other."""
    first = [[62.0, -20.6, -40.4], [0.4, 0.3, 0.3], [0.0, 20.0, -20.0]]
    second = [[62.0, -20.3, -40.7], [0.2, -0.2, 1.0], [0.0, 20.0, -20.0]]
    # Blocks are square. The same below each other: columns have to be equal there.
    return np.array([[first, second]] * 2).reshape(1, 2, 2, 1, 3, 3)


def test_taps_by_hand():
    integers, scale = quantize_phases(by_hand())
    assert scale == pytest.approx([1.0])
    assert integers.sum(5)[0, :, :, 0].tolist() == [[[1, 1, 0]] * 2] * 2
    # Largest remainders go up: 62, -1, -61 and two more, 62, -1, -60 and one more.
    assert integers.sum(4)[0, :, :, 0].tolist() == [[[62, 0, -60], [62, 0, -60]]] * 2
    # Each tap alone would give the second row 0, 0, 0.
    assert integers[0, 0, 0, 0].tolist() == [[62, -21, -40], [0, 1, 0], [0, 20, -20]]


def test_what_is_integer_stays():
    integers, _ = quantize_phases(by_hand())
    again, scale = quantize_phases(integers)
    np.testing.assert_array_equal(again, integers)
    assert scale == pytest.approx([1.0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.sampled_from([1, 3]), st.sampled_from([2, 4]))
def test_sums_are_equal_and_no_tap_is_far_off(seed, inputs, kernel, scale):
    weight = head(seed, inputs, kernel, scale).numpy()
    kernels = weight.reshape(3, scale, scale, *weight.shape[1:])
    integers, scales = quantize_phases(kernels)
    whole = integers.astype(int)
    assert np.ptp(whole.sum(4), axis=1).max() == 0
    assert np.ptp(whole.sum(5), axis=2).max() == 0
    assert np.abs(whole).max() <= 63
    steps = kernels / scales[:, None, None, None, None, None]
    assert np.abs(whole - steps).max() < 1.73


def test_training_rounds_as_the_file_does():
    weight = head(1).clone().requires_grad_()
    rounded = rounded_phases(weight, 4)
    integers, scales = quantize_phases(weight.detach().numpy().reshape(3, 4, 4, 5, 3, 3))
    expected = integers * scales[:, None, None, None, None, None]
    assert rounded.detach().numpy() == pytest.approx(expected.reshape(weight.shape), abs=1e-6)
    rounded.sum().backward()
    assert (weight.grad == 1).all()


@pytest.mark.parametrize(("equal", "most"), [(True, 1e-6), (False, 1.0)])
def test_a_gray_picture_has_no_net_after_rounding(equal, most):
    torch.manual_seed(0)
    network = networks.build(
        "lean", width=8, blocks=1, margin=0, padding="replicate", equal_phases=equal
    )
    with torch.no_grad():
        network.head.weight.normal_(std=0.1)
        # Else what is constant is normalized to zero, which paints nothing.
        network.trunk[0].norm2.bias.normal_()
    network.constrain()
    names = ("stem", "block0.conv1", "block0.conv2", "block0.conv2.sum")
    ranges = Ranges({name: (0.0 if name in names[:2] else -3.0, 3.0) for name in names})
    with torch.no_grad():
        painted = QuantizedLean(network.eval(), ranges)(torch.full((1, 3, 32, 32), 0.6))
    spread = float(painted.std((2, 3)).max())
    assert spread < most
    assert equal or spread > 1e-3
