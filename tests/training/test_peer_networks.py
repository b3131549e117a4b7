"""The peers' networks have the published sizes, or a comparison would mean nothing."""

import pytest
import torch
from torch import nn

from runtime.errors import UsageError
from training import networks


def macs_per_pixel(network: nn.Module, height: int, width: int) -> float:
    """Multiply-accumulates of all convolutions per input pixel, counted with hooks."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        # A transposed convolution multiplies every input pixel, a plain one makes every output.
        pixels = inputs[0] if isinstance(module, nn.ConvTranspose2d) else output
        total += pixels.numel() * module.weight[0].numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, height, width))
    return total / (height * width)


@pytest.mark.parametrize(
    ("name", "kilo_macs", "parameters"),
    [
        # 3.10 M and 0.22 M as counted from the papers' tables; 11.378 M is CycleGAN's printed
        # size, ours adds scale and shift of 23 normalizations.
        ("johnson", 153.79, 1_679_235),
        ("reconet", 292.90, 3_098_307),
        ("magenta", 32.60, 217_219),
        ("resnet_cycle", 756.10, 11_388_675),
    ],
)
def test_published_size(name, kilo_macs, parameters):
    network = networks.build(name).eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert macs_per_pixel(network, 32, 48) / 1e3 == pytest.approx(kilo_macs, abs=0.01)


@pytest.mark.parametrize("name", ["reconet", "magenta", "resnet_cycle"])
@pytest.mark.parametrize("normalization", ["instance", "none"])
def test_shape_and_range(name, normalization):
    network = networks.build(name, width=4, blocks=2, normalization=normalization).eval()
    with torch.no_grad():
        styled = network(torch.rand(2, 3, 20, 28))
    assert styled.shape == (2, 3, 20, 28)
    # Johnson's scaled tanh, which ReCoNet inherits, may pass the ends by 2.5 %; export clamps.
    assert styled.min() > -0.026 and styled.max() < 1.026


def test_pixels_beyond_the_overlap_do_not_matter():
    network = networks.build("resnet_cycle", width=4, blocks=1, normalization="none").eval()
    size = 2 * network.overlap + 12
    size -= size % 4
    before = torch.rand(1, 3, size, size)
    after = before.clone()
    after[:, :, 0, 0] = 1 - after[:, :, 0, 0]
    with torch.no_grad():
        change = (network(after) - network(before)).abs().sum(1)[0]
    reached = change.nonzero().max() if change.any() else 0
    assert reached <= network.overlap


def test_resize_upsampling_keeps_the_shape():
    network = networks.build("resnet_cycle", width=4, blocks=1, upsample="resize").eval()
    with torch.no_grad():
        assert network(torch.rand(1, 3, 16, 24)).shape == (1, 3, 16, 24)
    with pytest.raises(UsageError, match="transposed, resize"):
        networks.build("resnet_cycle", upsample="bilinear")


def test_reconet_sums_pass_a_relu():
    network = networks.build("reconet", width=4, blocks=1).eval()
    with torch.no_grad():
        assert network.trunk(torch.randn(1, 16, 8, 8)).min() >= 0
