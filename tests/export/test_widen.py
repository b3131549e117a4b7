"""Learned ranges on photos that are wilder than those they were learned on."""

import pytest
import torch

from export.photos import load_photos
from export.widen import SHARES, outward, widened
from training import networks


def test_outward_by_hand():
    learned = {"stem": (0.0, 4.0), "sum": (-2.0, 2.0)}
    measured = {"stem": (0.0, 5.0), "sum": (-10.0, 3.0)}
    assert outward(learned, measured, 0.0) == learned
    assert outward(learned, measured, 0.5) == {"stem": (0.0, 4.0), "sum": (-5.0, 2.0)}
    assert outward(learned, measured, 1.0) == {"stem": (0.0, 5.0), "sum": (-10.0, 3.0)}


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return networks.build("lean", width=8, blocks=1, margin=8).eval().requires_grad_(False)


NAMES = ("stem", "block0.conv1", "block0.conv2", "block0.conv2.sum")


def pairs(high):
    return {name: (0.0 if at < 2 else -high, high) for at, name in enumerate(NAMES)}


def test_ranges_that_cut_are_widened_and_good_ones_kept(generator, photos_folder):
    photos = load_photos(photos_folder)
    ranges, share = widened(generator, pairs(0.5), pairs(6.0), photos)
    assert share > 0 and ranges == outward(pairs(0.5), pairs(6.0), share)
    # Ten times too wide: no share of it is finer than what was learned.
    ranges, share = widened(generator, pairs(6.0), pairs(60.0), photos)
    assert share == SHARES[0] == 0 and ranges == pairs(6.0)
