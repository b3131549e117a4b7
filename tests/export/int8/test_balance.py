import numpy as np
import pytest
import torch

from export.int8.balance import LEAST, balance, common_factors
from export.int8.calibrate import Calibration, calibrate
from export.int8.lean_layers import take_apart
from export.verify.photos import load_photos
from training import networks
from training.checkpoint import load_checkpoint


@pytest.fixture(params=["instance", "none"])
def generator(request, checkpoint):
    if request.param == "instance":
        return load_checkpoint(checkpoint).build_generator()
    torch.manual_seed(2)
    return networks.build("lean", width=8, blocks=2, normalization="none", margin=8).eval()


def test_pictures_stay_and_ranges_become_equal(generator, photos_folder):
    photos = [p[:96, :128] for p in load_photos(photos_folder)]
    before = calibrate(take_apart(generator), photos)
    balanced, after = balance(generator, before)
    picture = torch.rand(1, 3, 40, 52)
    with torch.no_grad():
        assert torch.allclose(balanced(picture), generator(picture), atol=1e-5)
    # What is said about the new network is what its own calibration finds.
    again = calibrate(take_apart(balanced), photos)
    for name, found in again.ranges.items():
        assert np.allclose(found, after.ranges[name], rtol=1e-3, atol=1e-4), name
    widths, filled = (np.abs(c.ranges["block0.conv1"]).max(axis=0) for c in (before, after))
    alive = widths > LEAST * widths.max()
    assert np.allclose(filled[alive], filled.max(), rtol=1e-3)
    assert (filled / filled.max()).mean() > (widths / widths.max()).mean()


def test_the_generator_given_is_not_touched(generator, photos_folder):
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    photos = [p[:96, :128] for p in load_photos(photos_folder)[:1]]
    balance(generator, calibrate(take_apart(generator), photos))
    assert all(torch.equal(before[key], value) for key, value in generator.state_dict().items())


def test_factors_by_hand():
    # One tensor: all channels as wide as the widest.
    assert common_factors([np.array([4.0, 1.0, 2.0])]) == pytest.approx([1.0, 0.25, 0.5])
    # Two: channel 0 fills the first, channel 1 the second.
    assert common_factors([np.array([4.0, 1.0]), np.array([1.0, 2.0])]) == pytest.approx([1.0, 1.0])
    # A channel that never moves is not blown up.
    assert common_factors([np.array([4.0, 0.0])]) == pytest.approx([1.0, 0.05])


def test_another_networks_calibration_is_refused(generator):
    with pytest.raises(ValueError, match="stem"):
        balance(generator, Calibration({"stem": np.zeros((2, 8))}, {}, 1))
