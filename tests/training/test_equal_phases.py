"""Heads without a grid: by hand, on constant pictures, along straight edges, through averages."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from training import networks
from training.networks.layers import equalize_phases_

SCALE = 4


@pytest.fixture(params=[torch.contiguous_format, torch.channels_last])
def head(request):
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 3 * SCALE**2, 3, padding=1, padding_mode="replicate")
    return conv.to(memory_format=request.param).requires_grad_(False)


def painted(head, features):
    return F.pixel_shuffle(head(features), SCALE)


def test_what_is_constant_is_painted_constant(head):
    features = torch.randn(1, 5, 1, 1).expand(1, 5, 6, 7)
    assert float(painted(head, features).std((2, 3)).min()) > 1e-2
    equalize_phases_(head, SCALE)
    assert float(painted(head, features).std((2, 3)).max()) < 1e-6


@pytest.mark.parametrize("axis", [2, 3])
def test_a_straight_edge_is_a_line_and_no_string_of_beads(head, axis):
    shape = [1, 5, 6, 7]
    shape[axis] = 1
    features = torch.randn(shape).expand(1, 5, 6, 7)
    assert float(painted(head, features).std(axis).max()) > 1e-2
    equalize_phases_(head, SCALE)
    along = painted(head, features)
    assert float(along.std(axis).max()) < 1e-6
    assert float(along.std(5 - axis).max()) > 1e-2, "across it there is as much as before"


def test_the_nearest_such_weights_are_taken(head):
    before = head.weight.clone()
    equalize_phases_(head, SCALE)
    once = head.weight.clone()
    equalize_phases_(head, SCALE)
    assert torch.allclose(once, head.weight, atol=1e-6)
    # What was taken away stands at right angles to what is left.
    assert abs(float(((before - once) * once).sum())) < 1e-4 * float(before.square().sum())


def test_a_mean_of_such_weights_is_one():
    """As averaged weights are."""
    torch.manual_seed(0)
    one, two = (nn.Conv2d(2, 48, 3) for _ in range(2))
    for conv in (one, two):
        equalize_phases_(conv, SCALE)
    with torch.no_grad():
        one.weight.lerp_(two.weight, 0.3)
        mean = one.weight.clone()
    equalize_phases_(one, SCALE)
    assert torch.allclose(mean, one.weight, atol=1e-6)


def test_networks_are_held_to_it_if_they_are_asked_to():
    for asked in (False, True):
        torch.manual_seed(0)
        network = networks.build("lean", width=8, blocks=1, margin=0, equal_phases=asked)
        with torch.no_grad():
            network.head.weight.normal_()
        before = network.head.weight.clone()
        network.constrain()
        assert torch.equal(before, network.head.weight) is not asked
