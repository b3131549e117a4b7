"""The pointwise network: colors only, wherever they lie, in floats and in bytes."""

import numpy as np
import onnxruntime as ort
import pytest
import torch

from export.int8.calibrate import calibrate
from export.int8.integer_graph import check, integer_graph
from export.int8.lean_layers import take_apart
from runtime.errors import UsageError
from training import networks
from training.config import load_recipe

TOLERANCE = 3.0  # levels of 255: three roundings to bytes of this random network


@pytest.mark.parametrize("blocks", [0, 1])
def test_every_pixel_is_recolored_by_itself(blocks):
    torch.manual_seed(0)
    network = networks.build("pointwise", width=16, blocks=blocks)
    assert network.multiple_of == 1
    images = torch.rand(1, 3, 5, 7)
    moved = images.flatten(2)[:, :, torch.randperm(35)].view(1, 3, 7, 5)
    with torch.no_grad():
        one, other = network(images), network(moved)
    torch.testing.assert_close(
        one.flatten(2).sort(2).values, other.flatten(2).sort(2).values, atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("blocks", [0, 1])
def test_bytes_paint_what_floats_paint(blocks):
    torch.manual_seed(1)
    network = networks.build("pointwise", width=16, blocks=blocks).eval()
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (60, 80, 3), np.uint8) for _ in range(2)]
    parts = take_apart(network)
    assert {layer.kernel for layer in parts.layers} == {1}
    model = integer_graph(parts, calibrate(parts, photos), None)
    check(model)
    picture = rng.integers(0, 256, (1, 37, 53, 3), np.uint8)  # any size
    painted = ort.InferenceSession(model.SerializeToString()).run(None, {"image": picture})[0]
    with torch.no_grad():
        wanted = network(torch.from_numpy(picture).permute(0, 3, 1, 2) / 255).clamp(0, 1) * 255
    assert painted.shape == picture.shape
    assert np.abs(painted - wanted.permute(0, 2, 3, 1).numpy()).max() <= TOLERANCE


def test_another_network_takes_the_former_ones_settings_with_it():
    named = ["network.width=32", "network.name=pointwise"]
    for settings in (named, named[::-1]):
        assert load_recipe("filter", settings).network == {"name": "pointwise", "width": 32}
    assert load_recipe("filter", ["network.name=lean"]).network["width"] == 48
    with pytest.raises(UsageError, match='no setting "margin"'):
        networks.build("pointwise", margin=4)
