"""The form for phone runtimes paints the same pictures; so do evened-out channels."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from export.int8.channel_scaling import standardize_channels
from export.int8.edge_form import WrittenOutNorm, edge_form, one_hot_kernel, repeat_edges
from training import networks
from training.checkpoint import load_checkpoint
from training.networks.layers import InstanceNorm

CASES = [
    ("lean", {"width": 16, "blocks": 1, "margin": 8}),
    ("lean", {"width": 16, "blocks": 1, "margin": 0, "scale": 2, "normalization": "none"}),
    ("lean", {"width": 16, "blocks": 1, "margin": 0, "padding": "replicate"}),
    ("johnson", {"width": 4, "blocks": 1}),
]


def picture(height=48, width=64):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


def photos():
    rng = np.random.default_rng(2)
    return [rng.integers(0, 256, (90, 120, 3)).astype(np.uint8) for _ in range(2)]


def test_shuffles_are_convolutions():
    x = picture(24, 32)
    cells = F.pixel_unshuffle(x, 4)
    assert torch.equal(F.conv2d(x, one_hot_kernel(4), stride=4), cells)
    assert torch.equal(F.conv_transpose2d(cells, one_hot_kernel(4), stride=4), x)


@pytest.mark.parametrize("margin", [0, 1, 5])
def test_edges_are_repeated(margin):
    x = picture(6, 8)
    assert torch.equal(repeat_edges(x, margin), F.pad(x, (margin,) * 4, mode="replicate"))


def test_no_padding_operation_is_left():
    network = networks.build("lean", width=8, blocks=1, margin=0, padding="replicate").eval()
    traced = torch.export.export(edge_form(network), (picture(),))
    operations = {str(node.target) for node in traced.graph.nodes}
    assert not any("pad" in operation for operation in operations), operations


def test_the_written_out_norm_is_exact_far_from_zero():
    norm = InstanceNorm(3)
    x = 1000 + picture()
    assert torch.allclose(WrittenOutNorm(norm)(x), norm(x.double()).float(), atol=1e-3)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_same_pictures(new_checkpoint, tmp_path, name, settings):
    path = new_checkpoint(tmp_path / "toy.safetensors", name, **settings)
    generator = load_checkpoint(path).build_generator()
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    with torch.no_grad():
        wanted = generator(picture()).clamp(0, 1)
        even, epsilons = standardize_channels(generator, photos())
        for form in (edge_form(generator), edge_form(even, epsilons)):
            assert (form(picture()) - wanted).abs().max() < 1e-4
    norms = sum(isinstance(module, InstanceNorm) for module in generator.modules())
    assert len(epsilons) == norms
    for key, value in generator.state_dict().items():
        assert torch.equal(value, before[key]), "the generator itself is left as it is"


def test_evened_out_channels_have_mean_0_and_deviation_1():
    torch.manual_seed(0)
    generator = networks.build("lean", width=16, blocks=1, margin=0).eval()
    even, _ = standardize_channels(generator, photos())
    seen = []
    even.stem_norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    from export.int8.channel_scaling import picture_tensor

    with torch.no_grad():
        for photo in photos():
            even(picture_tensor(photo))
    x = torch.cat(seen)
    assert x.mean((0, 2, 3)).abs().max() < 1e-3
    assert (x.std((0, 2, 3)) - 1).abs().max() < 1e-2
